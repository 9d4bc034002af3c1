"""Frame interpolation: output frames at the exact times of an output clock.

Source frames pass unchanged. The stream keeps its duration: the last frame is repeated at every output time of its own
interval. So N frames at 2x become 2N, and audio stays in sync to the end. Nothing is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from vidsr.flow import scene_cuts
from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.kernels.workers import THREADS
from vidsr.options.choices import Repeats
from vidsr.options.frame_rate import Clock, Times
from vidsr.runtime.concurrency import ordered_map
from vidsr.runtime.torch_threads import with_torch_threads
from vidsr.stages import WHOLE_RUN, Context, StreamRange
from vidsr.stages.batching import frames_per_batch, rebatched, single_frames
from vidsr.stages.interpolation_engines import Engine, PreparedPair
from vidsr.stages.source_times import LONGEST_REPEAT, SourceFrame, evenly_spaced, merged_repeats, with_output_times
from vidsr.stages.stopwatch import Stopwatch

HALF = Fraction(1, 2)
DISTINCT_AROUND = 4  # distinct frames around a range that may change its output times
# A pair, its neighbours, and the gap that tells how long a frame stands still. To interpolate repeats, as many frames
# as four distinct ones can last: a frame moves to the midpoint of its neighbours, which have repeats too. This is exact
# unless frames change so slowly that no change is clear.
CONTEXTS: dict[Repeats, Context] = {
    "keep": Context(before=2, after=2),
    "interpolate": Context(before=DISTINCT_AROUND * (LONGEST_REPEAT + 1), after=DISTINCT_AROUND * (LONGEST_REPEAT + 1)),
}
OutputFrames = tuple[FrameBatch, int | None]  # frames, and the source image they show; None if interpolated
MIN_TICKS_PER_FRAME = 4  # a time base with fewer ticks per source and output frame counts frames: it rounds no times
MOST_THREADS = 8  # each holds the frames of two intervals
RENDER_BYTES = 512 << 20  # of the floats of all frames that threads make at a time
FLOAT_BYTES = 36  # of one of them, per pixel: two source frames, their spline coefficients, the result


@dataclass(frozen=True)
class Interval:
    """The interval from source frame ``a`` to the next, ``b``.

    ``b`` is None after the last frame.
    """

    a: SourceFrame
    b: SourceFrame | None
    times_of_a: list[Fraction]  # output times that show ``a`` itself
    between: list[Fraction]  # output times that need an interpolated frame, or the nearer of ``a`` and ``b``
    times_of_b: list[Fraction]  # output times that show ``b`` itself: just before its own time
    pair: PreparedPair[Any] | None  # None: the nearer source frame is shown
    is_cut: bool = False  # the pair is held because a scene cut lies between
    is_drawn: bool = False  # the pair is held because its motion was not found in drawn content

    @property
    def motion(self) -> Any:
        """Motion of the pair, for the intervals on either side; None without a pair."""
        return None if self.pair is None else self.pair.motion

    @property
    def phases(self) -> list[Fraction]:
        """Phase of each time in ``between``: 0 at ``a``, 1 at ``b``."""
        assert self.b is not None
        return [(time - self.a.time) / (self.b.time - self.a.time) for time in self.between]


Neighbourhood = tuple[Interval, Any, Any]  # an interval, and the motion of those before and after it


@dataclass(frozen=True)
class Interpolate:
    """The stream at the output times of ``clock``.

    New frames are made by ``engine``; without one, the nearer source frame is shown. ``repeats``: "keep" leaves
    repeated frames as they are. "interpolate" goes from one distinct frame to the next (film at 24 in 60, animation on
    twos). ``slow`` stretches all output times, 8 for eight times slower. ``counts`` holds the number of frames of each
    kind so far. ``part`` limits the output to a part of the run.
    """

    clock: Clock
    engine: Engine[Any] | None
    info: VideoInfo  # of the input stream
    repeats: Repeats = "keep"
    slow: Fraction = Fraction(1)
    threads: int = min(THREADS, MOST_THREADS)  # that estimate motion, and as many that make frames
    watch: Stopwatch | None = None  # times the motion estimation; needs ``threads`` = 1
    part: StreamRange = WHOLE_RUN
    keeps_context: bool = False  # for a later stage: frames outside of ``part`` are output too, and not counted
    name: str = "interpolate"
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("interpolated", "held_at_cuts", "held_drawings", "repeats"), 0),
        init=False,
    )

    def output(self, info: VideoInfo) -> VideoInfo:
        """Return ``info`` with the rate, frame count, duration and time base of the output."""
        if info.fps is None:
            return info
        fps = self.clock.rate(info.fps)
        return replace(
            info,
            fps=fps / self.slow,
            frames=None if info.frames is None else math.ceil(info.frames * fps / info.fps),
            duration=None if info.duration is None else info.duration * self.slow,
            time_base=None if info.time_base is None else self.clock.tick(info.time_base) * self.slow,
        )

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield batches of at most 16 frames and, unless one frame is larger, 32 MB."""
        start = self.part.clip_start
        for batch in rebatched(self._frames(batches)):
            start = batch.times[0] if start is None else start
            yield _slowed(batch, start, self.slow)

    def _frames(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the output frames in order, with their repeats marked."""
        last: int | None = None
        for frames, image in self._output_frames(batches):
            yield replace(frames, repeats=(image is not None and image == last,) * len(frames))
            last = image

    def _output_frames(self, batches: Iterator[FrameBatch]) -> Iterator[OutputFrames]:
        with (
            closing(self._intervals(self._sources(batches))) as intervals,
            closing(self._made(self._with_neighbours(intervals))) as made,
        ):
            for frames in made:
                yield from frames

    def _with_neighbours(self, intervals: Iterator[Interval]) -> Iterator[Neighbourhood]:
        """Yield each interval with the motion on either side, in parts of at most one batch."""
        before: Any = None
        interval = next(intervals, None)
        while interval is not None:
            following = next(intervals, None)
            wanted = self._in_part(interval)
            self._count(wanted)
            for part in _in_parts(wanted):
                yield part, before, None if following is None else following.motion
            before, interval = interval.motion, following

    def _made(self, neighbourhoods: Iterator[Neighbourhood]) -> Generator[list[OutputFrames]]:
        """Yield the output frames of each interval, made ahead on threads of their own."""
        most = RENDER_BYTES // (FLOAT_BYTES * self.info.width * self.info.height)
        threads = 1 if self.engine is None else max(1, min(self.threads, most))
        if threads == 1:
            return ordered_map(neighbourhoods, [_interval_frames])
        work = with_torch_threads(max(1, THREADS // threads), _interval_frames)
        return ordered_map(neighbourhoods, [work] * threads)

    def _sources(self, batches: Iterator[FrameBatch]) -> Iterator[SourceFrame]:
        """Yield the source frames between which to interpolate."""
        sources = with_output_times(single_frames(batches), self.clock, self.info, self.part)
        if self.repeats == "keep" or self.info.fps is None:
            yield from sources
            return
        for source in evenly_spaced(merged_repeats(sources), 1 / self.info.fps):
            self.counts["repeats"] += source.repeats
            yield source

    def _intervals(self, sources: Iterator[SourceFrame]) -> Generator[Interval]:
        """Yield the interval after each source frame, with motion estimated ahead on ``threads`` threads."""
        threads = 1 if self.engine is None else self.threads
        return ordered_map(self._pairs(sources), [self._with_motion] * threads)

    def _pairs(self, sources: Iterator[SourceFrame]) -> Iterator[Interval]:
        """Yield the interval after each source frame, without motion."""
        a = next(sources, None)
        while a is not None:
            b = next(sources, None)
            times_of_b = [] if b is None else [time for time in a.times if b.time - time < self._rounding]
            times_of_a = [time for time in a.times if time - a.time <= self._rounding]
            between = a.times[len(times_of_a) : len(a.times) - len(times_of_b)]
            pair = self._prepare(a, b) if between and b is not None else None
            yield Interval(a, b, times_of_a, between, times_of_b, pair)
            a = b

    @property
    def _rounding(self) -> Fraction:
        """Seconds by which the container may have rounded times; 0 if it rounds none.

        Matroska rounds to milliseconds. A source frame within this distance of an output time counts as taken at that
        time. A `Times` clock counts frames, not seconds, so rounding does not matter to it.
        """
        tick, fps = self.info.time_base, self.info.fps
        if isinstance(self.clock, Times) or tick is None or fps is None:
            return Fraction(0)
        return tick / 2 if MIN_TICKS_PER_FRAME * tick <= 1 / max(fps, self.clock.fps) else Fraction(0)

    def _prepare(self, a: SourceFrame, b: SourceFrame) -> PreparedPair[Any] | None:
        """Return the pair to interpolate; None for repeated frames or without an engine."""
        return None if self.engine is None or a.image == b.image else self.engine.prepare(a.frame, b.frame)

    def _with_motion(self, interval: Interval) -> Interval:
        """Return ``interval`` with its motion estimated; without its pair where the nearer frame is held.

        That is across a scene cut, and in drawn content whose motion was not found.
        """
        a, b, pair = interval.a, interval.b, interval.pair
        if pair is None or b is None:
            return interval
        with nullcontext() if self.watch is None else self.watch.step("flow"):
            flow_confidence = pair.flow_confidence
        is_cut = scene_cuts.is_cut(a.thumbnail, b.thumbnail, flow_confidence)
        if is_cut:
            return replace(interval, pair=None, is_cut=True)
        with nullcontext() if self.watch is None else self.watch.step("flow"):
            return replace(interval, pair=None, is_drawn=True) if pair.holds else interval

    def _in_part(self, interval: Interval) -> Interval:
        """Return ``interval`` with the wanted output times only."""
        if self.keeps_context or (self.part.begin is None and self.part.end is None):
            return interval
        a, between, b = (
            [time for time in times if self.part.holds(time)]
            for times in (interval.times_of_a, interval.between, interval.times_of_b)
        )
        return replace(interval, times_of_a=a, between=between, times_of_b=b)

    def _count(self, interval: Interval) -> None:
        """Add the frames in ``between`` to `counts`."""
        kept = sum(map(self.part.holds, interval.between))
        self.counts["interpolated"] += kept if interval.pair is not None else 0
        self.counts["held_at_cuts"] += kept if interval.is_cut else 0
        self.counts["held_drawings"] += kept if interval.is_drawn else 0


def _in_parts(interval: Interval) -> Iterator[Interval]:
    """Yield ``interval`` in parts with at most one batch of new frames each."""
    size, count = frames_per_batch(interval.a.frame), len(interval.between)
    for start in range(0, max(1, count), size):
        yield replace(
            interval,
            times_of_a=interval.times_of_a if start == 0 else [],
            between=interval.between[start : start + size],
            times_of_b=interval.times_of_b if start + size >= count else [],
        )


def _interval_frames(neighbourhood: Neighbourhood) -> list[OutputFrames]:
    """Return the output frames of one interval."""
    interval, before, after = neighbourhood
    a, b = interval.a, interval.b
    frames = [_at_time(a, time) for time in interval.times_of_a]
    if interval.pair is None:
        frames += _nearest(interval)
    elif interval.between:
        frames.append(_interpolated(interval, interval.pair, before, after))
    if b is not None:
        frames += [_at_time(b, time) for time in interval.times_of_b]
    return frames


def _interpolated(interval: Interval, pair: PreparedPair[Any], before: Any, after: Any) -> OutputFrames:
    """Return an interpolated frame at each time in ``between``."""
    index, flow_confidence = interval.a.frame.origins[0].index, pair.flow_confidence
    origins = tuple(Origin(index, phase, flow_confidence=flow_confidence) for phase in interval.phases)
    y, uv = pair.interpolate(interval.phases, before, after)
    return FrameBatch(y, uv, tuple(interval.between), origins), None


def _nearest(interval: Interval) -> list[OutputFrames]:
    """Return the nearer source frame at each time in ``between``."""
    a, b = interval.a, interval.b
    if b is None:
        return [_at_time(a, time) for time in interval.between]
    index, is_cut = a.frame.origins[0].index, interval.is_cut
    return [
        _at_time(a if phase <= HALF else b, time, Origin(index, phase, scene_cut=is_cut))
        for time, phase in zip(interval.between, interval.phases, strict=True)
    ]


def _at_time(source: SourceFrame, time: Fraction, origin: Origin | None = None) -> OutputFrames:
    """Return the frame of ``source`` at another ``time``, with its own origin or another."""
    origins = source.frame.origins if origin is None else (origin,)
    return replace(source.frame, times=(time,), origins=origins), source.image


def _slowed(batch: FrameBatch, start: Fraction, factor: Fraction) -> FrameBatch:
    """Return ``batch`` with its times stretched by ``factor`` about ``start``."""
    return replace(batch, times=tuple(start + (time - start) * factor for time in batch.times))
