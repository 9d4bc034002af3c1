"""The frame times that an output should have, from its source, its options and the report of its run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from vidsr.errors import VidsrError
from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.options.choices import Deinterlace
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.frame_rate import Times
from vidsr.options.output_names import report_path
from vidsr.options.serialize import from_json
from vidsr.stages.interpolate import Interpolate
from vidsr.video import FileContents, VideoReader
from vidsr.video.deinterlace import interlacing
from vidsr.video.encoder import file_tick, next_stamp, tick

PLACEHOLDER = 16  # side of the frames whose times are computed; their samples do not matter
BATCH = 8  # frames that are decoded at a time for their times


@dataclass(frozen=True)
class FinishedRun:
    """The facts about an output that the report of its run states."""

    options: EnhanceOptions
    output: VideoInfo
    counts: dict[str, int]


def read_report(source: Path, target: Path) -> FinishedRun | None:
    """Return the facts in the report next to ``target``.

    None without a readable report of a run that made a file of this name from a file of the name of ``source``.
    """
    try:
        data: Any = json.loads(report_path(target).read_text())
        if (Path(data["source"]).name, Path(data["target"]).name) != (source.name, target.name):
            return None
        return FinishedRun(
            from_json(EnhanceOptions, data["plan"]["options"]),
            from_json(VideoInfo, data["output"]),
            from_json(dict[str, int], data["counts"]),
        )
    except (OSError, TypeError, ValueError, KeyError, AttributeError):
        return None


def end_of_copies(options: EnhanceOptions, info: VideoInfo) -> Fraction | None:
    """Return where the copied streams end, with the frames; None at the end of the source."""
    if options.frames is None or not info.fps:
        return options.end
    after_frames = (options.start or Fraction(0)) + options.frames / info.fps
    return after_frames if options.end is None else min(after_frames, options.end)


def packet_times(contents: FileContents, options: EnhanceOptions, start: Fraction | None, end: Fraction | None,
                 ) -> list[Fraction]:  # fmt: skip
    """Return the times of the source frames that a run reads, by the packets of the source.

    ``start`` and ``end`` are on the clock of the file. Fields in packets of their own and damaged packets are counted
    as frames.
    """
    times = [time for time in contents.times if (start is None or time >= start) and (end is None or time < end)]
    return times[: options.frames]


def progressive_times(
    source: Path, info: VideoInfo, options: EnhanceOptions
) -> tuple[VideoInfo, list[Fraction]] | None:
    """Return the properties and times of the progressive frames of an interlaced ``source``.

    None where a run makes no other number of frames of it.
    """
    if options.deinterlace != "auto":
        return None
    with suppress(VidsrError):
        found = interlacing(source, info, options.reading)
        if found.order != "progressive" or found.telecine:
            return _read_times(source, options, "auto")
    return None


def decoded_times(source: Path, options: EnhanceOptions) -> list[Fraction] | None:
    """Return the times of the source frames that a run reads, by decoding them; None if they cannot be decoded."""
    with suppress(VidsrError):
        return _read_times(source, options, "off")[1]
    return None


def _read_times(source: Path, options: EnhanceOptions, deinterlace: Deinterlace) -> tuple[VideoInfo, list[Fraction]]:
    reading = replace(options.reading, alpha="drop", hwaccel="none")
    with VideoReader(
        source, options.start, options.end, options.frames, deinterlace=deinterlace, reading=reading
    ) as reader:
        return reader.info, [time for batch in reader.batches(BATCH) for time in batch.times]


def output_info(info: VideoInfo, options: EnhanceOptions) -> VideoInfo:
    """Return ``info`` with the rate and time base of the output."""
    return _stage(info, options).output(info) if options.interpolates else info


def output_times(times: Sequence[Fraction], info: VideoInfo, options: EnhanceOptions) -> tuple[Fraction, ...]:
    """Return the times of the output frames, on the clock of the source, for source frames at ``times``."""
    if options.interpolates:
        times = [time for batch in _stage(info, options)(_placeholders(times)) for time in batch.times]
    return tuple(times)


def in_ticks(times: Sequence[Fraction], start: Fraction, info: VideoInfo, container: str) -> tuple[Fraction, ...]:
    """Return ``times`` on a clock that begins at ``start``, rounded as the writer of a clip of ``info`` rounds them."""
    unit, stamps = tick(info), list[int]()
    for time in times:
        last = stamps[-1] if stamps else None
        stamps.append(next_stamp(time - start, last, unit, file_tick(container, unit)))
    return tuple(stamp * unit for stamp in stamps)


def _stage(info: VideoInfo, options: EnhanceOptions) -> Interpolate:
    """Return the interpolating stage of a run without its engine: it shows source frames at all output times."""
    clock = Times(Fraction(1)) if options.clock is None else options.clock
    slow = options.slow_motion
    return Interpolate(clock if slow == 1 else clock.slowed(slow), None, info, slow=slow)


def _placeholders(times: Sequence[Fraction]) -> Iterator[FrameBatch]:
    luma = torch.zeros(1, 1, PLACEHOLDER, PLACEHOLDER, dtype=torch.uint8)
    for index, time in enumerate(times):
        yield FrameBatch(luma, None, (time,), (Origin(index),))
