"""Processor seconds of a batch in a worker process, against the same batch in the process of the command line.

    python benchmarks/worker_process.py

Clips are tiny, so the cost of the second process shows. docs/decisions/0027-worker-processes.md has the figures.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.video import VideoWriter

ROUNDS = 3
COUNTS = (2, 8)  # clips of a batch
HERE = "from vidsr.runtime import process; process.is_configured = lambda: False; "
RUN = "import sys; {}from vidsr.__main__ import run; sys.argv[0] = 'vidsr'; run()"


def main() -> None:
    """Print the processor seconds of each way."""
    with TemporaryDirectory() as folder:
        for count in COUNTS:
            clips = Path(folder, str(count))
            clips.mkdir()
            for number in range(count):
                write_clip(clips / f"{number}.mp4")
            seconds: dict[str, list[float]] = {"worker": [], "one process": []}
            for _ in range(ROUNDS):
                for name, setup in (("worker", ""), ("one process", HERE)):
                    seconds[name].append(run(clips, setup))
            worker, here = (median(times) for times in seconds.values())
            print(f"{count} clips: {worker:.2f} core-s in a worker, {here:.2f} in one process, {worker - here:+.2f}")


def run(clips: Path, setup: str) -> float:
    """Return the processor seconds of a batch over ``clips``, those of its worker included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    options = ("--scale", "2", "--model", "nearest", "--preset", "ultrafast", "--quiet", "--overwrite")
    command = [sys.executable, "-c", RUN.format(setup), "enhance", str(clips), "-o", f"{clips}.out/", *options]
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def write_clip(path: Path) -> None:
    """Write ten grey frames of 64x48."""
    info = VideoInfo(64, 48, Fraction(25))
    with VideoWriter(path, info, Encoding("libx264")) as writer:
        for number in range(10):
            y = torch.full((1, 1, 48, 64), 16 + number, dtype=torch.uint8)
            uv = torch.full((1, 2, 24, 32), 128, dtype=torch.uint8)
            writer.write(FrameBatch(y, uv, (Fraction(number, 25),), (Origin(number),)))


if __name__ == "__main__":
    main()
