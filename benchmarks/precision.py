"""Speed of a 3x3 convolution on this processor in each precision: the reason for what `--precision auto` chooses.

    python benchmarks/precision.py [--channels 32]

One frame of 480x270, one thread, processor time, the median of interleaved calls. int8 is a call of oneDNN with uint8
input and output, as the networks use it.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from time import process_time

import torch
from _timer import machine

from vidsr.device import choose, cpu_maker
from vidsr.models.fused import ConvReLU

WIDTH, HEIGHT, REPEATS = 480, 270, 9


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


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=32)
    channels = parser.parse_args().channels
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {}
    functions = calls(channels)
    for _ in range(REPEATS + 2):
        for name, function in functions.items():
            started = process_time()
            function()
            times.setdefault(name, []).append(process_time() - started)
    operations = 2 * channels**2 * 9 * (HEIGHT - 2) * (WIDTH - 2)
    for name, seconds in times.items():
        middle = statistics.median(seconds[2:])
        print(f"{name}: {1000 * middle:.2f} ms, {operations / middle / 1e9:.0f} billion operations a second")
    chosen = choose("cpu", "auto").precision
    print(f"auto chooses {chosen}; {machine()}, {cpu_maker() or 'maker unknown'}, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
