"""Whole-process wall time and peak memory of `vidsr enhance`, side by side with the ffmpeg program.

    python benchmarks/throughput.py [--repeats 3] [--models fast balanced] [--json PATH]

Input: 300 frames of a real clip at 480x270 (Big Buck Bunny of $VIDSR_DATA, else the shipped sample, repeated).
Both sides write 1920x1080 with libx264, crf 18, preset medium; runs alternate A B A B, the median ratio is quoted.
Memory: peak resident size at 200 and at 2,000 frames of one size.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from _timer import machine

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
ENCODER = ["-c:v", "libx264", "-crf", "18", "-preset", "medium", "-pix_fmt", "yuv420p"]


@dataclass(frozen=True)
class Usage:
    """What one process cost."""

    wall: float  # seconds
    cpu: float  # core-seconds
    peak: float  # resident MB


def run(command: list[str]) -> Usage:
    """Runs ``command`` to its end; its output is thrown away, a failure is raised."""
    start = time.perf_counter()
    quiet = os.open(os.devnull, os.O_WRONLY)
    pid = os.posix_spawnp(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)]
    )
    _, status, usage = os.wait4(pid, 0)
    os.close(quiet)
    if status:
        raise SystemExit(f"failed with status {status}: {' '.join(command)}")
    return Usage(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def make_clip(folder: Path, frames: int, size: str = "480x270") -> Path:
    """``frames`` frames of a real clip at ``size``, repeated when it is shorter."""
    film = DATA / "train" / "clips" / "bbb_1080p24.mp4"
    source = film if film.exists() else next((ROOT / "samples").glob("*.mp4"))
    target = folder / f"{frames}.mp4"
    scale = f"scale={size.replace('x', ':')}:flags=area"
    loop = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(source), "-frames:v", str(frames)]
    run([*loop, "-vf", scale, "-an", *ENCODER, "-y", str(target)])
    return target


def vidsr(clip: Path, target: Path, *options: str) -> list[str]:
    """The command that enlarges ``clip`` four times."""
    enhance = [sys.executable, "-m", "vidsr", "enhance", str(clip), "-o", str(target), "--scale", "4", "--overwrite"]
    return [*enhance, "--quiet", *options]


def ffmpeg(clip: Path, target: Path, kernel: str) -> list[str]:
    """The ffmpeg command that does the same with a classical kernel."""
    scale = f"scale=1920:1080:flags={kernel}"
    return ["ffmpeg", "-v", "error", "-i", str(clip), "-vf", scale, *ENCODER, "-c:a", "copy", "-y", str(target)]


def compare(commands: dict[str, list[str]], repeats: int) -> dict[str, dict[str, float]]:
    """Median cost of each command over alternating runs, and its ratio to the first, pair by pair."""
    for command in commands.values():
        run(command)  # warm-up: caches of files and of compiled kernels
    runs: dict[str, list[Usage]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            runs[name].append(run(command))
    base = next(iter(runs.values()))
    return {
        name: {
            "wall_s": statistics.median(u.wall for u in usages),
            "cpu_s": statistics.median(u.cpu for u in usages),
            "peak_mb": statistics.median(u.peak for u in usages),
            "wall_ratio": statistics.median(u.wall / b.wall for u, b in zip(usages, base, strict=True)),
        }
        for name, usages in runs.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=["fast"])
    parser.add_argument("--no-memory", action="store_true", help="skip the two runs that measure memory")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        raise SystemExit("the ffmpeg program is not installed: the comparison needs it")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clip, target = make_clip(folder, 300), folder / "out.mp4"
        commands = {f"ffmpeg {kernel}": ffmpeg(clip, target, kernel) for kernel in ("bicubic", "lanczos")}
        for model in arguments.models:
            commands[f"vidsr {model}"] = vidsr(clip, target, "--model", model)
            commands[f"vidsr {model}, no log"] = vidsr(clip, target, "--model", model, "--log", "none")
        table = compare(commands, arguments.repeats)
        print(f"300 frames 480x270 -> 1920x1080, libx264 crf 18 medium, {machine()}")
        for name, row in table.items():
            print(
                f"{name:24s} {row['wall_s']:7.2f} s  {300 / row['wall_s']:6.1f} fps  {row['wall_ratio']:5.2f} x ffmpeg"
            )
        memory: dict[str, float] = {}
        if not arguments.no_memory:
            for frames in (200, 2000):
                small = make_clip(folder, frames, "160x90")
                memory[str(frames)] = run(vidsr(small, target, "--model", arguments.models[0])).peak
                print(f"peak memory at {frames} frames of 160x90: {memory[str(frames)]:.0f} MB")
            print(f"ratio {memory['2000'] / memory['200']:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "table": table, "memory_mb": memory}, indent=1))


if __name__ == "__main__":
    main()
