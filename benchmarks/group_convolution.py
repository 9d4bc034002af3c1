"""Convolutions with tied kernels: by orbits against the usual convolutions of PyTorch; seconds of both, their ratio.

    python benchmarks/group_convolution.py [--threads 1 2] [--repeats 10] [--json PATH]

In float32: `best` x4 on an image of 480x270, then the work of a training step, forward and backward, on 16 patches of
64 pixels. Calls alternate A B A B after a warm-up; times are medians, the ratio is the median round by round. Where a
processor multiplies in bf16, networks run in bf16, by usual convolutions.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from _timer import interleaved, machine, ratio

from vidsr.models import fused, load_model
from vidsr.models.equivariant import use_orbit_convolutions
from vidsr.runtime import process

Pair = tuple[Callable[[], object], Callable[[], object]]  # usual, by orbits


def inference() -> Pair:
    """`best` x4 with fused layers, as a run uses it."""
    network = load_model("best", 4).network
    by_orbits = fused.fuse_layers(network)
    fused.use_orbit_convolutions = lambda network, frozen: 0
    usual = fused.fuse_layers(network)
    fused.use_orbit_convolutions = use_orbit_convolutions
    x = torch.rand(1, 1, 270, 480)
    with torch.inference_mode():
        assert torch.allclose(by_orbits(x), usual(x), atol=1e-3)
    return torch.inference_mode()(lambda: usual(x)), torch.inference_mode()(lambda: by_orbits(x))


def training_step() -> Pair:
    """Forward and backward on a batch, without the optimiser."""
    usual = copy.deepcopy(load_model("best", 4).network).requires_grad_()
    by_orbits = copy.deepcopy(usual).to(memory_format=torch.contiguous_format)
    use_orbit_convolutions(by_orbits)
    usual.to(memory_format=torch.channels_last)
    x = torch.rand(16, 1, 64, 64)
    return (
        lambda: usual.interior(x).square().mean().backward(),
        lambda: by_orbits.interior(x).square().mean().backward(),
    )


CASES: dict[str, Callable[[], Pair]] = {
    "best x4, 480x270": inference,
    "training step, 16 patches of 64": training_step,
}


def measure(repeats: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, make in CASES.items():
        usual, by_orbits = make()
        seconds = interleaved({"usual": usual, "orbits": by_orbits}, repeats, warm_up=1)
        medians = {key: statistics.median(values) for key, values in seconds.items()}
        rows.append({"case": name, **medians, "ratio": ratio(seconds["usual"], seconds["orbits"])})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        process.configure_process()  # run as the command does
        print(json.dumps(measure(arguments.repeats)))
        return
    table = []
    print(machine())
    for threads in arguments.threads:  # a process for each: thread pools are made once
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
        command = [sys.executable, __file__, "--child", "--repeats", str(arguments.repeats)]
        for row in json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout):
            table.append({"threads": threads, **row})
            print(
                f"{threads} threads  {row['case']:32}  usual {row['usual']:.3f} s  by orbits {row['orbits']:.3f} s  "
                f"{row['ratio']:.2f} times as fast"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "rows": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
