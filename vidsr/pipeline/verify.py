"""Verification of a finished file.

Decodes every frame, compares all times, tags, streams and copied packets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from vidsr.errors import VerifyError
from vidsr.frames import VideoInfo
from vidsr.options.source import Reading
from vidsr.video import FRAMES_ONLY, ExpectedContents, FileContents, Track, container_format, inspect_file

TAG_DEFAULTS = {"range": "limited"}  # what players assume without a tag
MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True)
class Check:
    """One comparison of an expected with a found value."""

    name: str
    expected: str
    found: str
    ok: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.found}" if self.ok else f"{self.name}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True)
class Verification:
    """All checks of a file."""

    path: Path
    checks: tuple[Check, ...]

    @property
    def failures(self) -> tuple[Check, ...]:
        """Checks that failed."""
        return tuple(check for check in self.checks if not check.ok)

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return not self.failures

    def raise_if_failed(self) -> None:
        """Raise if a check failed.

        Raises:
            VerifyError: with the first difference.
        """
        if self.failures:
            more = f" (and {len(self.failures) - 1} more)" if len(self.failures) > 1 else ""
            raise VerifyError(f"{self.path} was written and differs from its plan: {self.failures[0]}{more}")

    def to_json(self) -> dict[str, Any]:
        """Return the checks as JSON values."""
        return {"path": str(self.path), "ok": self.ok, "checks": [asdict(check) for check in self.checks]}


def verify(expected: ExpectedContents) -> Verification:
    """Compare a file with what the writer received.

    Raises:
        InputError: the file, or the source of its copied streams, cannot be opened.
    """
    source: FileContents | None = None
    track = None
    if expected.source is not None:
        source = inspect_file(expected.source, expected.path, decode=False, reading=expected.reading)
        track = source.video_track
    target = inspect_file(expected.path, reading=Reading(rate=expected.info.fps, video_track=track))
    shift = Fraction(0) if source is None else _shift(expected, source, target)
    checks = [*_format_checks(expected.info, target), *_time_checks(expected.times, target, shift)]
    if source is not None:
        checks += _track_checks(source, target, _Range(expected.start, expected.end, shift))
    return Verification(expected.path, tuple(checks))


@dataclass(frozen=True)
class _Range:
    """The copied part of the source, and the shift of the output's clock."""

    start: Fraction | None = None
    end: Fraction | None = None
    shift: Fraction = Fraction(0)

    def of(self, track: Track) -> list[tuple[Fraction, bytes]]:
        """Return the expected packets with their expected times."""
        if not track.timed:
            return track.packets
        return [
            (time - (self.start or 0) + self.shift, digest)
            for time, digest in track.packets
            if (self.start is None or time >= self.start) and (self.end is None or time < self.end)
        ]


def _shift(expected: ExpectedContents, source: FileContents, target: FileContents) -> Fraction:
    """Return the common delay of all streams of ``target``.

    Matroska has no times before zero.
    """
    if container_format(expected.path) not in ("matroska", "webm") or not (expected.times and target.times):
        return Fraction(0)
    copied = _Range(expected.start, expected.end)
    first = min((time for track in source.tracks for time, _ in copied.of(track)), default=Fraction(0))
    measured = target.times[0] - expected.times[0]
    return -first if first < 0 and abs(measured + first) < abs(measured) else Fraction(0)


def verify_files(source: Path, target: Path, reading: Reading | None = None) -> Verification:
    """Compare ``target`` with the clip that it was made from, without the plan of the run.

    Size, rate, depth and chroma format may differ. Frame times must equal the source's if the number of frames does.

    Raises:
        InputError: a file cannot be opened.
    """
    before = inspect_file(source, target, decode=False, reading=reading)
    after = inspect_file(target, reading=Reading(rate=before.info.fps, video_track=before.video_track))
    if container_format(target) in FRAMES_ONLY:  # these hold few tags and no times
        wanted, found = len(before.times), len(after.times)  # interpolation makes more
        return Verification(
            target, (Check("frames", f"{wanted} or more", str(found), found >= wanted), _decodes(after))
        )
    checks = [_equal(name, getattr(before.info, name), getattr(after.info, name)) for name in ("rotation",)]
    checks += _color_checks(before.info, after)
    shift = _shift(ExpectedContents(target, after.info, tuple(before.times), source), before, after)
    if len(before.times) == len(after.times):
        checks += _time_checks(tuple(before.times), after, shift)
    else:
        checks += [_decodes(after), _in_order(after.times)]
        step = 1 / (before.info.fps or Fraction(25))
        first = abs(before.times[0] - after.times[0]) if before.times and after.times else Fraction(0)
        checks.append(_near("first frame", Fraction(0), first, step))
    checks += _track_checks(before, after, _Range(shift=shift))
    return Verification(target, tuple(checks))


