"""Hardware limits, measured: matrix products, memory copy, and uploads to a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time

import torch

from vidsr.device import DTYPES, Compute, has_bf16
from vidsr.runtime.process import processors

SIDE = 2048  # of the square matrices in the timed product
EMULATED_SIDE = 256  # for a precision that the processor emulates: a hundred times slower, whatever the size
COPY_BYTES = 1 << 28
PRODUCTS = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "bf16", "fp16")}  # a CPU emulates fp16, which takes minutes
REPEATS = 5


@dataclass(frozen=True)
class HardwareLimits:
    """Measured limits of a device.

    Matrix products are in GFLOP/s by precision, memory copy in GB/s read and written.

    ``upload_gbs`` is GB/s from page-locked memory to a GPU; None on a CPU.
    """

    gflops: dict[str, float]
    copy_gbs: float
    upload_gbs: float | None = None


def measure_limits(compute: Compute) -> HardwareLimits:
    """Measure the limits of a device: medians of several runs after a warm-up."""
    device, on_gpu = compute.device, compute.device.type == "cuda"
    clock = clock_of(device)
    share = 1 if on_gpu else processors()  # processor time counts the seconds of every core

    def seconds(work: Callable[[], object]) -> float:
        times = []
        for _ in range(REPEATS + 1):
            begun = clock()
            work()
            times.append(clock() - begun)
        return median(times[1:]) / share

    gflops = {}
    for name in PRODUCTS[device.type]:
        emulated = name == "bf16" and not has_bf16(device)
        side = EMULATED_SIDE if emulated else SIDE
        a = torch.rand(side, side, device=device).to(DTYPES[name])
        gflops[name] = 2 * side**3 / seconds(lambda a=a: a @ a) / 1e9  # type: ignore[misc]
    source = torch.empty(COPY_BYTES, dtype=torch.uint8, device=device).random_(0, 255)
    target = torch.empty_like(source)
    copied = seconds(lambda: target.copy_(source))
    if not on_gpu:
        return HardwareLimits(gflops, 2 * COPY_BYTES / copied / 1e9)
    locked = torch.zeros(COPY_BYTES, dtype=torch.uint8, pin_memory=True)
    return HardwareLimits(
        gflops, 2 * COPY_BYTES / copied / 1e9, COPY_BYTES / seconds(lambda: target.copy_(locked)) / 1e9
    )


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return a clock: processor time on a CPU, wall time on a GPU.

    Other processes disturb wall time on a CPU.
    """
    if device.type == "cpu":
        return process_time

    def clock() -> float:
        torch.cuda.synchronize(device)
        return perf_counter()

    return clock
