"""What a job in segments is: the source, the plan, and the cut. It is decided once and kept in the job folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from vidsr.options.fingerprint import Fingerprint
from vidsr.options.finished import FREE_OPTIONS
from vidsr.options.names import kinds_of
from vidsr.options.serialize import TYPE_KEY, from_json, to_json
from vidsr.options.table import BY_NAME
from vidsr.pipeline.plan import Plan
from vidsr.segments.cut import Cut

OF_THE_END = ("report",)  # options that segments do not depend on
NESTED = frozenset({"encoding", "reading"})  # fields that hold several options
OPTION_NAMES = {
    "output_size": "--scale, --height or --size",
    "clock": "--fps",
    "restorations": "--deblur, --denoise or --restore",
    "rate": "--input-fps",
    "options": "--encoder-option",
}


@dataclass(frozen=True)
class SegmentedJob:
    """Everything that a worker needs to know to run any segment of a clip."""

    source: Path  # absolute
    target: Path  # absolute
    fingerprint: Fingerprint
    plan: Plan
    cut: Cut
    played_from: Fraction  # where playback of the source begins, seconds on its clock
    output_zero: Fraction  # the time of the source that is zero in the output
    unsettled: int  # frames after an entry point that differ, as the deinterlacer lacks those before
    fallbacks: dict[str, int] | None = None  # of the networks, by kind, found before the first segment; None: not yet

    @cached_property
    def digest(self) -> str:
        """What the job and its segments are known by."""
        return sha256(json.dumps(to_json(self), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the job and its digest as JSON values."""
        return {"digest": self.digest, **to_json(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SegmentedJob:
        """Return the job that `to_json` wrote.

        Raises:
            TypeError, ValueError, KeyError: the data is no job, or was changed.
        """
        job: SegmentedJob = from_json(cls, {name: value for name, value in data.items() if name != "digest"})
        if data["digest"] != job.digest:
            raise ValueError("the plan was changed by hand")
        return job

    def difference(self, other: SegmentedJob) -> str | None:
        """Return in words why segments of this job do not fit ``other``; None if they do."""
        return next(self._differences(other), None)

    def _differences(self, other: SegmentedJob) -> Iterator[str]:
        if self.plan.version != other.plan.version:
            yield f"by vidsr {self.plan.version}, and this is {other.plan.version}"
        if self.fingerprint != other.fingerprint:
            yield "of another source, or of one that has changed since"
        for name, before, now in _changes(to_json(self.plan.options), to_json(other.plan.options)):
            yield f"with other options ({_option(name)} was {_words(before)}, is {_words(now)})"
        if self.plan.weights != other.plan.weights:
            yield "with other weights"
        if self.cut != other.cut:
            yield "of another cut of the clip"


def _changes(before: dict[str, Any], now: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the options that differ: name, value before, value now."""
    for name in sorted(before.keys() | now.keys()):
        first, second = before.get(name), now.get(name)
        if name == "device":
            first, second = kinds_of(str(first)), kinds_of(str(second))
        if name in FREE_OPTIONS or name in OF_THE_END or first == second:
            continue
        if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys() and name in NESTED:
            yield from _changes(first, second)
        else:
            yield name, first, second


def _option(name: str) -> str:
    """Return the flags of a field of the options."""
    return OPTION_NAMES.get(name) or (BY_NAME[name].flag if name in BY_NAME else name.replace("_", " "))


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(_words(one) for key, one in value.items() if key != TYPE_KEY)
    return "not given" if value in (None, [], "") else str(value)