def _format_checks(info: VideoInfo, target: FileContents) -> Iterator[Check]:
    found = target.info
    yield _equal("size", f"{info.width}x{info.height}", f"{found.width}x{found.height}")
    chroma = "420" if info.chroma == "gray" and found.codec == "h264" else info.chroma  # FFmpeg decodes grey H.264 so
    yield _equal("pixel format", f"{chroma} {info.depth} bit", f"{found.chroma} {found.depth} bit")
    yield _equal("sample aspect ratio", str(info.sar), str(found.sar))
    yield _equal("rotation", info.rotation, found.rotation)
    yield from _color_checks(info, target)


def _color_checks(info: VideoInfo, target: FileContents) -> Iterator[Check]:
    # a grey clip has no matrix, and x264 writes none
    names = ("primaries", "transfer", "range")
    for name in names if info.chroma == "gray" else ("matrix", *names):
        expected = getattr(info.color, name)
        if expected is not None:  # an encoder may tag an untagged source by its own default
            yield _equal(name, expected, getattr(target.info.color, name) or TAG_DEFAULTS.get(name))


def _time_checks(times: tuple[Fraction, ...], target: FileContents, shift: Fraction) -> Iterator[Check]:
    yield _equal("frames", len(times), len(target.times))
    yield _decodes(target)
    yield _in_order(target.times)
    if len(times) == len(target.times) and times:
        worst = max(abs(a + shift - b) for a, b in zip(times, target.times, strict=True))
        # a container with its own ticks (Matroska: milliseconds) rounds to the nearest, and with a shift twice
        exact = all((time / target.tick).denominator == 1 for time in times)
        allowed = target.tick if shift else Fraction(0) if exact else target.tick / 2
        yield _near("frame times", Fraction(0), worst, allowed)


def _decodes(target: FileContents) -> Check:
    problems = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in target.problems.items() if count)
    return Check("every frame decodes", "yes", problems or "yes", not problems)


def _in_order(times: list[Fraction]) -> Check:
    found = all(a < b for a, b in pairwise(times))
    return _equal("times strictly increase", "yes", "yes" if found else "no")


def _track_checks(source: FileContents, target: FileContents, copied: _Range) -> Iterator[Check]:
    yield _equal("copied streams", _listed(source.tracks), _listed(target.tracks))
    if len(source.tracks) == len(target.tracks):
        for number, (before, after) in enumerate(zip(source.tracks, target.tracks, strict=True), 1):
            yield from _packet_checks(f"copied stream {number} ({after})", copied.of(before), after)
    if copied.start is None and copied.end is None:
        titles = [title for *_, title in source.chapters]
        yield _equal("chapters", titles, [title for *_, title in target.chapters])


def _packet_checks(name: str, wanted: list[tuple[Fraction, bytes]], after: Track) -> Iterator[Check]:
    yield _equal(f"{name}: packets", len(wanted), len(after.packets))
    equal = sum(a == b for (_, a), (_, b) in zip(wanted, after.packets, strict=False))
    yield _equal(f"{name}: equal packets", len(wanted), equal)
    if after.timed and wanted and after.packets:
        drift = max(abs(a - b) for (a, _), (b, _) in zip(wanted, after.packets, strict=False))
        yield _near(f"{name}: drift", Fraction(0), drift, MILLISECOND)


def _listed(tracks: Iterable[Track]) -> str:
    return ", ".join(str(track) for track in tracks) or "none"


def _equal(name: str, expected: object, found: object) -> Check:
    return Check(name, str(expected), str(found), expected == found)


def _near(name: str, expected: Fraction, found: Fraction, allowed: Fraction) -> Check:
    within = f"{float(expected) * 1000:g} ms" + (f" within {float(allowed) * 1000:g} ms" if allowed else "")
    return Check(name, within, f"{float(found) * 1000:.6g} ms", abs(found - expected) <= allowed)
