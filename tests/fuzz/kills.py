"""Campaign 3: kills at random moments; no file of the user changes, and the next run is clean."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from tests.clips import make_clip
from tests.fuzz.process import Findings, Outcome, Shot, changed, contents, leftovers, run_forked
from vidsr.errors import ExitCode

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
END_SECONDS = 2.0  # from Ctrl-C to the end of the process, where the machine is idle
PATIENCE = 8.0  # times as long on a busy one
NEW_PROCESS = 10  # every so many runs starts Python, so that imports are interrupted too
FAST = ("--scale", "2", "--model", "bicubic", "--preset", "ultrafast")
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("enhance", "c.mp4", *FAST, "-o", "new.mp4"),
    ("enhance", "c.mp4", *FAST, "-o", "old.mp4", "--overwrite"),
    ("enhance", "c.mp4", *FAST, "-o", "new.mkv", "--fps", "2x", "--interpolation", "blend"),
    ("enhance", "c.mp4", "--scale", "2", "--model", "bicubic", "-o", "new/%05d.png"),
    ("enhance", "c.mp4", "d", *FAST, "-o", "new"),
    ("enhance", "s.mp4", *FAST, "--segment", "0.5s", "-o", "new.mp4"),
    ("enhance", "s.mp4", *FAST, "--segment", "0.5s", "--jobs", "2", "-o", "new.mp4"),
    ("enhance", "s.mp4", "d", *FAST, "--segment", "0.5s", "--jobs", "2", "-o", "new"),
    ("degrade", "c.mp4", "--scale", "1/2", "-o", "new.mp4"),
    ("compare", "c.mp4", "--models", "nearest,bicubic", "--scale", "2", "--frames", "20", "-o", "new"),
    ("dataset", "images", "-o", "new.safetensors", "--split", "100,0,0"),
)  # fmt: skip
MINE = ("mine.txt", "new.mp4.part", "c.mp4.report.json", "d/notes.txt", ".hidden.part.mp4")


def prepare(folder: Path) -> Path:
    """Write what the commands read, and files of the user, to ``folder``."""
    (folder / "d").mkdir(parents=True)
    make_clip(folder / "c.mp4", frames=60, size=(160, 120), audio=1)
    make_clip(folder / "s.mp4", frames=60, size=(160, 120), audio=1, gop=12)
    make_clip(folder / "d" / "b.mp4", frames=30, size=(160, 120))
    (folder / "images").mkdir()
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (256, 256, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), pixels)
    for name in (*MINE, "old.mp4"):
        (folder / name).write_text(f"precious {name}")
    return folder


def fuzz_kills(prepared: Path, numbers: range, seed: int, place: Path) -> Findings:
    """Kill a run at a random moment for each of ``numbers``, then run the same command again."""
    findings, seconds, made = Findings.none(), {}, {}
    for number in numbers:
        rng = random.Random(f"kills {seed} {number}")
        words = rng.choice(COMMANDS)
        folder = place / "kills"
        if words not in seconds:
            _fresh(prepared, folder)
            began = time.monotonic()
            run_forked(words, folder)
            seconds[words] = time.monotonic() - began
            made[words] = contents(folder)
        _fresh(prepared, folder)
        before = contents(folder)
        number_of_signal = rng.choice(SIGNALS)
        if number % NEW_PROCESS == 0:
            outcome, late = _killed_process(
                words, folder, Shot(number_of_signal, rng.uniform(0.02, seconds[words] + 4))
            )
        else:
            shot = Shot(number_of_signal, rng.uniform(0, 1.1 * seconds[words]))
            began = time.monotonic()
            outcome = run_forked(words, folder, shot)
            late = time.monotonic() - began - shot.after
        faults = _faults(words, outcome, number_of_signal, before, folder)
        if late > PATIENCE * END_SECONDS and outcome.code == ExitCode.INTERRUPTED:
            faults.append(f"hang: {late:.1f} s after the signal")
        faults += _faults_of_next_run(words, folder, before)
        if "--segment" in words:
            faults += _differences(made[words], contents(folder))
        if outcome.signal == number_of_signal and (number_of_signal == signal.SIGKILL or number % NEW_PROCESS == 0):
            outcome = replace(outcome, code=int(ExitCode.INTERRUPTED), signal=None)  # as wanted
        findings.add(outcome, f"kills {number} ({number_of_signal.name})", *faults)
    return findings


def _fresh(prepared: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(prepared, folder)


def _killed_process(words: tuple[str, ...], folder: Path, shot: Shot) -> tuple[Outcome, float]:
    """Run a new process, with imports."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "vidsr", *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(root)},
    )  # fmt: skip
    time.sleep(shot.after)
    process.send_signal(shot.number)
    began = time.monotonic()
    _, messages = process.communicate()
    code = process.returncode
    if -code == shot.number or "KeyboardInterrupt" in messages:  # before vidsr handles signals
        return Outcome(words, None, int(shot.number), ""), time.monotonic() - began
    return Outcome(words, code, None, messages), time.monotonic() - began


def _faults(words: tuple[str, ...], outcome: Outcome, number: int, before: dict[str, str], folder: Path) -> list[str]:
    after = contents(folder)
    faults = [
        f"files changed: {name}"
        for name in sorted(changed(before, after) & before.keys())
        if not (name == "old.mp4" and "--overwrite" in words and after.get(name, "") and _is_clip(folder / name))
    ]
    if number != signal.SIGKILL:
        faults += [f"leftovers: {name}" for name in leftovers(folder)]
        if outcome.code == ExitCode.INTERRUPTED and "-o" in words and words[0] != "enhance":
            faults += [
                f"leftovers: {name}" for name in sorted(set(after) - set(before)) if _is_unfinished(folder / name)
            ]
    return faults


def _differences(whole: dict[str, str], resumed: dict[str, str]) -> list[str]:
    """Compare the clips that a run made with those of one that was resumed; no job folder may be left."""
    names = {name for name in whole.keys() | resumed.keys() if name.endswith((".mp4", ".mp4.vidsr"))}
    return [f"other bytes: {name}" for name in sorted(names) if whole.get(name) != resumed.get(name)]


def _is_unfinished(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def _is_clip(path: Path) -> bool:
    return b"ftyp" in path.read_bytes()[:12]


def _faults_of_next_run(words: tuple[str, ...], folder: Path, before: dict[str, str]) -> list[str]:
    """Run the same command again; it replaces what the killed run may have finished."""
    again = run_forked([*words, *([] if "--overwrite" in words else ["--overwrite"])], folder)
    faults = [] if again.code == 0 else [f"unclean rerun: exit code {again.code}, {again.messages.strip()[-300:]}"]
    faults += [f"unclean rerun: {name} is left" for name in leftovers(folder)]
    kept = {name: digest for name, digest in contents(folder).items() if name in before and name != "old.mp4"}
    return faults + [f"files changed: {name}" for name in kept if kept[name] != before[name]]
