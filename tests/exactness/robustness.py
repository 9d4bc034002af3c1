"""Measurements of verification, planning and damaged input."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from time import perf_counter

import av
import numpy as np

from tests import damage
from tests.clips import make_clip
from tests.exactness.table import REPO, Finding, Unmeasured, folder, row, run
from tests.fuzz import calls as fuzz
from vidsr.cli.batch import enhance_listed
from vidsr.cli.progress import Reporter, Verbosity
from vidsr.errors import VidsrError
from vidsr.options.enhance import parse_options
from vidsr.options.paths import list_jobs

PLAN_RESULTS = REPO / "benchmarks" / "results" / "plan.json"
VARIANTS = 30  # damaged copies of each clip


@row("6 Verification", tested_in="tests/pipeline/test_damage.py")
def named_damage(tmp_path: Path) -> Finding:
    """Damage to good outputs in mkv, mp4, mov and webm: vidsr verify detects each by the check that names it, without
    the report of the run; undamaged copies have no difference.
    """
    outputs = cache(damage.good_outputs(tmp_path))
    missed, count = [], 0
    for number, (kind, suffix) in enumerate(damage.combinations()):
        (source, good), target = outputs(suffix, kind in damage.HDR), tmp_path / f"{number}{suffix}"
        pattern = damage.damaged(kind, source, good, target)
        count += 1
        if not damage.names(pattern, damage.found_differences(source, target)):
            missed.append(f"{kind} in {suffix}")
    kinds = ", ".join(damage.KINDS)
    words = f"{count - len(missed)} of {count} files with {len(damage.KINDS)} kinds of damage ({kinds})"
    return Finding(words, not missed)


@row("7 Plan", varies=True)
def estimates_of_plan(tmp_path: Path) -> Finding:
    """vidsr plan: under 20 s, no file written; estimates against runs (`python benchmarks/plan.py`)."""
    if not PLAN_RESULTS.exists():
        raise Unmeasured(f"no {PLAN_RESULTS.name}")
    results = json.loads(PLAN_RESULTS.read_text())
    longest = max(case["plan_seconds"] for case in results["cases"])
    words = "; ".join(
        f"{case['name']}: {case['estimate']['seconds']:.1f} s for {case['run']['seconds']:.1f} s, "
        f"{case['estimate']['bytes'] / 1e6:.2f} MB for {case['run']['bytes'] / 1e6:.2f} MB"
        for case in results["cases"]
    )
    return Finding(
        f"longest plan {longest:.1f} s; {words}", longest < 20 and all(case["untouched"] for case in results["cases"])
    )


@row("8 Bad input")
def bad_input(tmp_path: Path) -> Finding:
    """Unusual and damaged files: done, or one clear error (exit code 2), no partial file."""
    outcomes = Counter()
    for name, (make, expected) in BAD.items():
        place = folder(tmp_path, name)
        source = make(place)
        before = {path.name for path in place.iterdir()}
        try:
            run(source, place / "out.mkv", scale=1)
            result = "done"
            assert (place / "out.mkv").exists()
        except VidsrError as error:
            result = str(error)
            assert "\n" not in result.replace(str(source), "") and {path.name for path in place.iterdir()} == before
        assert re.search(expected, result), f"{name}: {result}"
        outcomes["done" if result == "done" else "refused"] += 1
    names = ", ".join(name.replace("_", " ") for name in BAD)
    return Finding(f"{outcomes['done']} done, {outcomes['refused']} refused with one error ({names})", True)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def shortened(path: Path) -> Path:
    return written(path, path.read_bytes()[: path.stat().st_size * 2 // 3])


def with_garbage(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = np.random.default_rng(0).bytes(300)
    return written(path, bytes(data))


def without_times(folder: Path) -> Path:
    """Write a raw H.264 stream, which has no times."""
    source = make_clip(folder / "a.ts", 20, options={"bf": "0"})
    with av.open(str(source)) as old:
        data = b"".join(bytes(packet) for packet in old.demux(video=0))
    source.unlink()
    return written(folder / "a.h264", data)


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "truncated_mp4": (lambda f: shortened(make_clip(f / "a.mp4", 60)), "cannot be read"),
    "truncated_matroska": (lambda f: shortened(make_clip(f / "a.mkv", 60, gop=10)), "^done"),
    "garbage_in_the_middle": (lambda f: with_garbage(make_clip(f / "a.mkv", 60, (128, 96), crf=10, gop=10)), "^done"),
    "zero_length": (lambda f: written(f / "a.mp4", b""), "is empty"),
    "text": (lambda f: written(f / "a.mp4", b"text\n" * 99), "cannot be read"),
    "wrong_extension": (lambda f: make_clip(f / "a.mkv", 5).rename(f / "a.mp4"), "^done"),
    "changing_resolution": (
        lambda f: written(
            f / "c.ts",
            make_clip(f / "a.ts", 5).read_bytes() + make_clip(f / "b.ts", 5, (96, 48)).read_bytes(),
        ),
        "changes from 64x48 to 96x48",
    ),
    "1x1": (lambda f: make_clip(f / "a.mkv", 3, (1, 1), codec="ffv1"), "^done"),
    "7680x4320": (lambda f: make_clip(f / "a.mkv", 1, (7680, 4320), crf=40), "^done"),
    "0_fps": (lambda f: written(f / "a.y4m", b"YUV4MPEG2 W4 H2 F0:1 C420\nFRAME\n" + bytes(12)), "^done"),
    "missing_times": (without_times, "^done"),
    "huge_metadata": (lambda f: make_clip(f / "a.mkv", 3, metadata={"comment": "x" * 2_000_000}), "^done"),
    "odd_path": (lambda f: make_clip(f / "a.mkv", 3).rename(f / "a 'b' \"c\"\n%03d ö字.mkv"), "^done"),
}  # fmt: skip


@row("8 Bad input")
def symlink_loop(tmp_path: Path) -> Finding:
    """A loop of symbolic links in a folder: every clip enhanced once."""
    clips = folder(tmp_path, "clips")
    for name in ("a", "b"):
        make_clip(folder(clips, name) / f"{name}.mp4", 3)
        (clips / name / "loop").symlink_to(clips, target_is_directory=True)
    options = parse_options(scale=1, preset="ultrafast", log=False)
    with Reporter(Verbosity.QUIET) as reporter:
        code = enhance_listed(list_jobs([clips], tmp_path / "out", options), options, reporter)
    made = list((tmp_path / "out").rglob("*.mp4"))
    return Finding(f"{len(made)} of 2 clips, exit code {int(code)}", len(made) == 2 and code == 0)


@row("8 Bad input", varies=True, tested_in="tests/video/test_fuzz.py")
def fuzzed_clips(tmp_path: Path) -> Finding:
    """Seeded damage (bytes, garbage, cut, header) to clips in mp4, mkv, ts, webm, avi, mov, nut and y4m: done or one
    clear error, in time, no partial file, an existing file unchanged, no leftover thread.
    """
    outcomes: Counter[str] = Counter()
    began, slowest = perf_counter(), 0.0
    clips = fuzz.whole_clips(folder(tmp_path, "whole"))
    places = [folder(tmp_path, number) for number in range(len(clips))]
    for (number, whole), seed in product(enumerate(clips), range(VARIANTS)):
        started = perf_counter()
        outcomes[fuzz.outcome(whole, places[number], number, seed)] += 1
        left = [
            thread.name for thread in threading.enumerate() if thread.name.startswith(("vidsr-decode", "vidsr-stages"))
        ]
        assert not left, f"{whole.name}, seed {seed}: {left}"
        slowest = max(slowest, perf_counter() - started)
    words = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
    return Finding(
        f"{len(clips) * VARIANTS} variants, {VARIANTS} of each clip: {words}; slowest {slowest:.1f} s, "
        f"{perf_counter() - began:.0f} s in total",
        True,
    )
