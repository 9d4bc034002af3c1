"""The lines of docs/exactness.md: what is claimed, and the function that measures it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from vidsr import enhance
from vidsr.pipeline.run import RunReport

REPO = Path(__file__).parents[2]
SAMPLES = REPO / "samples"


class Unmeasured(Exception):
    """Something that the measurement needs is not on this machine."""


class Finding(NamedTuple):
    """What was measured, in words, and whether the claim holds."""

    text: str
    holds: bool


@dataclass(frozen=True)
class Row:
    """One line of the table.

    ``varies``: the text is not the same on every machine, so only ``holds`` is tested. ``tested_in``: the file whose
    tests measure the same, so that test_exactness.py need not.
    """

    item: str
    claim: str
    measure: Callable[[Path], Finding]  # given an empty folder
    varies: bool = False
    tested_in: str = ""

    @property
    def name(self) -> str:
        """The measuring function's name, which says the oddity."""
        return self.measure.__name__


ROWS: list[Row] = []


Measure = Callable[[Path], Finding]


def row(item: str, varies: bool = False, tested_in: str = "") -> Callable[[Measure], Measure]:
    """Adds the function as a line of the table; its docstring is the claim."""

    def added(measure: Measure) -> Measure:
        claim = " ".join((measure.__doc__ or "").split())
        ROWS.append(Row(item, claim, measure, varies, tested_in))
        return measure

    return added


def ffprobe(path: Path, *arguments: str) -> dict[str, Any]:
    """What the ffprobe program says.

    Raises:
        Unmeasured: there is none.
    """
    if shutil.which("ffprobe") is None:
        raise Unmeasured("no ffprobe")
    command = ["ffprobe", "-v", "error", "-of", "json", *arguments, str(path)]
    result: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return result


def stream_facts(path: Path, names: str, stream: str = "v:0") -> dict[str, str]:
    """FileContents of one stream by their names in ffprobe's words, comma-separated."""
    found = ffprobe(path, "-select_streams", stream, "-show_entries", f"stream={names}")["streams"][0]
    return {name: str(found.get(name)) for name in names.split(",")}


def run(source: Path, target: Path, **options: Any) -> RunReport:
    """A quick run: nearest neighbour, the fastest x264."""
    return enhance(source, target, **{"scale": 1, "model": "nearest", "preset": "ultrafast", "log": "none", **options})


def milliseconds(value: Fraction) -> str:
    """In words."""
    return f"{float(value) * 1000:g} ms"


def folder(parent: Path, name: object) -> Path:
    """A new folder below ``parent``."""
    path = parent / str(name)
    path.mkdir()
    return path
