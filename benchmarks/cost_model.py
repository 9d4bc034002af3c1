"""Compute time, storage and cost of 1, 100 and 10,000 hours of 480p -> 1080p from measured figures.

    python benchmarks/cost_model.py --measure --json PATH
    python benchmarks/cost_model.py --storage --json PATH
    python benchmarks/cost_model.py --json PATH [--processors 64] [--price 0.04]

``--measure`` enhances 72 frames of 854x480 at 24 fps to 1080p with each model, in whole processes, and stores processor
seconds and bytes of each frame. ``--storage`` does so with the first three seconds of every clip of the data folder
that has as many pixels, and stores bytes alone. The table multiplies: its storage is the mean over these clips. It
divides by the efficiency of two workers, which benchmarks/results/workers.json has. ``--price`` is what a processor
costs for an hour.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from _commands import DATA, ENCODER, make_clip
from _timer import machine

from vidsr.bench.process_usage import run
from vidsr.errors import VidsrError
from vidsr.video import VideoReader

RATE, FRAMES = 24, 72
WIDTH, HEIGHT = 854, 480
SIZE = f"{WIDTH}x{HEIGHT}"
MODELS = ("fast", "balanced")
HOURS = (1, 100, 10_000)
EFFICIENCY = Path(__file__).parent / "results" / "workers.json"


def measure(model: str, clip: Path) -> dict[str, float]:
    """Return processor seconds and bytes of a frame, without the seconds of the start."""
    output = clip.with_name(f"{model}.mp4")
    command = [sys.executable, "-m", "vidsr", "enhance", str(clip), "-o", str(output), "--height", "1080"]
    options = ["--model", model, "--log", "none", "--overwrite", "--quiet"]
    first = run([*command, *options, "--frames", "1"])
    whole = run([*command, *options])
    frames = FRAMES - 1
    return {"cpu_s": (whole.cpu - first.cpu) / frames, "bytes": output.stat().st_size / FRAMES}


def large_clips() -> list[Path]:
    """Return the clips of the data folder that have enough pixels to become smaller."""
    found = []
    for path in sorted((DATA / "clips").iterdir()):
        try:
            with VideoReader(path) as reader:
                is_large = reader.info.width >= WIDTH and reader.info.height >= HEIGHT
        except VidsrError:
            continue
        found += [path] if is_large else []
    return found


def measure_storage(source: Path, folder: Path) -> float:
    """Return the bytes of an output frame of ``source``, made smaller first."""
    clip, output = folder / f"{source.stem}.mp4", folder / f"{source.stem}-out.mp4"
    frames = ["-frames:v", str(FRAMES), "-vf", f"fps={RATE},scale={WIDTH}:{HEIGHT}:flags=area"]
    run(["ffmpeg", "-v", "error", "-i", str(source), *frames, "-an", *ENCODER, "-y", str(clip)])
    enhance = [sys.executable, "-m", "vidsr", "enhance", str(clip), "-o", str(output), "--height", "1080"]
    run([*enhance, "--model", MODELS[0], "--log", "none", "--quiet"])
    with VideoReader(output) as reader:
        written = sum(len(batch) for batch in reader.batches(8))
    return output.stat().st_size / written


def storage_table(clips: dict[str, float]) -> str:
    """Return the table of the clips in Markdown, the smallest output first."""
    hours = {name: one * 3600 * RATE / 1e9 for name, one in sorted(clips.items(), key=lambda item: item[1])}
    hours["**mean**"] = sum(hours.values()) / len(hours)
    rows = [f"| {name} | {size:.1f} GB |" for name, size in hours.items()]
    return "\n".join(["| clip | an hour of output |", "|---|---|", *rows])


def table(models: dict[str, dict[str, float]], bytes_per_frame: float, processors: int, price: float | None) -> str:
    """Return the table in Markdown: hours of all processors, days on ``processors``, storage, cost."""
    efficiency = json.loads(EFFICIENCY.read_text())["workers"]["real"]
    share = min(1.0, efficiency["speedup"] / efficiency["workers"])
    columns = ["model", "fps of a processor", "hours of video", "processor hours", f"days on {processors}", "output"]
    columns += [] if price is None else [f"cost at {price}"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for model, measured in models.items():
        for hours in HOURS:
            frames = hours * 3600 * RATE
            used = frames * measured["cpu_s"] / share / 3600
            cells = [model, f"{share / measured['cpu_s']:.1f}", f"{hours:,}", f"{used:,.0f}"]
            cells += [f"{used / 24 / processors:,.1f}", f"{frames * bytes_per_frame / 1e9:,.1f} GB"]
            cells += [] if price is None else [f"{used * price:,.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--storage", action="store_true")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--processors", type=int, default=64)
    parser.add_argument("--price", type=float)
    arguments = parser.parse_args()
    if arguments.measure:
        with tempfile.TemporaryDirectory() as scratch:
            clip = make_clip(Path(scratch), FRAMES, SIZE)
            models = {model: measure(model, clip) for model in MODELS}
        result = {"machine": machine(), "clip": f"{FRAMES} frames of {SIZE}", "models": models}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    result = json.loads(arguments.json.read_text())
    if arguments.storage:
        with tempfile.TemporaryDirectory() as scratch:
            result["storage"] = {one.stem: measure_storage(one, Path(scratch)) for one in large_clips()}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    clips = result["storage"]
    print(storage_table(clips), end="\n\n")
    print(table(result["models"], sum(clips.values()) / len(clips), arguments.processors, arguments.price))


if __name__ == "__main__":
    main()
