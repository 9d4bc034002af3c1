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
from vidsr.kernels.workers import numba_pool_is_thread_safe
from vidsr.options.choices import Repeats
from vidsr.options.frame_rate import Clock, Times
from vidsr.runtime.concurrency import ordered_map
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
    threads: int = field(default_factory=lambda: 2 if numba_pool_is_thread_safe() else 1)  # that estimate motion
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
        before: Any = None
        with closing(self._intervals(self._sources(batches))) as intervals:
            interval = next(intervals, None)
            while interval is not None:
                following = next(intervals, None)
                after = None if following is None else following.motion
                yield from self._interval_frames(self._in_part(interval), before, after)
                before, interval = interval.motion, following

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
            return replace(interval, pair=None)
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

    def _interval_frames(self, interval: Interval, before: Any, after: Any) -> Iterator[OutputFrames]:
        """Yield the output frames of one interval.

        ``before`` and ``after`` are the motion of its neighbours.
        """
        a, b = interval.a, interval.b
        yield from (_at_time(a, time) for time in interval.times_of_a)
        if interval.pair is None:
            yield from self._nearest(interval)
        else:
            yield from self._interpolated(interval, interval.pair, before, after)
        if b is not None:
            yield from (_at_time(b, time) for time in interval.times_of_b)

    def _interpolated(
        self, interval: Interval, pair: PreparedPair[Any], before: Any, after: Any
    ) -> Iterator[OutputFrames]:
        """Yield an interpolated frame at each time in ``between``."""
        a, times, phases = interval.a, interval.between, interval.phases
        self.counts["interpolated"] += sum(map(self.part.holds, times))
        index, flow_confidence = a.frame.origins[0].index, pair.flow_confidence
        origins = [Origin(index, phase, flow_confidence=flow_confidence) for phase in phases]
        size = frames_per_batch(a.frame)
        for part in (slice(start, start + size) for start in range(0, len(times), size)):
            y, uv = pair.interpolate(phases[part], before, after)
            yield FrameBatch(y, uv, tuple(times[part]), tuple(origins[part])), None

    def _nearest(self, interval: Interval) -> Iterator[OutputFrames]:
        """Yield the nearer source frame at each time in ``between``."""
        a, b = interval.a, interval.b
        if b is None:
            yield from (_at_time(a, time) for time in interval.between)
            return
        is_cut = self.engine is not None and a.image != b.image and not interval.is_drawn
        kept = sum(map(self.part.holds, interval.between))
        self.counts["held_at_cuts"] += is_cut * kept
        self.counts["held_drawings"] += interval.is_drawn * kept
        for time, phase in zip(interval.between, interval.phases, strict=True):
            origin = Origin(a.frame.origins[0].index, phase, scene_cut=is_cut)
            yield _at_time(a if phase <= HALF else b, time, origin)


def _at_time(source: SourceFrame, time: Fraction, origin: Origin | None = None) -> OutputFrames:
    """Return the frame of ``source`` at another ``time``, with its own origin or another."""
    origins = source.frame.origins if origin is None else (origin,)
    return replace(source.frame, times=(time,), origins=origins), source.image


def _slowed(batch: FrameBatch, start: Fraction, factor: Fraction) -> FrameBatch:
    """Return ``batch`` with its times stretched by ``factor`` about ``start``."""
    return replace(batch, times=tuple(start + (time - start) * factor for time in batch.times))
