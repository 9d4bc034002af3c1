"""Hardware limits, measured: matrix products, memory copy, and uploads to a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time

import torch
from torch import Tensor

from vidsr.device import DTYPES, Compute, has_bf16, has_int8
from vidsr.models.int8 import QuantisedConv
from vidsr.runtime.process import processors

SIDE = 2048  # of the square matrices in the timed product
EMULATED_SIDE = 256  # for a precision that the processor emulates: a hundred times slower, whatever the size
COPY_BYTES = 1 << 28
PRODUCTS = {
    "cpu": ("fp32", "bf16", "int8"),
    "cuda": ("fp32", "bf16", "fp16"),
}  # a CPU emulates fp16, which takes minutes
REPEATS = 5


@dataclass(frozen=True)
class HardwareLimits:
    """Measured limits of a device.

    Matrix products are in GFLOP/s by precision (int8 only where the processor has it), memory copy in GB/s read and
    written.

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
        if name == "int8" and not has_int8(device):
            continue
        emulated = name == "bf16" and not has_bf16(device)
        side = EMULATED_SIDE if emulated else SIDE
        product = int8_product(side) if name == "int8" else _float_product(side, name, device)
        gflops[name] = 2 * side**3 / seconds(product) / 1e9
    source = torch.empty(COPY_BYTES, dtype=torch.uint8, device=device).random_(0, 255)
    target = torch.empty_like(source)
    copied = seconds(lambda: target.copy_(source))
    if not on_gpu:
        return HardwareLimits(gflops, 2 * COPY_BYTES / copied / 1e9)
    locked = torch.zeros(COPY_BYTES, dtype=torch.uint8, pin_memory=True)
    return HardwareLimits(
        gflops, 2 * COPY_BYTES / copied / 1e9, COPY_BYTES / seconds(lambda: target.copy_(locked)) / 1e9
    )


def _float_product(side: int, precision: str, device: torch.device) -> Callable[[], Tensor]:
    a = torch.rand(side, side, device=device).to(DTYPES[precision])
    return lambda: a @ a


def int8_product(side: int) -> Callable[[], Tensor]:
    """Return a product of square matrices of uint8 and int8, as the networks compute it: a 1x1 convolution."""
    levels = torch.ones(side, side, 1, 1, dtype=torch.int8)
    layer = QuantisedConv(levels, torch.full((side,), 1 / side), torch.zeros(side))
    codes = torch.ones(1, side, side, 1, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    return torch.inference_mode()(lambda: layer(codes))


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
