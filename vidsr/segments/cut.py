"""Cut a clip into segments of whole groups of frames, by its packet index and the context that each of them reads.

The cut depends on the source, the options and the plan, so a job has the same one on any number of workers.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil

from vidsr.video.packet_index import PacketIndex

ENTRY_SECONDS = 1  # between two entry points; more of them would only make the plan larger
CONTEXT_SHARE = Fraction(1, 40)  # of the frames of a clip, for the context of all its segments


@dataclass(frozen=True)
class EntryPoint:
    """A frame at which decoding can begin: a keyframe, or the first frame of the run."""

    frame: int  # number, from 0 at the first frame of the run
    time: Fraction  # seconds on the file's clock


@dataclass(frozen=True)
class Segment:
    """A range of source frames, from an entry point to the next segment."""

    first: EntryPoint
    stop: int  # number of the first frame after it
    end: Fraction | None  # its time; None: the segment is the last one


@dataclass(frozen=True)
class Cut:
    """The segments of a run in order, and all entry points."""

    segments: tuple[Segment, ...]
    entries: tuple[EntryPoint, ...]
    end: Fraction | None  # of the run on the file's clock

    @property
    def start(self) -> Fraction:
        """Time of the first frame of the run, seconds on the file's clock."""
        return self.entries[0].time


def counted_in_fields(cut: Cut) -> Cut:
    """Return ``cut`` with two frames in place of each: one for each field."""
    entries = {entry: EntryPoint(2 * entry.frame, entry.time) for entry in cut.entries}
    segments = tuple(Segment(entries[one.first], 2 * one.stop, one.end) for one in cut.segments)
    return Cut(segments, tuple(entries.values()), cut.end)


def joined(cut: Cut, context: int) -> Cut:
    """Return ``cut`` with longer segments where each reads ``context`` frames of its neighbours.

    As many segments become one as it takes to keep all context within `CONTEXT_SHARE` of the clip. Two segments remain
    at least.
    """
    before, frames = len(cut.segments), cut.segments[-1].stop
    most = max(2, 1 + int(CONTEXT_SHARE * frames / context)) if context else before  # the first one has no context
    size = ceil(before / most)
    groups = (cut.segments[number : number + size] for number in range(0, before, size))
    return replace(cut, segments=tuple(replace(group[-1], first=group[0].first) for group in groups))


def cut_clip(
    index: PacketIndex,
    length: Fraction,
    start: Fraction | None = None,
    end: Fraction | None = None,
    frames: int | None = None,
) -> Cut | None:
    """Return the segments of about ``length`` seconds, cut at keyframes; None for less than two of them.

    ``start`` and ``end`` are seconds on the file's clock, ``frames`` is the largest number of frames.
    """
    first = 0 if start is None else _number(index, start)
    stop = len(index.stamps) if end is None else _number(index, end)
    if frames is not None and first + frames < stop:
        stop, end = first + frames, index.time(first + frames)
    if not length or stop <= first or index.time(stop - 1) - index.time(first) < 2 * length:
        return None
    entries = [EntryPoint(0, index.time(first))]
    entries += [EntryPoint(key - first, index.time(key)) for key in index.keys if first < key < stop]
    borders = [entries[0]]
    for entry in entries:
        if entry.time - borders[-1].time >= length:
            borders.append(entry)
    if len(borders) > 1 and index.time(stop - 1) - borders[-1].time < length / 2:
        borders.pop()  # the rest is too short for a segment of its own
    if len(borders) < 2:
        return None
    segments = [Segment(border, after.frame, after.time) for border, after in pairwise(borders)]
    segments.append(Segment(borders[-1], stop - first, None))
    return Cut(tuple(segments), _thinned(entries, {border.frame for border in borders}), end)


def _number(index: PacketIndex, time: Fraction) -> int:
    """Return the number of the first frame that is not before ``time``."""
    return bisect_left(index.stamps, time / index.tick)


def _thinned(entries: list[EntryPoint], kept: set[int]) -> tuple[EntryPoint, ...]:
    """Return the entry points that are `ENTRY_SECONDS` apart, or begin a segment."""
    chosen = entries[:1]
    for entry in entries[1:]:
        if entry.frame in kept or entry.time - chosen[-1].time >= ENTRY_SECONDS:
            chosen.append(entry)
    return tuple(chosen)
