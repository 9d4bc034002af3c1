"""Measure the whole-process time of `vidsr enhance` against the ffmpeg program, and the cost of each step.

    python benchmarks/throughput.py [--rounds 3] [--models fast] [--parts runs stages flow ...] [--json PATH]

Input: 300 frames of a real clip at 480x270 (Big Buck Bunny of $VIDSR_DATA, else the shipped sample, repeated).

runs     both programs write 1920x1080 with libx264, CRF 18, preset medium, in turn A B A B; medians, and the cost of
         the log; ffmpeg with its default of x264 threads (the bar refers to it), and with as many as vidsr uses
stages   core-seconds of every step (`vidsr bench`), the bounds that follow, and the share of them that a run reaches;
         OpenCV's resize and the Numba kernels, to compare with the network
flow     twice the frame rate at 480x270 by `flow` and `net` against minterpolate, without encoding
memory   peak resident size at 200 and at 2,000 frames of one size, of 3840x2160 to 7680x4320 within 4 GB, and of
         480x270 to 1920x1080 by part: without encoder, with a short lookahead, without verification, ffmpeg
repeats  slides, and a desktop with a window that moves, against a clip without repeated frames
start    `--help`, and a run of two frames with decoding, network and encoding
threads  one thread for the network and for the kernels; three to eight for x264, in vidsr and in the ffmpeg program

The last lines list the bars and whether they hold. The wall ratio includes the load of other processes. "Alone" leaves
it out: (own processor time + idle time of the machine) / processors. With --add, the runs of an earlier --json PATH
count too.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import astuple
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

from _commands import desktop_clip, ffmpeg, held_clip, make_clip, vidsr
from _throughput_bars import bars
from _timer import machine

from vidsr.bench.process_usage import Usage, run
from vidsr.options.codecs import Encoding
from vidsr.runtime import process

FRAMES = 300
MODELS = ("fast", "balanced", "best", "balanced-t")
STAGED = 96  # frames, for the costs of the steps
SHARED = 72  # frames, for each of the many ways to share the threads
X264_THREADS = (3, 4, 5, 6, 8)  # the default of x264 is three on two processors
Table = dict[str, Any]
Command = list[str]


def selected(commands: dict[str, Command], arguments: argparse.Namespace) -> dict[str, Command]:
    """Return the first of ``commands`` and those that ``--rows`` names; all without it."""
    base = next(iter(commands))
    return {name: one for name, one in commands.items() if name == base or name in (arguments.rows or commands)}


def runs(folder: Path, before: Table, arguments: argparse.Namespace) -> Table:
    """Run each model and ffmpeg in turn, add the runs of ``before``, and return the summaries."""
    clip, target = make_clip(folder, arguments.frames), folder / "out.mp4"
    table = dict(before)
    threads = Encoding().frame_threads(1080, process.processors())
    fair, logless = f"ffmpeg bicubic, {threads} threads", "{}, no log"
    for model in arguments.models:
        commands = {f"ffmpeg {kernel}": ffmpeg(clip, target, kernel) for kernel in ("bicubic", "lanczos")}
        if threads:
            commands[fair] = ffmpeg(clip, target, "bicubic", threads)
        commands[model] = vidsr(clip, target, "--model", model)
        commands[logless.format(model)] = vidsr(clip, target, "--model", model, "--log", "none")
        run([*commands[model], "--frames", "2"])  # warm-up: caches of files and of compiled kernels
        commands = selected(commands, arguments)
        done = {name: [Usage(*r) for r in before.get(model, {}).get(name, {}).get("runs", [])] for name in commands}
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                done[name].append(run(command))
        base = next(iter(done.values()))
        table[model] = rows = {name: summary(usages, base) for name, usages in done.items()}
        for name, row in rows.items():
            print(
                f"{name:18s} {row['wall_s']:.2f} s {arguments.frames / row['wall_s']:5.1f} fps"
                f" {row['wall_ratio']:5.2f} x ffmpeg;"
                f" alone {row['alone_s']:6.2f} s {row['alone_ratio']:5.2f} x; {row['cpu_s']:.1f} core-s",
                flush=True,
            )
        if {model, fair} <= set(rows):
            print(f"{model} relative to {fair}: {rows[model]['wall_ratio'] / rows[fair]['wall_ratio']:.2f} x")
        if {model, logless.format(model)} <= set(rows):
            rows[model]["log_ratio"] = log = rows[model]["alone_s"] / rows[logless.format(model)]["alone_s"]
            print(f"the log costs {log - 1:.1%}", flush=True)
    return table


def summary(usages: list[Usage], base: list[Usage]) -> Table:
    """Return the medians of the runs of a command, and their ratio to ``base``, run by run."""
    pairs = list(zip(usages, base[-len(usages) :], strict=True))
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
    """Return the output of `vidsr bench` for each model."""
    clip = make_clip(folder, arguments.frames)
    table: Table = {}
    for model in arguments.models:
        command = [sys.executable, "-m", "vidsr", "bench", str(clip), "--model", model, "--json"]
        command += ["--frames", str(STAGED), "--rounds", str(arguments.rounds)]
        table[model] = row = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        costs = ", ".join(f"{name} {1000 * cost:.1f}" for name, cost in row["costs"].items() if cost > 5e-5)
        print(f"{model}: core-ms per frame: {costs}; most in {row['bottleneck']}")
        print(
            f"  network {row['network_gflops']:.0f} GFLOP/s, {row['network_share']:.0%} of the bf16 matrix-product rate"
        )
        reached = f"{row['fps']:.1f} fps on {row['machine_share']:.0%} of the machine, {row['efficiency']:.0%} of it"
        print(f"  bound {row['bound']:.1f} fps, reached {reached}; at most {row['memory']:.0f} MB")
        print(f"  roofline {row['roofline']:.1f} fps, {row['roofline_share']:.0%} of it reached")
        resizes = ", ".join(f"{name} {1000 * cost:.2f}" for name, cost in row["resizes"].items())
        print(f"  core-ms per frame to resize its planes and do nothing else: {resizes}")
    return table


def flow(folder: Path, before: Table, arguments: argparse.Namespace) -> Table:
    """Return the output frames per second of `--fps 2x` and of minterpolate, whole processes without encoding.

    On one processor too, to show what the others gain.
    """
    from vidsr.evaluate.minterpolate import FILTER

    clip, target = make_clip(folder, arguments.frames), folder / "out.mp4"
    theirs = ["ffmpeg", "-v", "error", "-i", str(clip), "-vf", FILTER.format(fps=48), "-f", "null", "-"]
    ours = {
        engine: vidsr(clip, target, "--fps", "2x", "--interpolation", engine, "--codec", "null", "--log", "none")
        for engine in ("flow", "net")
    }
    commands = {"minterpolate": theirs, "flow, 1 processor": ["taskset", "-c", "0", *ours["flow"]], **ours}
    commands = selected(commands, arguments)
    for command in ours.values():
        run([*command, "--frames", "3"])
    rounds = [{name: run(command) for name, command in commands.items()} for _ in range(arguments.rounds)]
    table: Table = {name: summary([r[name] for r in rounds], [r["minterpolate"] for r in rounds]) for name in commands}
    for name, row in table.items():
        row["fps"], row["ratio"] = 2 * arguments.frames / row["wall_s"], 1 / row["wall_ratio"]
        costs = f"{row['wall_s']:.1f} s, {row['cpu_s']:.1f} core-s, {row['peak_mb']:.0f} MB"
        print(
            f"{name:18s} {row['fps']:6.1f} output frames per second, {row['ratio']:.2f} times minterpolate's; {costs}"
        )
    if {"flow", "flow, 1 processor"} <= set(table):
        gain = table["flow, 1 processor"]["wall_s"] / table["flow"]["wall_s"]
        print(f"flow on all processors is {gain:.2f} times as fast as on one", flush=True)
    return table


def memory(folder: Path, before: Table, arguments: argparse.Namespace) -> Table:
    """Return the peak resident MB of a short and a long run, and of a very large frame."""
    clip, target = make_clip(folder, SHARED + 48), folder / "out.mp4"
    small = {str(frames): make_clip(folder, frames, "160x90") for frames in (200, 2000)}
    large = ("--scale", "2", "--model", "fast", "--memory", "4G")
    parts = {name: vidsr(one, target, "--model", "fast") for name, one in small.items()} | {
        "two frames, not encoded": vidsr(clip, target, "--model", "fast", "--codec", "null", "--frames", "2"),
        "not encoded": vidsr(clip, target, "--model", "fast", "--codec", "null"),
        "lookahead of 10 frames": vidsr(clip, target, "--model", "fast", "--encoder-option", "rc-lookahead=10"),
        "not verified": vidsr(clip, target, "--model", "fast", "--no-verify"),
        "whole run": vidsr(clip, target, "--model", "fast"),
        "ffmpeg bicubic, 5 threads": ffmpeg(clip, target, "bicubic", 5),
        "3840x2160 to 7680x4320": vidsr(make_clip(folder, 12, "3840x2160"), target, *large),
    }
    table: Table = {}
    for name, command in parts.items():
        if name in (arguments.rows or parts):
            table[name] = run(command).peak
            print(f"peak memory, {name}: {table[name]:.0f} MB", flush=True)
    return table


def repeats(folder: Path, before: Table, arguments: argparse.Namespace) -> Table:
    """Return the cost of an x2 upscale of 1280x720 screen recordings, with tile reuse and without."""
    frames = 60
    moving = make_clip(folder, frames, "1280x720")
    clips = {
        "every frame new": moving,
        "nine of ten repeat": held_clip(folder, moving),
        "a window moves, lossless": desktop_clip(folder, moving, frames, ("ffv1",)),
        "a window moves, x264 crf 18": desktop_clip(folder, moving, frames, ("libx264", "-crf", "18")),
    }
    table: Table = {}
    for model in arguments.models:
        for name, clip in clips.items():
            table[f"{model}, {name}"] = row = reusing(clip, model, frames)
            costs = f"{row['computed_ms']:.1f} core-ms per frame computed in full, {row['reused_ms']:.1f} with reuse"
            print(f"{model}, {name}: {costs}, {row['gain']:.1f} times; search {row['looking']:.2%} of the network")
    return table


def reusing(clip: Path, model: str, frames: int) -> Table:
    """Upscale ``clip`` in this process: core-ms per frame, and the share of the search for unchanged tiles."""
    from vidsr.kernels.changed_tiles import changed_tiles
    from vidsr.options.enhance import parse_options
    from vidsr.pipeline.plan import make_plan
    from vidsr.stages.build import build_stages
    from vidsr.stages.tile_reuse import SIDE
    from vidsr.video import VideoReader

    with VideoReader(clip, frames=frames) as reader:
        plan = make_plan(parse_options(scale=2, model=model), reader.info)
        batches = list(reader.batches(plan.frames_per_batch))
    upscale = build_stages(plan.stages, reader.info).upscale
    assert upscale is not None
    ((tiles,),) = upscale.devices
    runner = tiles.runner
    frames_y = [luma for batch in batches for luma in batch.y]

    def timed(work: Callable[[], object]) -> float:
        begun = process_time()
        work()
        return 1000 * (process_time() - begun) / len(frames_y)

    def computed() -> None:
        for batch in batches:
            runner(batch.y, 255, True)
            upscale._chroma(batch, upscale.watch)

    def reused() -> None:
        for _ in upscale(iter(batches)):
            pass

    def searched() -> None:
        for a, b in pairwise(frames_y):
            changed_tiles(a[0].numpy(), b[0].numpy(), SIDE, runner.network.halo)

    runner(batches[0].y, 255, True)
    timed(searched)  # kernels are compiled
    whole, again, looking = timed(computed), timed(reused), timed(searched)
    return {"computed_ms": whole, "reused_ms": again, "gain": whole / again, "looking": looking / whole}


def start(folder: Path, before: Table, arguments: argparse.Namespace) -> Table:
    """Return the core-seconds that do not grow with the clip."""
    two = vidsr(make_clip(folder, FRAMES), folder / "out.mp4", "--model", "fast", "--frames", "2")
    commands = {"help": [sys.executable, "-m", "vidsr", "--help"], "two frames": two}
    table: Table = {}
    for name, command in commands.items():
        run(command)
        table[name] = statistics.median(run(command).cpu for _ in range(arguments.rounds))  # only one core works
        print(f"start: {name} {table[name]:.2f} core-s")
    return table


def threads(folder: Path, before: Table, arguments: argparse.Namespace) -> Table:
    """Time the ways to share processors between network (PyTorch), kernels (Numba) and encoder, and ffmpeg."""
    target, clip = folder / "out.mp4", make_clip(folder, SHARED)
    network, kernels = {"OMP_NUM_THREADS": "1"}, {"NUMBA_NUM_THREADS": "1"}
    ways = {"ffmpeg bicubic": (ffmpeg(clip, target, "bicubic"), {})}
    ways |= {f"ffmpeg bicubic, x264 {n}": (ffmpeg(clip, target, "bicubic", n), {}) for n in X264_THREADS}
    for model in arguments.models:
        command = vidsr(clip, target, "--model", model, "--log", "none", "--no-verify")
        run([*command, "--frames", "2"])
        ways[model] = (command, {})
        ways[f"{model}, network 1"] = (command, network)
        ways[f"{model}, network 1, kernels 1"] = (command, network | kernels)
        ways |= {f"{model}, x264 {n}": ([*command, "--encoder-option", f"threads={n}"], {}) for n in X264_THREADS}
    usages: dict[str, list[Usage]] = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way, (command, environment) in ways.items():
            usages[way].append(run(command, environment))
    table = {way: summary(row, usages["ffmpeg bicubic"]) for way, row in usages.items()}
    for way, row in table.items():
        figures = f"alone {row['alone_s']:5.2f} s, {row['cpu_s']:5.2f} core-s, {row['wall_s']:5.2f} s wall"
        print(f"{way:30s} {figures}")
    return table


PARTS: dict[str, Callable[[Path, Table, argparse.Namespace], Table]] = {
    "runs": runs, "stages": stages, "flow": flow, "memory": memory, "repeats": repeats, "start": start,
    "threads": threads,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument(
        "--rows", nargs="+", help="rows of `runs` and `flow`, with the first of each table, or of `memory`"
    )
    parser.add_argument("--frames", type=int, default=FRAMES, help="of the clip of `runs`, `stages` and `flow`")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--add", action="store_true", help="add to the runs in --json PATH")
    arguments = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        raise SystemExit("the ffmpeg program is not installed: the comparison needs it")
    result: Table = json.loads(arguments.json.read_text()) if arguments.add and arguments.json.exists() else {}
    result |= {"machine": machine()}
    process.configure_process()  # measure under the settings of the command line
    print(f"{arguments.frames} frames 480x270 -> 1920x1080, libx264 crf 18 medium, {machine()}")
    with tempfile.TemporaryDirectory() as scratch:
        for part in arguments.parts:
            result[part] = PARTS[part](Path(scratch), result.get(part, {}), arguments)
    print(*bars(result), sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
