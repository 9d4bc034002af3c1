"""Campaign 2: every option of every command with hostile values."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tests.clips import make_clip
from tests.fuzz.process import Findings, changed, contents, leftovers, run_forked
from vidsr.errors import ExitCode
from vidsr.options.commands import COMMANDS, Command
from vidsr.options.table import Option

HOSTILE = (
    "", "-1", "0", "1e999", "nan", "9" * 400, "1/0", "x" * 5000, "-", "%s%n%05d", "../up/a b;$(id)'\"",
    "\x1b[31mö🎬\udcff\n", "1:2:3:4:5", "/dev/full",
)  # fmt: skip
RECIPE = """name = "tiny"
architecture = "plain"
scale = 2
config = { channels = 4, layers = 1 }
data = ["set.safetensors"]
steps = 2
batch = 1
patch = 16
precision = "fp32"
"""
NEAREST = ("--scale", "2", "--model", "nearest")
BASES: dict[str, tuple[str, ...]] = {
    "enhance": ("c.mp4", *NEAREST, "--preset", "ultrafast", "-o", "new.mkv"),
    "plan": ("c.mp4", *NEAREST, "--preset", "ultrafast"),
    "compare": ("c.mp4", "--models", "nearest", "--scale", "2", "--frames", "1", "-o", "new"),
    "evaluate": ("images", "--scale", "2"),
    "train": ("tiny.toml", "-o", "new"),
    "dataset": ("images", "-o", "new.safetensors", "--split", "100,0,0"),
    "degrade": ("c.mp4", "-o", "new.mp4", "--scale", "1/2"),
    "verify": ("c.mp4", "c.mp4"),
    "bench": ("c.mp4", "--model", "no_such", "--scale", "2"),  # not measured here: it takes a minute
    "info": ("c.mp4",),
    "models": (),
}


def cases() -> list[tuple[str, ...]]:
    """Return the words of every case."""
    return [words for command in COMMANDS for option in command.options for words in _words(command, option)]


def _words(command: Command, option: Option) -> Iterator[tuple[str, ...]]:
    base = list(BASES[command.name])
    if option.positional:
        for value in HOSTILE:
            yield (command.name, value, *base[1:])
        return
    for flag in {option.flag, *option.flags, f"--{option.name.replace('_', '-')}"} & set(base):
        at = base.index(flag)
        del base[at : at + 2]
    if option.name in ("height", "size"):
        base = [word for word in base if word not in ("--scale", "2")]
    for value in HOSTILE:
        yield (command.name, *base, f"{option.flag}={value}")


def prepare(folder: Path) -> Path:
    """Write what the cases read to ``folder``."""
    folder.mkdir()
    make_clip(folder / "c.mp4", frames=2, audio=1)
    (folder / "images").mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (112, 128, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), pixels)
    (folder / "tiny.toml").write_text(RECIPE)
    (folder / "mine.txt").write_text("precious")
    return folder


def fuzz_options(prepared: Path, numbers: range, place: Path) -> Findings:
    """Run each of the cases ``numbers`` in a copy of the folder ``prepared``."""
    findings, every = Findings.none(), cases()
    for number in numbers:
        words = every[number]
        outside = place / "options"
        shutil.rmtree(outside, ignore_errors=True)
        folder = outside / "deep" / "in"  # a value may name a folder above
        shutil.copytree(prepared, folder)
        before = contents(outside)
        outcome = run_forked([os.fsencode(word).decode(errors="surrogateescape") for word in words], folder)
        faults = [f"leftovers: {name}" for name in leftovers(outside)]
        after = contents(outside)
        faults += [f"files changed: {name}" for name in sorted(changed(before, after) & before.keys())]
        new = set(after) - set(before) - {f"deep/{folder.parent.name}.log", "deep/stderr.log"}
        if outcome.code == ExitCode.BAD_REQUEST and new and words[0] != "train":
            faults += [f"leftovers: {name!r}" for name in sorted(new)]
        findings.add(outcome, f"options {number}", *faults)
    return findings
