"""Compute time, storage and cost of 1, 100 and 10,000 hours of 480p -> 1080p from measured figures.

    python benchmarks/cost_model.py --measure --json PATH
    python benchmarks/cost_model.py --json PATH [--processors 64] [--price 0.04]

``--measure`` enhances 72 frames of 854x480 at 24 fps to 1080p with each model, in whole processes, and stores processor
seconds and bytes of each frame. The table multiplies them. It divides by the efficiency of two workers, which
benchmarks/results/workers.json has. ``--price`` is what a processor costs for an hour.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from _commands import make_clip
from _timer import machine

from vidsr.bench.process_usage import run

RATE, FRAMES, SIZE = 24, 72, "854x480"
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


def table(models: dict[str, dict[str, float]], processors: int, price: float | None) -> str:
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
            cells += [f"{used / 24 / processors:,.1f}", f"{frames * measured['bytes'] / 1e9:,.1f} GB"]
            cells += [] if price is None else [f"{used * price:,.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
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
    print(table(json.loads(arguments.json.read_text())["models"], arguments.processors, arguments.price))


if __name__ == "__main__":
    main()
