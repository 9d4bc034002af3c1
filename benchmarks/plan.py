"""Compare the estimates of `vidsr plan` with the run: python benchmarks/plan.py [CASE...].

Writes benchmarks/results/plan.json. Each case is planned, then run, each in a new process. Clips are the samples,
repeated so that a run takes longer than the trial run of the plan.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av

REPO = Path(__file__).parents[1]
RESULTS = REPO / "benchmarks" / "results" / "plan.json"
CASES: dict[str, tuple[str, int, list[str]]] = {
    "phone_dog x4 fast": ("phone_dog.mp4", 4, ["--scale", "4", "--model", "fast"]),
    "phone_dog x2 balanced": ("phone_dog.mp4", 2, ["--scale", "2", "--model", "balanced"]),
    "city_cut 2x frames, libx265": ("city_cut.mp4", 3, ["--fps", "2x", "--codec", "libx265", "--preset", "fast"]),
}

GAP = 0.05  # seconds between two repetitions, because audio may last longer than video


def repeated(source: Path, target: Path, times: int) -> Path:
    """Write the video and audio of a clip ``times`` times in a row, without encoding."""
    with av.open(str(source)) as old:
        length = old.duration / 1_000_000 + GAP
        with av.open(str(target), "w") as new:
            streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
            for repetition in range(times):
                old.seek(0)
                for packet in old.demux():
                    if packet.dts is None:
                        continue
                    shift = round(repetition * length / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[packet.stream.index]
                    new.mux(packet)
    return target


def timed(*arguments: str) -> tuple[float, str]:
    """Run a command; return its seconds and its standard output."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "vidsr", *arguments]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    return time.perf_counter() - begun, done.stdout


def case(name: str, folder: Path) -> dict[str, Any]:
    clip, times, options = CASES[name]
    source = repeated(REPO / "samples" / clip, folder / "in.mkv", times)
    target = folder / "out.mkv"
    plan_seconds, planned = timed("plan", str(source), "-o", str(target), "--json", *options)
    untouched = sorted(path.name for path in folder.iterdir()) == ["in.mkv"]
    estimate = json.loads(planned)
    seconds, _ = timed("enhance", str(source), "-o", str(target), "--quiet", *options)
    written = target.stat().st_size
    for path in folder.iterdir():
        path.unlink()
    estimated = {key: estimate[key] for key in ("seconds", "bytes", "memory")}
    return {
        "name": name,
        "plan_seconds": plan_seconds,
        "untouched": untouched,
        "basis": estimate["files"][0]["basis"],
        "estimate": estimated,
        "run": {"seconds": seconds, "bytes": written},
    }


def main() -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() and sys.argv[1:] else {"cases": []}
    measured = {one["name"]: one for one in results["cases"]}
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or CASES:
            one = measured[name] = case(name, Path(folder))
            print(
                f"{name}: planned in {one['plan_seconds']:.1f} s ({one['basis']}); "
                f"{one['estimate']['seconds']:.1f} s estimated, {one['run']['seconds']:.1f} s taken; "
                f"{one['estimate']['bytes']} bytes estimated, {one['run']['bytes']} written",
                flush=True,
            )
            RESULTS.write_text(json.dumps({"cases": list(measured.values())}, indent=1) + "\n")


if __name__ == "__main__":
    main()
