"""Speed of a 3x3 convolution and of networks on this processor in each precision.

It is the reason for what `--precision auto` chooses.

    python benchmarks/precision.py [--channels 32] [--models fast,balanced,best] [--scale 4]

One frame of 480x270, one thread, processor time, the median of interleaved calls. int8 is a call of oneDNN with uint8
input and output, as the networks use it. A network makes rounded codes of codes, as in a run.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from time import process_time

import torch
from _timer import machine
from torch import Tensor

from vidsr.device import DTYPES, Compute, choose, cpu_maker
from vidsr.models import load_model
from vidsr.models.fused import ConvReLU
from vidsr.stages.network_runner import Runner
from vidsr.video import VideoReader

WIDTH, HEIGHT, REPEATS = 480, 270, 9
SAMPLE = Path(__file__).parents[1] / "samples" / "phone_dog.mp4"  # has frames of that size


def calls(channels: int) -> dict[str, Callable[[], object]]:
    """Return a convolution with ReLU in every precision."""
    conv = torch.nn.Conv2d(channels, channels, 3)
    x = torch.rand(1, channels, HEIGHT, WIDTH).contiguous(memory_format=torch.channels_last)
    whole = ConvReLU(conv.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
    half_conv = torch.nn.Conv2d(channels, channels, 3).bfloat16()
    half = ConvReLU(half_conv.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
    halves, codes = x.bfloat16(), (x * 255).to(torch.uint8)
    step = torch.full((channels,), 0.01)
    ones, zeros = [1, 1], [0, 0]
    weight = torch.randint(-127, 128, (channels, channels, 3, 3), dtype=torch.int8)
    packed = torch.ops.onednn.qconv_prepack(weight, step, 1 / 255, 0, ones, zeros, ones, 1, list(x.shape))
    zero_points, bias = torch.zeros(channels, dtype=torch.int32), torch.zeros(channels)
    return {
        "fp32": lambda: whole(x),
        "bf16": lambda: half(halves),
        "int8": lambda: torch.ops.onednn.qconv2d_pointwise(
            codes,
            1 / 255,
            0,
            packed,
            step,
            zero_points,
            bias,
            ones,
            zeros,
            ones,
            1,
            0.1,
            0,
            torch.uint8,
            "relu",
            [],
            "",
        ),
    }


def network_calls(model: str, scale: int, luma: Tensor) -> dict[str, Callable[[], object]]:
    """Return the whole network in every precision."""

    def call(precision: str) -> Callable[[], object]:
        cpu = Compute(
            torch.device("cpu"), DTYPES["fp32" if precision == "int8" else precision], int8=precision == "int8"
        )
        runner = Runner(load_model(model, scale, dtype=cpu.dtype, int8=cpu.int8), cpu)
        return lambda: runner(luma, 255, rounded=True).clamp(0, 255).round().to(torch.uint8)

    return {precision: call(precision) for precision in ("fp32", "bf16", "int8")}


def medians(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median processor time of each function, in seconds; they are called in turn."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(REPEATS + 2):
        for name, function in functions.items():
            started = process_time()
            function()
            times[name].append(process_time() - started)
    return {name: statistics.median(seconds[2:]) for name, seconds in times.items()}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--models", default="fast,balanced")
    parser.add_argument("--scale", type=int, default=4)
    given = parser.parse_args()
    torch.set_num_threads(1)
    operations = 2 * given.channels**2 * 9 * (HEIGHT - 2) * (WIDTH - 2)
    for name, seconds in medians(calls(given.channels)).items():
        print(f"{name}: {1000 * seconds:.2f} ms, {operations / seconds / 1e9:.0f} billion operations a second")
    with VideoReader(SAMPLE) as reader:
        luma = next(reader.batches(1)).y
    for model in filter(None, given.models.split(",")):
        times = medians(network_calls(model, given.scale, luma))
        print(f"{model} x{given.scale}: " + ", ".join(f"{name} {1000 * t:.1f} ms" for name, t in times.items()))
    chosen = choose("cpu", "auto").precision
    print(f"auto chooses {chosen}; {machine()}, {cpu_maker() or 'maker unknown'}, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
