"""The source frames of a segment, with the context that its stages need on either side."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

from vidsr.errors import Notes
from vidsr.frames import FrameBatch
from vidsr.segments.cut import EntryPoint, Segment
from vidsr.segments.job import SegmentedJob
from vidsr.stages import PER_FRAME, Context
from vidsr.stages.batching import rebatched, single_frames
from vidsr.stages.repeats import mark_repeats
from vidsr.video import VideoReader


@dataclass(frozen=True)
class SegmentFrames:
    """The frames of a segment and of its context."""

    reader: VideoReader
    first: int  # number of the first frame
    batches: Iterator[FrameBatch]


@contextmanager
def open_segment(job: SegmentedJob, segment: Segment, context: Context, notes: Notes) -> Iterator[SegmentFrames]:
    """Open the frames of ``segment`` and its ``context``.

    Raises:
        InputError: the source cannot be read.
    """
    if context == PER_FRAME and not job.unsettled:
        end = job.cut.end if segment.end is None else segment.end
        with _reader(job, segment.first, end, notes) as reader:
            batches = mark_repeats(reader.batches(job.plan.frames_per_batch))
            yield SegmentFrames(reader, segment.first.frame, batches)
        return
    for entry in _entries_before(job.cut.entries, segment.first, context.before + job.unsettled):
        with _reader(job, entry, job.cut.end, notes) as reader:
            frames = single_frames(mark_repeats(reader.batches(job.plan.frames_per_batch)))
            before, first = _before(frames, segment.first.time, context.before + job.unsettled)
            begin = context.around(len(before), len(before), [one.repeats[0] for one in [*before, *first]])[0]
            if begin <= job.unsettled and entry.frame > 0:
                continue  # frames repeat: the context begins before this entry point
            wanted = _until(chain(before[begin:], first, frames), segment.end, context.after)
            number = segment.first.frame - len(before) + begin
            yield SegmentFrames(reader, number, rebatched(wanted, job.plan.frames_per_batch))
            return


def _reader(job: SegmentedJob, entry: EntryPoint, end: Fraction | None, notes: Notes) -> VideoReader:
    """Open the source at an entry point. ``end`` is a time of the file's clock."""
    options = job.plan.options
    return VideoReader(
        job.source,
        entry.time - job.played_from,
        None if end is None else end - job.played_from,
        deinterlace=options.deinterlace,
        reading=options.reading,
        exact_rgb=True,
        notes=notes,
        first=entry.frame,
    )


def _entries_before(entries: tuple[EntryPoint, ...], first: EntryPoint, frames: int) -> Iterator[EntryPoint]:
    """Yield the entry point at least ``frames`` + 1 frames before ``first``, then ones further and further back."""
    place = bisect_right([one.frame for one in entries], first.frame - frames - 1) - 1
    step = 1
    while place > 0:
        yield entries[place]
        place, step = place - step, 2 * step
    yield entries[0]


def _before(frames: Iterator[FrameBatch], time: Fraction, count: int) -> tuple[list[FrameBatch], list[FrameBatch]]:
    """Return the frames before ``time``, the last ``count`` distinct ones and a few more, and the first one after them.

    Repeated frames share their planes, so the memory does not grow with their number.
    """
    held: list[FrameBatch] = []
    for frame in frames:
        if frame.times[0] >= time:
            return held, [frame]
        if held and frame.repeats[0]:
            frame = frame.planes(held[-1].y, held[-1].uv)
        held.append(frame)
        distinct = [number for number, one in enumerate(held) if not one.repeats[0]]
        if len(distinct) > count + 2:
            held = held[distinct[1] :]
    return held, []


def _until(frames: Iterator[FrameBatch], end: Fraction | None, after: int) -> Iterator[FrameBatch]:
    """Yield the frames up to ``end``, and those up to the ``after``-th distinct one from there on."""
    for frame in frames:
        is_after = end is not None and frame.times[0] >= end
        if is_after and after == 0:
            return
        yield frame
        after -= is_after and not frame.repeats[0]
        if is_after and after == 0:
            return
