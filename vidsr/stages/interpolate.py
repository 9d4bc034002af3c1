"""Frames at the exact times of a clock, made between those of the source; real frames pass untouched.

The stream keeps its length: the last frame is shown for as long as it was, held at every output time of its own
interval, so N frames at 2x become 2N and sound stays in step to the end. Nothing is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction

import torch

from vidsr.concurrency import ordered_map
from vidsr.flow import scene_cuts as scenes
from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.kernels.workers import numba_is_shared
from vidsr.options.choices import Repeats
from vidsr.options.frame_rate import Clock, Times
from vidsr.options.parse import decimal
from vidsr.stages.batching import fitting, gathered, singly
from vidsr.stages.engines import Engine, Pair, make_engine
from vidsr.stages.source_times import Source, distinct, evened, timed
from vidsr.stages.stopwatch import Stopwatch

__all__ = ["Engine", "Interpolate", "make_engine"]

HALF = Fraction(1, 2)
ROUNDED = 4  # ticks of a frame, source and output, from which on times are rounded to ticks, not counted in them


@dataclass(frozen=True)
class Interval:
    """From source ``a`` to the next, ``b``; None after the last."""

    a: Source
    b: Source | None
    near_a: list[Fraction]  # output times at which ``a`` itself is shown
    between: list[Fraction]
    near_b: list[Fraction]  # output times at which ``b`` itself is shown, next to none before its own
    pair: Pair | None  # None where the nearer source is held

    @property
    def motion(self) -> object:
        """What the intervals on either side may know of this one."""
        return None if self.pair is None else self.pair.motion

    @property
    def phases(self) -> list[Fraction]:
        """Where each time between lies on the way from ``a`` to ``b``."""
        assert self.b is not None
        return [(time - self.a.time) / (self.b.time - self.a.time) for time in self.between]


@dataclass(frozen=True)
class Interpolate:
    """The stream as ``clock`` asks for it, new frames made by ``engine`` (None holds the nearer frame).

    ``repeats`` keeps repeated frames as they are, or interpolates over them: motion then runs from one distinct frame
    to the next (film at 24 in 60, drawings on twos). ``slow`` stretches time when all is done, 8 for eight times
    slower. ``counts`` tells what was done so far.
    """

    clock: Clock
    engine: Engine | None
    info: VideoInfo  # of the stream that comes in
    repeats: Repeats = "keep"
    slow: Fraction = Fraction(1)
    lanes: int = field(default_factory=lambda: 2 if numba_is_shared() else 1)  # threads that find motion
    watch: Stopwatch | None = None  # for finding it, on one thread
    name: str = "interpolate"
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("synthesised", "held_at_cuts", "duplicates"), 0), init=False
    )

    def __str__(self) -> str:
        how = "nearest frame" if self.engine is None else self.engine.name
        if self.slow == 1:
            return f"interpolate: {how}, {self.clock}"
        clock = self.clock.slowed(1 / self.slow)  # as it was asked for
        rate = "" if clock == Times(Fraction(1)) else f"{clock}, "
        return f"interpolate: {how}, {rate}{decimal(self.slow)} times slower"

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of the engine's weights file, by its name."""
        return {} if self.engine is None else self.engine.weights

    def output(self, info: VideoInfo) -> VideoInfo:
        """The same pictures at the clock's rate; frame count, duration and time base follow."""
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
        """Batches of at most 16 frames and, unless one frame is larger, 32 MB."""
        start: Fraction | None = None
        for batch in gathered(self._frames(batches)):
            start = batch.times[0] if start is None else start
            yield _stretched(batch, start, self.slow)

    def _frames(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Output frames, one or a few at a time."""
        before: object = None
        with closing(self._intervals(self._sources(batches))) as intervals:
            interval = next(intervals, None)
            while interval is not None:
                following = next(intervals, None)
                yield from self._filled(interval, before, None if following is None else following.motion)
                before, interval = interval.motion, following

    def _sources(self, batches: Iterator[FrameBatch]) -> Iterator[Source]:
        """The frames that motion runs between."""
        sources = timed(singly(batches), self.clock, self.info)
        if self.repeats == "keep" or self.info.fps is None:
            yield from sources
            return
        for source in evened(distinct(sources), 1 / self.info.fps):
            self.counts["duplicates"] += source.repeats
            yield source

    def _intervals(self, sources: Iterator[Source]) -> Generator[Interval]:
        """What lies between each source and the next, and the last source for itself; motion is found ahead."""
        return ordered_map(self._pairs(sources), [self._explored] * (1 if self.engine is None else self.lanes))

    def _pairs(self, sources: Iterator[Source]) -> Iterator[Interval]:
        """The same, before motion is found."""
        a = next(sources, None)
        while a is not None:
            b = next(sources, None)
            near_b = [] if b is None else [time for time in a.times if b.time - time < self._rounding]
            near_a = [time for time in a.times if time - a.time <= self._rounding]
            between = a.times[len(near_a) : len(a.times) - len(near_b)]
            pair = self._prepare(a, b) if between and b is not None else None
            yield Interval(a, b, near_a, between, near_b, pair)
            a = b

    @property
    def _rounding(self) -> Fraction:
        """Seconds by which the container may have rounded times, as Matroska to milliseconds; 0 where none matter.

        A frame that near an output time was taken at it. A factor counts frames, and so knows no such times.
        """
        tick, fps = self.info.time_base, self.info.fps
        if isinstance(self.clock, Times) or tick is None or fps is None:
            return Fraction(0)
        return tick / 2 if ROUNDED * tick <= 1 / max(fps, self.clock.fps) else Fraction(0)

    def _prepare(self, a: Source, b: Source) -> Pair | None:
        """The pair, or None where the nearer frame is to be held: equal frames, no engine."""
        return None if self.engine is None or _equal(a.frame, b.frame) else self.engine.prepare(a.frame, b.frame)

    def _explored(self, interval: Interval) -> Interval:
        """The interval with its motion found; without its pair across a cut, where the nearer frame is held."""
        a, b, pair = interval.a, interval.b, interval.pair
        if pair is None or b is None:
            return interval
        with nullcontext() if self.watch is None else self.watch.step("flow"):
            flow_confidence = pair.flow_confidence
        return replace(interval, pair=None) if scenes.is_cut(a.small, b.small, flow_confidence) else interval

    def _filled(self, interval: Interval, before: object, after: object) -> Iterator[FrameBatch]:
        """The output frames from a source up to the next."""
        a, b = interval.a, interval.b
        yield from (_shown(a.frame, time) for time in interval.near_a)
        if interval.pair is None:
            yield from self._held(interval)
        else:
            yield from self._made(interval, before, after)
        if b is not None:
            yield from (_shown(b.frame, time) for time in interval.near_b)

    def _made(self, interval: Interval, before: object, after: object) -> Iterator[FrameBatch]:
        """A new frame at each time between."""
        assert interval.pair is not None
        a, times = interval.a, interval.between
        self.counts["synthesised"] += len(times)
        index, flow_confidence = a.frame.origins[0].index, interval.pair.flow_confidence
        origins = [Origin(index, phase, flow_confidence=flow_confidence) for phase in interval.phases]
        for some in _slices(len(times), a.frame):
            y, uv = interval.pair.at(interval.phases[some], before, after)
            yield FrameBatch(y, uv, tuple(times[some]), tuple(origins[some]))

    def _held(self, interval: Interval) -> Iterator[FrameBatch]:
        """The nearer source at each time between."""
        a, b = interval.a, interval.b
        if b is None:
            yield from (_shown(a.frame, time) for time in interval.between)
            return
        cut = self.engine is not None and not _equal(a.frame, b.frame)
        self.counts["held_at_cuts"] += cut * len(interval.between)
        for time, phase in zip(interval.between, interval.phases, strict=True):
            origin = Origin(a.frame.origins[0].index, phase, scene_cut=cut)
            yield _shown(a.frame if phase <= HALF else b.frame, time, origin)


def _slices(count: int, frame: FrameBatch) -> Iterator[slice]:
    """``range(count)`` in pieces whose frames fit a batch."""
    piece = fitting(frame)
    return (slice(start, start + piece) for start in range(0, count, piece))


def _shown(frame: FrameBatch, time: Fraction, origin: Origin | None = None) -> FrameBatch:
    """``frame`` at another time, of the ``origin`` it has or another."""
    return replace(frame, times=(time,), origins=frame.origins if origin is None else (origin,))


def _equal(a: FrameBatch, b: FrameBatch) -> bool:
    return torch.equal(a.y, b.y) and (a.uv is None or b.uv is None or torch.equal(a.uv, b.uv))


def _stretched(batch: FrameBatch, start: Fraction, factor: Fraction) -> FrameBatch:
    return replace(batch, times=tuple(start + (time - start) * factor for time in batch.times))
