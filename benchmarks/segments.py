"""Measure what segments cost: time and file size of a run in segments against one without, in turn.

    python benchmarks/segments.py [--size 480x270] [--seconds 60] [--rounds 3] [--json PATH] -- --scale 2 --model fast

Segments have their default length. What follows "--" are options of `vidsr enhance`. The table has the median of wall
and processor time over the rounds, and the size of the output.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from _commands import make_clip
from _timer import machine

from vidsr.bench.process_usage import run

RATE = 24  # frames per second of the clip
OPTIONS = ("--log", "none", "--overwrite", "--quiet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="480x270")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("options", nargs="*", default=["--scale", "2", "--model", "fast"])
    arguments = parser.parse_args()
    walls: dict[str, list[float]] = {"0": [], "auto": []}
    cores: dict[str, list[float]] = {"0": [], "auto": []}
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as scratch:
        clip = make_clip(Path(scratch), RATE * arguments.seconds, arguments.size)
        for _ in range(arguments.rounds):
            for segment in walls:
                output = Path(scratch, f"{segment}.mp4")
                command = [sys.executable, "-m", "vidsr", "enhance", str(clip), "-o", str(output), *OPTIONS]
                used = run([*command, "--segment", segment, *arguments.options])
                walls[segment].append(used.wall)
                cores[segment].append(used.cpu)
                sizes[segment] = output.stat().st_size
    result = {
        "machine": machine(),
        "options": arguments.options,
        "clip": f"{arguments.seconds} s of {arguments.size}",
        "wall": {segment: statistics.median(one) for segment, one in walls.items()},
        "cpu": {segment: statistics.median(one) for segment, one in cores.items()},
        "bytes": sizes,
    }
    for name in ("wall", "cpu", "bytes"):
        whole, cut = result[name]["0"], result[name]["auto"]  # type: ignore[index]
        print(f"{name}: {whole:.1f} whole, {cut:.1f} in segments, {100 * (cut / whole - 1):+.1f} %")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
