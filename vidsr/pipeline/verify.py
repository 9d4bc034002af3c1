"""Verification of a finished file.

Decodes every frame, compares all times, tags, streams and copied packets.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidsr.errors import VerifyError
from vidsr.frames import VideoInfo
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.parse import MOST_PIXELS
from vidsr.options.source import Reading
from vidsr.pipeline.expected_times import (
    FinishedRun,
    decoded_times,
    end_of_copies,
    in_ticks,
    output_info,
    output_times,
    packet_times,
    progressive_times,
    read_report,
)
from vidsr.pipeline.stream_checks import CopiedRange, file_checks, track_checks
from vidsr.pipeline.video_checks import (
    Check,
    allowed_rounding,
    color_checks,
    decodes,
    equal,
    picture_checks,
    shape_checks,
    time_checks,
    worst_time,
)
from vidsr.video import (
    FRAMES_ONLY,
    IMAGES,
    MATROSKA,
    ExpectedContents,
    FileContents,
    container_format,
    file_clock,
    inspect_file,
)


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
        """Return the verification for a report."""
        return {"path": str(self.path), "ok": self.ok, "checks": [asdict(check) for check in self.checks]}


def verify(expected: ExpectedContents) -> Verification:
    """Compare a file with what its writer was given.

    Frames are decoded, unless their packets are known: then packets are compared.

    Raises:
        InputError: the file, or the source of its copied streams, cannot be opened.
    """
    source: FileContents | None = None
    track = None
    if expected.source is not None:
        source = inspect_file(expected.source, expected.path, decode=False, reading=expected.reading)
        track = source.video_track
    reading = Reading(rate=expected.info.fps, video_track=track, max_pixels=MOST_PIXELS)
    target = inspect_file(expected.path, decode=not expected.packets, reading=reading)
    return _verification(expected, source, target)


def _verification(expected: ExpectedContents, source: FileContents | None, target: FileContents) -> Verification:
    shift = Fraction(0) if source is None else _shift(expected, source, target)
    checks = [*picture_checks(expected.info, target), *time_checks(expected.times, target, shift, expected.info.fps)]
    if expected.packets:
        same = sum(map(bytes.__eq__, expected.packets, target.packets))
        checks.append(equal("packets as encoded", len(expected.packets), same))
    if source is not None:
        copied = CopiedRange(expected.start, expected.end, shift)
        checks += [*file_checks(source, target), *track_checks(source, target, copied, expected.copy_problems)]
    return Verification(expected.path, tuple(checks))


def _shift(expected: ExpectedContents, source: FileContents, target: FileContents) -> Fraction:
    """Return the common delay of all streams of ``target``.

    Matroska has no times before zero.
    """
    if container_format(expected.path) not in MATROSKA or not (expected.times and target.times):
        return Fraction(0)
    copied = CopiedRange(expected.start, expected.end)
    first = min((packet.time for track in source.tracks for packet in copied.of(track)), default=Fraction(0))
    measured = target.times[0] - expected.times[0]
    return -first if first < 0 and abs(measured + first) < abs(measured) else Fraction(0)


def verify_files(
    source: Path, target: Path, reading: Reading | None = None, options: EnhanceOptions | None = None
) -> Verification:
    """Compare ``target`` with the clip that it was made from.

    ``options`` of the run say which frames to expect; without them, the report next to ``target`` does. Without both,
    every frame of the source is expected at its own time, and size, depth and chroma may differ.

    Raises:
        InputError: a file cannot be opened.
    """
    report = read_report(source, target) if options is None else None
    if options is None:
        options = EnhanceOptions() if report is None else report.options
    if reading is not None:
        track = reading.video_track or options.reading.video_track
        options = replace(options, reading=replace(reading, video_track=track))
    before = inspect_file(source, target, decode=False, reading=options.reading)
    made = progressive_times(source, before.info, options)
    info, times = (before.info, None) if made is None else made
    rate = output_info(info, options).fps
    after = inspect_file(target, reading=Reading(rate=rate, video_track=before.video_track, max_pixels=MOST_PIXELS))
    expected = _expected(before, after, options, report, info, times)
    if container_format(target) in FRAMES_ONLY:  # of the picture's facts these tell little, of its times nothing
        checks = [equal("frames", len(expected.times), len(after.times)), decodes(after)]
        images = container_format(target) == IMAGES
        checks += [one for one in shape_checks(before.info, after, images) if one.name == "size ratio"]
        return Verification(target, tuple(checks))
    if report is not None:
        picture = list(picture_checks(report.output, after))
    else:
        picture = [*shape_checks(before.info, after), *color_checks(before.info, after)]
    shift = _shift(expected, before, after)
    checks = [*picture, *time_checks(expected.times, after, shift, rate), *file_checks(before, after)]
    if options.slow_motion == 1:
        copied = CopiedRange(expected.start, expected.end, shift)
        checks += track_checks(before, after, copied, expected.copy_problems)
    return Verification(target, tuple(checks))


def _expected(
    before: FileContents,
    after: FileContents,
    options: EnhanceOptions,
    report: FinishedRun | None,
    source: VideoInfo,
    progressive: list[Fraction] | None,
) -> ExpectedContents:
    """Return the contents to expect of ``after``.

    The times of the source's packets are compared first, because that costs no decoding. ``source``: its
    properties, and ``progressive`` the times of its frames, once an interlaced source is progressive.
    """
    start, end = file_clock(before.path, options.start, options.end, options.reading)
    info = replace(output_info(source, options), width=after.info.width, height=after.info.height)

    container = container_format(after.path)

    def expect(times: list[Fraction]) -> ExpectedContents:
        on_clock = in_ticks(output_times(times, source, options), start or Fraction(0), info, container)
        last = end if options.frames is None else _end(before, options, source)
        counts = {} if report is None else report.counts
        return ExpectedContents(after.path, info, on_clock, before.path, start, last, options.reading, counts)

    if progressive is not None:
        return expect(progressive)
    expected = expect(packet_times(before, options, start, end))
    if _has_times(expected, before, after):
        return expected
    decoded = decoded_times(before.path, options)
    return expected if decoded is None else expect(decoded)


def _end(before: FileContents, options: EnhanceOptions, source: VideoInfo) -> Fraction | None:
    _, end = file_clock(before.path, None, end_of_copies(options, source), options.reading)
    return end


def _has_times(expected: ExpectedContents, before: FileContents, after: FileContents) -> bool:
    if len(expected.times) != len(after.times) or not expected.times:
        return False
    shift = _shift(expected, before, after)
    return worst_time(expected.times, after, shift) <= allowed_rounding(expected.times, after, shift)
