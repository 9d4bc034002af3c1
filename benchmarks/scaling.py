"""Measure how the cost of a run grows with frames, pixels and batch size, as exponents: 1 is linear.

    python benchmarks/scaling.py [--model fast] [--json PATH]
    python benchmarks/scaling.py --workers [--rounds 1] [--json PATH]

Processor time of `vidsr enhance --scale 2 --codec null` in whole processes, minus that of one frame (start-up): for 1,
4 and 16 times 40 frames of 480x270, for 40 frames of 320x180 to 1920x1080, and with 1, 4 and 16 frames per call.

``--workers`` measures the speed of several workers instead (benchmarks/workers.py).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from pathlib import Path
from typing import Any

from _commands import make_clip, vidsr
from _timer import machine

from vidsr.bench.process_usage import run

FRAMES = 40
SIZES = ((320, 180), (640, 360), (960, 540), (1920, 1080))
OPTIONS = ("--scale", "2", "--codec", "null", "--log", "none")


def cost(clip: Path, *options: str) -> float:
    """Return the core-seconds of all frames but the first, the minimum of three runs."""
    command = vidsr(clip, clip.with_name("out.mp4"), *OPTIONS, *options)
    whole, first = (min(run([*command, *more]).cpu for _ in range(3)) for more in ((), ("--frames", "1")))
    return whole - first


def exponent(sizes: list[float], costs: list[float]) -> float:
    """Return the slope of log cost over log size, by least squares."""
    return statistics.linear_regression([math.log(s) for s in sizes], [math.log(c) for c in costs]).slope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--workers", action="store_true")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.workers:
        from workers import measure_all

        store(arguments.json, {"machine": machine(), "workers": measure_all(arguments.rounds)})
        return
    model = ("--model", arguments.model)
    costs: dict[str, dict[str, float]] = {"frames": {}, "pixels": {}, "batch": {}}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for times in (1, 4, 16):
            frames = FRAMES * times
            costs["frames"][str(frames - 1)] = cost(make_clip(folder, frames), *model)
        for width, height in SIZES:
            costs["pixels"][str(width * height)] = cost(make_clip(folder, FRAMES, f"{width}x{height}"), *model)
        for batch in (1, 4, 16):
            costs["batch"][str(batch)] = cost(folder / f"{FRAMES}-480x270.mp4", *model, "--batch", str(batch))
    exponents = {name: exponent([float(s) for s in row], list(row.values())) for name, row in costs.items()}
    for name, row in costs.items():
        print(
            f"{name}: "
            + ", ".join(f"{s}: {c:.2f} core-s" for s, c in row.items())
            + f"; exponent {exponents[name]:.3f}"
        )
    store(arguments.json, {"machine": machine(), "model": arguments.model, "costs": costs, "exponents": exponents})


def store(path: Path | None, result: dict[str, Any]) -> None:
    """Write ``result`` to a file, if one is named."""
    if path is not None:
        path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
