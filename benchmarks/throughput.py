"""Whole-process wall time of `vidsr enhance` beside the ffmpeg program, and where the time goes.

    python benchmarks/throughput.py [--rounds 3] [--models fast] [--parts runs stages flow memory repeats] [--json PATH]

Input: 300 frames of a real clip at 480x270 (Big Buck Bunny of $VIDSR_DATA, else the shipped sample, repeated).

runs     both sides write 1920x1080 with libx264, crf 18, preset medium, in turn A B A B; medians, and the log's cost
stages   core-seconds of every step (`vidsr bench`), the bound that follows, and the part of it that a run reaches
flow     twice the frame rate at 480x270 beside minterpolate, nothing encoded
memory   peak resident size at 200 and at 2,000 frames of one size, and of 3840x2160 to 7680x4320 within 4 GB
repeats  a screen recording in which most frames repeat, beside the same without reuse

The wall ratio is that of the machine as it was. "Alone" leaves out what other processes took: (own processor time and
idle time of the machine) / processors. With --add the runs of an earlier --json PATH count too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from _timer import machine

from vidsr.process import idle_seconds

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
ENCODER = ["-c:v", "libx264", "-crf", "18", "-preset", "medium", "-pix_fmt", "yuv420p"]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
FRAMES = 300
MODELS = ("fast", "balanced")
MINTERPOLATE = "minterpolate=fps={fps}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1"
STAGED = 96  # frames in the costs of the steps
Table = dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """What one process cost."""

    wall: float  # seconds
    cpu: float  # core-seconds
    idle: float  # core-seconds in which the machine had nothing to do meanwhile
    peak: float  # resident MB

    @property
    def alone(self) -> float:
        """Seconds it would have taken without other processes."""
        return (self.cpu + self.idle) / CORES


def run(command: list[str]) -> Usage:
    """Runs ``command`` to its end; its output is thrown away, a failure is raised."""
    start, idle = time.perf_counter(), idle_seconds() or 0.0
    quiet = os.open(os.devnull, os.O_WRONLY)
    pid = os.posix_spawnp(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)]
    )
    _, status, usage = os.wait4(pid, 0)
    os.close(quiet)
    if status:
        raise SystemExit(f"failed with status {status}: {' '.join(command)}")
    cpu = usage.ru_utime + usage.ru_stime
    return Usage(time.perf_counter() - start, cpu, (idle_seconds() or 0.0) - idle, usage.ru_maxrss / 1024)


def film() -> Path:
    """A real clip: of the data folder if it is there, else a sample."""
    path = DATA / "train" / "clips" / "bbb_1080p24.mp4"
    return path if path.exists() else next((ROOT / "samples").glob("*.mp4"))


def make_clip(folder: Path, frames: int, size: str = "480x270") -> Path:
    """``frames`` frames of a real clip at ``size``, repeated when it is shorter."""
    target = folder / f"{frames}-{size}.mp4"
    scale = f"scale={size.replace('x', ':')}:flags=area"
    loop = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(film()), "-frames:v", str(frames)]
    run([*loop, "-vf", scale, "-an", *ENCODER, "-y", str(target)])
    return target


def vidsr(clip: Path, target: Path, *options: str) -> list[str]:
    """The command that enlarges ``clip`` four times, or does what ``options`` say."""
    size = () if {"--fps", "--scale"} & set(options) else ("--scale", "4")
    enhance = [sys.executable, "-m", "vidsr", "enhance", str(clip), "-o", str(target), *size, "--overwrite"]
    return [*enhance, "--quiet", *options]


def ffmpeg(clip: Path, target: Path, kernel: str) -> list[str]:
    """The ffmpeg command that does the same with a classical kernel."""
    scale = f"scale=1920:1080:flags={kernel}"
    return ["ffmpeg", "-v", "error", "-i", str(clip), "-vf", scale, *ENCODER, "-c:a", "copy", "-y", str(target)]


def runs(folder: Path, before: Table, arguments: argparse.Namespace) -> Table:
    """For each model its runs and ffmpeg's in turn, after those of ``before``, and what they say."""
    clip, target = make_clip(folder, FRAMES), folder / "out.mp4"
    table = dict(before)
    for model in arguments.models:
        commands = {f"ffmpeg {kernel}": ffmpeg(clip, target, kernel) for kernel in ("bicubic", "lanczos")}
        commands[model] = vidsr(clip, target, "--model", model)
        commands[f"{model}, no log"] = vidsr(clip, target, "--model", model, "--log", "none")
        run([*commands[model], "--frames", "2"])  # warm-up: caches of files and of compiled kernels
        done = {name: [Usage(*r) for r in before.get(model, {}).get(name, {}).get("runs", [])] for name in commands}
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                done[name].append(run(command))
        base = next(iter(done.values()))
        table[model] = {name: summary(usages, base) for name, usages in done.items()}
        for name, row in table[model].items():
            print(
                f"{name:18s} {row['wall_s']:.2f} s {FRAMES / row['wall_s']:5.1f} fps {row['wall_ratio']:5.2f} x ffmpeg;"
                f" alone {row['alone_s']:6.2f} s {row['alone_ratio']:5.2f} x; {row['cpu_s']:.1f} core-s"
            )
        log = table[model][model]["alone_s"] / table[model][f"{model}, no log"]["alone_s"]
        table[model][model]["log_ratio"] = log
        print(f"the log costs {log - 1:.1%}", flush=True)
    return table


