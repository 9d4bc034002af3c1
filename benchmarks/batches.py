"""Time of a network for each number of frames in a call on the CPU: the reason why a call takes one frame.

    python benchmarks/batches.py [--models fast,balanced] [--scale 4]

Milliseconds per frame by the clock, all threads of PyTorch, the least of interleaved rounds, for frames of the sample
clip (480x270) and for every fourth pixel of them (120x68).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter

import torch
from _timer import machine
from torch import Tensor

from vidsr.device import Compute
from vidsr.models import load_model
from vidsr.stages.network_runner import Runner
from vidsr.video import VideoReader

SAMPLE = Path(__file__).parents[1] / "samples" / "phone_dog.mp4"
FRAMES, BATCHES, ROUNDS = 8, (1, 2, 4, 8), 3


def milliseconds(model: str, scale: int, luma: Tensor, int8: bool) -> dict[int, float]:
    """Return the time per frame for each number of frames in a call."""
    cpu = Compute(torch.device("cpu"), torch.float32, int8=int8)
    runners = {batch: Runner(load_model(model, scale, int8=int8), cpu, batch=batch) for batch in BATCHES}
    least: dict[int, float] = {}
    for _ in range(ROUNDS + 1):  # the first one prepares weights
        for batch, runner in runners.items():
            started = perf_counter()
            runner(luma, 255, rounded=True)
            seconds = perf_counter() - started
            least[batch] = min(least.get(batch, seconds), seconds)
    return {batch: 1000 * seconds / FRAMES for batch, seconds in least.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="fast,balanced")
    parser.add_argument("--scale", type=int, default=4)
    given = parser.parse_args()
    with VideoReader(SAMPLE) as reader:
        luma = next(reader.batches(FRAMES)).y
    for model in given.models.split(","):
        for int8 in (False, True):
            for frames in (luma, luma[:, :, ::4, ::4].contiguous()):
                times = milliseconds(model, given.scale, frames, int8)
                size = f"{frames.shape[3]}x{frames.shape[2]}"
                row = ", ".join(f"{batch}: {time:.1f}" for batch, time in times.items())
                print(f"{model} x{given.scale} {'int8' if int8 else 'fp32'} {size}: {row}", flush=True)
    print(f"{machine()}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
