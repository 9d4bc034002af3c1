"""Share of PReLU in the time of a network of Real-ESRGAN's compact size, on a CPU.

    python benchmarks/prelu.py [--precision bf16|fp32]

The network is that of animevideov3 x4 with random weights, on one frame of 480x270. Times are processor time of one
thread, the best of three. The matrix product of 2048 x 2048 shows what the processor reaches at most.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import process_time

import torch
from _timer import machine
from torch import nn

from vidsr.device import DTYPES
from vidsr.models.architectures.compact import Compact, Config
from vidsr.runtime import process

WIDTH, HEIGHT, SIDE = 480, 270, 2048


def best(work: Callable[[], object]) -> float:
    """Return processor seconds, the best of three after a first call."""
    times = []
    for _ in range(4):
        started = process_time()
        work()
        times.append(process_time() - started)
    return min(times[1:])


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    dtype = DTYPES[parser.parse_args().precision]
    process.configure_process()  # as the command line does: freed memory stays in the process
    torch.set_num_threads(1)
    network = Compact(Config(4)).to(dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.rand(1, 3, HEIGHT, WIDTH).contiguous(memory_format=torch.channels_last)
    seconds = {nn.Conv2d: 0.0, nn.PReLU: 0.0}
    macs, x = 0, image.to(dtype)
    for layer in network.body:
        seconds[type(layer)] += best(lambda layer=layer, x=x: layer(x))
        x = layer(x)
        macs += layer.weight.numel() * HEIGHT * WIDTH if isinstance(layer, nn.Conv2d) else 0
    matrix = torch.rand(SIDE, SIDE).to(dtype)
    peak = 2 * SIDE**3 / best(lambda: matrix @ matrix) / 1e9
    rate = 2 * macs / seconds[nn.Conv2d] / 1e9
    print(
        f"network {best(lambda: network(image)):.2f} s; convolutions {seconds[nn.Conv2d]:.2f} s, {rate:.0f} GFLOP/s, of"
    )
    print(f"{peak:.0f} of a matrix product; PReLU {seconds[nn.PReLU]:.3f} s; PyTorch {torch.__version__}, {machine()}")


if __name__ == "__main__":
    main()
