"""What a job in segments is: the source, the plan, and the cut. It is decided once and kept in the job folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

from vidsr.errors import InputError
from vidsr.options.serialize import TYPE_KEY, from_json, to_json
from vidsr.options.table import BY_NAME
from vidsr.pipeline.plan import Plan
from vidsr.segments.cut import Cut
from vidsr.video.streams import streams

HASHED_BYTES = 1 << 20  # at the beginning and at the end of the source
FREE_OPTIONS = frozenset({"overwrite", "verify", "fresh"})  # may differ between the runs of one job
NESTED = frozenset({"encoding", "reading"})  # fields that hold several options
OPTION_NAMES = {
    "output_size": "--scale, --height or --size",
    "clock": "--fps",
    "restorations": "--deblur, --denoise or --restore",
    "rate": "--input-fps",
    "options": "--encoder-option",
}


@dataclass(frozen=True)
class Fingerprint:
    """What tells a source from another file, or from its former self."""

    bytes: int
    modified: int  # nanoseconds since 1970
    digest: str  # SHA-256 of its first and last megabyte
    streams: tuple[str, ...]  # in words

    @classmethod
    def of(cls, path: Path) -> Fingerprint:
        """Return the fingerprint of a file.

        Raises:
            InputError: it cannot be read.
        """
        try:
            status = path.stat()
            with path.open("rb") as file:
                digest = sha256(file.read(HASHED_BYTES))
                file.seek(max(0, status.st_size - HASHED_BYTES))
                digest.update(file.read(HASHED_BYTES))
        except OSError as error:
            raise InputError(f"{path} cannot be read ({(error.strerror or '').lower()}): check the path") from None
        return cls(status.st_size, status.st_mtime_ns, digest.hexdigest(), tuple(map(str, streams(path))))

    def check(self, path: Path) -> None:
        """Check quickly that ``path`` is still the same file.

        Raises:
            InputError: it has changed, or is gone.
        """
        try:
            status = path.stat()
        except OSError:
            raise InputError(f"{path} is gone: put it back, and run the same command again") from None
        if (status.st_size, status.st_mtime_ns) != (self.bytes, self.modified):
            raise InputError(f"{path} changed since the job began: put it back, or give --fresh to begin again")


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
    deinterlaces: bool

    def to_json(self) -> dict[str, Any]:
        """Return the job as JSON values."""
        data: dict[str, Any] = to_json(self)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SegmentedJob:
        """Return the job that `to_json` wrote.

        Raises:
            TypeError, ValueError, KeyError: the data is no job.
        """
        return from_json(cls, data)

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
        if name in FREE_OPTIONS or first == second:
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
