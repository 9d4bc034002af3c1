"""Speed of a network of Real-ESRGAN's compact size on a CPU, and the share of PReLU in its time.

    python benchmarks/prelu.py [--precision bf16|fp32|int8] [--threads 1]

The network is that of animevideov3 x4 with random weights, on one frame of 480x270. Times of layers are processor time
of one thread, the best of three; frames a second are real time. The matrix product of 2048 x 2048 shows what the
processor reaches at most in floats.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import perf_counter, process_time

import torch
from _timer import machine
from torch import Tensor, nn

from vidsr.device import DTYPES
from vidsr.models.architectures.compact import Compact, Config
from vidsr.models.int8_compact import Int8Compact
from vidsr.models.layers import ImageNetwork
from vidsr.runtime import process

WIDTH, HEIGHT, SIDE = 480, 270, 2048
MACS = 9 * (3 * 64 + 16 * 64 * 64 + 64 * 48)  # per input pixel


def best(work: Callable[[], object], clock: Callable[[], float] = process_time) -> float:
    """Return seconds, the best of three after a first call."""
    times = []
    for _ in range(4):
        started = clock()
        work()
        times.append(clock() - started)
    return min(times[1:])


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=("bf16", "fp32", "int8"), default="bf16")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    process.configure_process()  # as the command line does: freed memory stays in the process
    torch.set_num_threads(1)
    network: ImageNetwork = Compact(Config(4))
    if arguments.precision == "int8":
        network = Int8Compact(network)
        dtype, layers = torch.float32, int8_layers(network)
    else:
        dtype = DTYPES[arguments.precision]
        network = network.to(dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        layers = [(isinstance(layer, nn.Conv2d), layer) for layer in network.body]
    image = torch.rand(1, 3, HEIGHT, WIDTH).contiguous(memory_format=torch.channels_last)
    seconds = {True: 0.0, False: 0.0}
    x = image.to(dtype)
    for is_convolution, layer in layers:
        seconds[is_convolution] += best(lambda layer=layer, x=x: layer(x))
        x = layer(x)
    rate = 2 * MACS * HEIGHT * WIDTH / seconds[True] / 1e9
    matrix = torch.rand(SIDE, SIDE).to(dtype)
    peak = 2 * SIDE**3 / best(lambda: matrix @ matrix) / 1e9
    whole = best(lambda: network(image))
    torch.set_num_threads(arguments.threads)
    frames = 1 / best(lambda: network(image), perf_counter)
    print(
        f"{arguments.precision}: network {whole:.2f} s; convolutions {seconds[True]:.2f} s, {rate:.0f} GFLOP/s, of "
        f"{peak:.0f} of a matrix product in {dtype}; PReLU {seconds[False]:.3f} s; {frames:.1f} frames/s with "
        f"{arguments.threads} threads; PyTorch {torch.__version__}, {machine()}"
    )


def int8_layers(network: Int8Compact) -> list[tuple[bool, Callable[[Tensor], Tensor]]]:
    """Return the layers in order, each with whether it is a convolution; the first ends in the type of the next."""
    steps: list[tuple[bool, Callable[[Tensor], Tensor]]] = [(True, lambda x: network.first(x).to(torch.bfloat16))]
    for activation, conv in zip(network.activations, network.convs, strict=True):
        steps += [(False, activation), (True, conv)]
    return steps


if __name__ == "__main__":
    main()
