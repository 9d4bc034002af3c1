"""The rows of docs/exactness.md: each claim with the function that measures it."""

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
from vidsr.pipeline.report import RunReport

REPO = Path(__file__).parents[2]
SAMPLES = REPO / "samples"


class Unmeasured(Exception):
    """This machine lacks something that the measurement needs."""


class Finding(NamedTuple):
    """The measured figures as text, and whether the claim holds."""

    text: str
    holds: bool


@dataclass(frozen=True)
class Row:
    """One row of the table.

    ``varies``: the figures depend on the machine, so only ``holds`` is tested. ``tested_in``: the file whose tests
    measure the same, so that test_document.py does not repeat it.
    """

    item: str
    claim: str
    measure: Callable[[Path], Finding]  # given an empty folder
    varies: bool = False
    tested_in: str = ""

    @property
    def name(self) -> str:
        """Return the name of the measuring function, which names the subject."""
        return self.measure.__name__


ROWS: list[Row] = []


Measure = Callable[[Path], Finding]


def row(item: str, varies: bool = False, tested_in: str = "") -> Callable[[Measure], Measure]:
    """Decorate a measuring function to add it to the table; its docstring is the claim."""

    def decorate(measure: Measure) -> Measure:
        claim = " ".join((measure.__doc__ or "").split())
        ROWS.append(Row(item, claim, measure, varies, tested_in))
        return measure

    return decorate


def ffprobe(path: Path, *arguments: str) -> dict[str, Any]:
    """Return the JSON output of the ffprobe program.

    Raises:
        Unmeasured: ffprobe is not installed.
    """
    if shutil.which("ffprobe") is None:
        raise Unmeasured("no ffprobe")
    command = ["ffprobe", "-v", "error", "-of", "json", *arguments, str(path)]
    result: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return result


def stream_fields(path: Path, names: str, stream: str = "v:0") -> dict[str, str]:
    """Return fields of one stream by ffprobe; ``names`` are its names, comma-separated."""
    found = ffprobe(path, "-select_streams", stream, "-show_entries", f"stream={names}")["streams"][0]
    return {name: str(found.get(name)) for name in names.split(",")}


def run(source: Path, target: Path, **options: Any) -> RunReport:
    """Run enhance quickly: nearest neighbour and the fastest x264 preset."""
    return enhance(source, target, **{"scale": 1, "model": "nearest", "preset": "ultrafast", "log": "none", **options})


def milliseconds(value: Fraction) -> str:
    """Return a duration as text."""
    return f"{float(value) * 1000:g} ms"


def folder(parent: Path, name: object) -> Path:
    """Create and return a folder below ``parent``."""
    path = parent / str(name)
    path.mkdir()
    return path
