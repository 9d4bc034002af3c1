"""Measure what verification costs: packets decoded while the encoder works, against the finished file decoded again.

    python benchmarks/verification.py [--frames 288] [--rounds 3] [--runs x4 2x]

Runs of both ways take turns in this process. "At the end" is the time between the last packet and the end of the run.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from unittest.mock import patch

from _commands import make_clip
from _timer import machine

import vidsr
from vidsr.errors import VerifyError
from vidsr.pipeline import run
from vidsr.runtime import process
from vidsr.video import ExpectedContents

RUNS: dict[str, dict[str, Any]] = {
    "x4": {"scale": 4, "model": "fast"},
    "2x": {"fps": "2x", "interpolation": "flow"},
}
WAYS = {"file decoded again": True, "packets decoded on their way": False}


def as_file(again: bool) -> AbstractContextManager[object]:
    """Leave all decoding to the end: packets without a decoder are checked in the finished file."""
    return patch("vidsr.video.writer.PacketCheck", side_effect=VerifyError) if again else nullcontext()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=288)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    arguments = parser.parse_args()
    process.configure_process()
    print(f"{arguments.frames} frames 480x270, {machine()}")
    ends: list[float] = []

    def timed(expected: ExpectedContents) -> object:
        begun = perf_counter()
        found = verify(expected)
        ends.append(perf_counter() - begun)
        return found

    verify = run.verify
    with tempfile.TemporaryDirectory() as scratch, patch.object(run, "verify", timed):
        clip, target = make_clip(Path(scratch), arguments.frames), Path(scratch, "out.mp4")
        for name in arguments.runs:
            options = RUNS[name]
            vidsr.enhance(clip, output=target, overwrite=True, frames=3, **options)
            rows: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
            for _ in range(arguments.rounds):
                for way, again in WAYS.items():
                    begun, own = perf_counter(), process_time()
                    with as_file(again):
                        vidsr.enhance(clip, output=target, overwrite=True, **options)
                    rows[way].append((perf_counter() - begun, process_time() - own, ends[-1]))
            for way, row in rows.items():
                wall, cpu, end = (statistics.median(column) for column in zip(*row, strict=True))
                print(f"{name}, {way}: {wall:.2f} s, {cpu:.2f} core-s, {end:.2f} s at the end", flush=True)


if __name__ == "__main__":
    main()