def summary(usages: list[Usage], base: list[Usage]) -> Table:
    """Medians of a command's runs, and their ratio to ``base``, run by run."""
    pairs = list(zip(usages, base, strict=True))
    return {
        "wall_s": statistics.median(u.wall for u in usages),
        "cpu_s": statistics.median(u.cpu for u in usages),
        "peak_mb": statistics.median(u.peak for u in usages),
        "wall_ratio": statistics.median(u.wall / b.wall for u, b in pairs),
        "alone_s": statistics.median(u.alone for u in usages),
        "alone_ratio": statistics.median(u.alone / b.alone for u, b in pairs),
        "runs": [astuple(u) for u in usages],
    }


def stages(folder: Path, before: Table, arguments: argparse.Namespace) -> Table:
    """What `vidsr bench` says of each model."""
    clip = make_clip(folder, FRAMES)
    table: Table = {}
    for model in arguments.models:
        command = [
            sys.executable,
            "-m",
            "vidsr",
            "bench",
            str(clip),
            "--model",
            model,
            "--frames",
            str(STAGED),
            "--json",
        ]
        table[model] = row = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        costs = ", ".join(f"{name} {1000 * cost:.1f}" for name, cost in row["costs"].items() if cost > 5e-5)
        print(f"{model}: core-ms per frame: {costs}; most in {row['bottleneck']}")
        print(f"  network {row['network_gflops']:.0f} GFLOP/s, {row['of_peak']:.0%} of the bf16 matrix product's")
        reached = f"{row['fps']:.1f} fps on {row['left']:.0%} of the machine, {row['efficiency']:.0%} of it"
        print(f"  bound {row['bound']:.1f} fps, reached {reached}")
    return table


def flow(folder: Path, before: Table, arguments: argparse.Namespace) -> Table:
    """Output frames per second of `--fps 2x` and of minterpolate, from whole processes that encode nothing."""
    frames, fps = 100, 48
    clip, target = make_clip(folder, frames), folder / "out.mp4"
    ours = vidsr(clip, target, "--fps", "2x", "--interpolation", "flow", "--codec", "null", "--log", "none")
    theirs = ["ffmpeg", "-v", "error", "-i", str(clip), "-vf", MINTERPOLATE.format(fps=fps), "-f", "null", "-"]
    run([*ours, "--frames", "3"])
    table: Table = {}
    for name, command in {"minterpolate": theirs, "vidsr flow": ours}.items():
        usages = [run(command) for _ in range(arguments.rounds)]
        alone = statistics.median(u.alone for u in usages)
        table[name] = {"alone_s": alone, "fps": 2 * frames / alone, "wall_s": statistics.median(u.wall for u in usages)}
        print(f"{name:24s} {table[name]['fps']:6.1f} output frames a second, start-up included")
    table["ratio"] = table["vidsr flow"]["fps"] / table["minterpolate"]["fps"]
    print(f"ratio {table['ratio']:.2f}")
    return table


def memory(folder: Path, before: Table, arguments: argparse.Namespace) -> Table:
    """Peak resident MB of a short and a long run, and of a very large picture."""
    table: Table = {}
    for frames in (200, 2000):
        small = make_clip(folder, frames, "160x90")
        table[str(frames)] = run(vidsr(small, folder / "out.mp4", "--model", "fast")).peak
        print(f"peak memory at {frames} frames of 160x90: {table[str(frames)]:.0f} MB")
    large = make_clip(folder, 12, "3840x2160")
    options = ("--scale", "2", "--model", "fast", "--memory", "4G")
    table["3840x2160 to 7680x4320"] = run(vidsr(large, folder / "out.mp4", *options)).peak
    print(f"3840x2160 to 7680x4320 with --memory 4G: {table['3840x2160 to 7680x4320']:.0f} MB")
    return table


def repeats(folder: Path, before: Table, arguments: argparse.Namespace) -> Table:
    """A screen recording: a picture that changes every tenth frame, its frames in between equal to the last bit."""
    table: Table = {}
    moving = make_clip(folder, 200)
    held = folder / "held.mkv"  # lossless, so that decoded frames repeat exactly
    hold = ["ffmpeg", "-v", "error", "-i", str(moving), "-vf", "framestep=10,fps=24", "-c:v", "ffv1", "-y", str(held)]
    run(hold)
    for name, clip in {"every frame new": moving, "nine of ten repeat": held}.items():
        for model in arguments.models:
            command = vidsr(clip, folder / "out.mp4", "--model", model, "--codec", "null", "--log", "none")
            run([*command, "--frames", "2"])
            usages = [run(command) for _ in range(arguments.rounds)]
            table[f"{model}, {name}"] = {"cpu_s": statistics.median(u.cpu for u in usages)}
            print(f"{model}, {name}: {table[f'{model}, {name}']['cpu_s']:.2f} core-s for 200 frames, start-up included")
    return table


PARTS: dict[str, Callable[[Path, Table, argparse.Namespace], Table]] = {
    "runs": runs, "stages": stages, "flow": flow, "memory": memory, "repeats": repeats,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--add", action="store_true", help="to what --json PATH holds")
    arguments = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        raise SystemExit("the ffmpeg program is not installed: the comparison needs it")
    result: Table = json.loads(arguments.json.read_text()) if arguments.add and arguments.json.exists() else {}
    result |= {"machine": machine()}
    print(f"{FRAMES} frames 480x270 -> 1920x1080, libx264 crf 18 medium, {machine()}")
    with tempfile.TemporaryDirectory() as scratch:
        for part in arguments.parts:
            result[part] = PARTS[part](Path(scratch), result.get(part, {}), arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
