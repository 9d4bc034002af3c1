"""Frames at the exact times of a clock, made between those of the source; real frames pass untouched.

The stream keeps its length: the last frame is shown for as long as it was, held at every output time of its own
interval, so N frames at 2x become 2N and sound stays in step to the end. Nothing is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, Protocol

import torch
from torch import Tensor

from vidsr import scenes
from vidsr.clocks import Clock
from vidsr.flow import FlowEngine
from vidsr.frames import FrameBatch, Origin, VideoInfo, concat

BATCH_FRAMES = 16
BATCH_BYTES = 32 << 20
LONGEST_REPEAT = 4  # source frames that repeat one picture; with more of them the picture stands still
HALF = Fraction(1, 2)

EngineName = Literal["flow", "blend", "none"]
Duplicates = Literal["keep", "smooth"]
Planes = tuple[Tensor, Tensor | None]  # N x 1 x H x W and N x 2 x h x w code values


class Pair(Protocol):
    """Two neighbouring frames, ready to make what lies between them."""

    @property
    def followed(self) -> float | None:
        """Share of the picture whose motion was found, there and back; None if the engine does not look."""
        ...

    def at(self, phases: Sequence[Fraction], before: Pair | None = None, after: Pair | None = None) -> Planes:
        """One frame at each of ``phases`` (0 is the first frame, 1 the second), float32.

        ``before`` and ``after`` are the pairs on either side, of the same engine, where the scene goes on there.
        """
        ...


class Engine(Protocol):
    """A way to make frames between two frames."""

    @property
    def name(self) -> str:
        """What it is, in words."""
        ...

    def prepare(self, a: FrameBatch, b: FrameBatch) -> Pair:
        """The work that all phases between two single frames share, done once."""
        ...


class BlendEngine:
    """Weighted means: no motion, and no harm to what stands still."""

    name = "blend"

    def prepare(self, a: FrameBatch, b: FrameBatch) -> Pair:
        """The two frames."""
        return _BlendPair(a, b)


@dataclass(frozen=True)
class _BlendPair:
    a: FrameBatch
    b: FrameBatch
    followed: None = None

    def at(self, phases: Sequence[Fraction], before: Pair | None = None, after: Pair | None = None) -> Planes:
        share = torch.tensor([float(phase) for phase in phases]).view(-1, 1, 1, 1)
        uv = None if self.a.uv is None or self.b.uv is None else torch.lerp(self.a.uv.float(), self.b.uv.float(), share)
        return torch.lerp(self.a.y.float(), self.b.y.float(), share), uv


def make_engine(name: EngineName, depth: int) -> Engine | None:
    """The engine called ``name`` for planes of ``depth`` bits; None holds the nearer frame."""
    engines: dict[EngineName, Engine | None] = {"flow": FlowEngine(depth), "blend": BlendEngine(), "none": None}
    return engines[name]


@dataclass
class Source:
    """A single source frame, its reduced luma, and the output times that start from it."""

    frame: FrameBatch
    small: scenes.Small
    times: list[Fraction] = field(default_factory=list)

    @property
    def time(self) -> Fraction:
        """When it is shown."""
        return self.frame.times[0]


@dataclass(frozen=True)
class Interval:
    """From source ``a`` to the next, ``b``; None after the last."""

    a: Source
    b: Source | None
    between: list[Fraction]  # output times that are not a's own
    pair: Pair | None  # None where the nearer source is held

    @property
    def phases(self) -> list[Fraction]:
        """Where each time between lies on the way from ``a`` to ``b``."""
        assert self.b is not None
        return [(time - self.a.time) / (self.b.time - self.a.time) for time in self.between]


@dataclass(frozen=True)
class Interpolate:
    """The stream as ``clock`` asks for it, new frames made by ``engine`` (None holds the nearer frame).

    ``duplicates`` keeps repeated frames as they are, or smooths: motion then runs from one distinct frame to the next
    (film at 24 in 60, drawings on twos). ``slow`` stretches time when all is done, 8 for eight times slower. ``counts``
    tells what was done so far.
    """

    clock: Clock
    engine: Engine | None
    info: VideoInfo  # of the stream that comes in
    duplicates: Duplicates = "keep"
    slow: Fraction = Fraction(1)
    name: str = "interpolate"
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("synthesised", "held_at_cuts", "duplicates"), 0), init=False
    )

    def __str__(self) -> str:
        how = "nearest frame" if self.engine is None else self.engine.name
        slow = "" if self.slow == 1 else f", {self.slow} times slower"
        return f"interpolate: {how}, {self.clock}{slow}"

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
        sources = self._timed(batches)
        intervals = self._intervals(self._distinct(sources) if self.duplicates == "smooth" else sources)
        before: Pair | None = None
        interval = next(intervals, None)
        while interval is not None:
            following = next(intervals, None)
            yield from self._filled(interval, before, None if following is None else following.pair)
            before, interval = interval.pair, following

    def _timed(self, batches: Iterator[FrameBatch]) -> Iterator[Source]:
        """Every frame, with the output times from it up to the next."""
        period = Fraction(0) if self.info.fps is None else 1 / self.info.fps
        clock, source, step = self.clock, None, period
        for index, frame in enumerate(_singly(batches)):
            following = Source(frame, scenes.reduce(frame.y, self.info.depth))
            if source is None:
                clock = clock.starting_at(following.time)
            else:
                source.times += clock.between(source.time, following.time, index - 1)
                # the last frame is shown no longer than an average one, whatever gap a variable rate left before it
                step = min(following.time - source.time, period or following.time - source.time)
                yield source
            source = following
        if source is not None:
            source.times += clock.between(source.time, source.time + step, index) if step else [source.time]
            yield source

    def _distinct(self, sources: Iterator[Source]) -> Iterator[Source]:
        """The frames that differ from the one before, each with the output times of its repeats too."""
        current, run = next(sources, None), 0
        if current is None:
            return
        for source in sources:
            run = run + 1 if scenes.is_duplicate(current.small, source.small) else 0
            if 0 < run <= LONGEST_REPEAT:
                self.counts["duplicates"] += 1
                current.times += source.times
            else:
                yield current
                current = source
        yield current

    def _intervals(self, sources: Iterator[Source]) -> Iterator[Interval]:
        """What lies between each source and the next, and the last source for itself."""
        a = next(sources, None)
        while a is not None:
            b = next(sources, None)
            between = [time for time in a.times if time != a.time]
            yield Interval(a, b, between, self._prepare(a, b) if between and b is not None else None)
            a = b

    def _prepare(self, a: Source, b: Source) -> Pair | None:
        """The pair, or None where the nearer frame is to be held: equal frames, a cut, no engine."""
        if self.engine is None or _equal(a.frame, b.frame):
            return None
        pair = self.engine.prepare(a.frame, b.frame)
        return None if scenes.is_cut(a.small, b.small, pair.followed) else pair

    def _filled(self, interval: Interval, before: Pair | None, after: Pair | None) -> Iterator[FrameBatch]:
        """The output frames from a source up to the next."""
        a, times = interval.a, interval.between
        if len(times) < len(a.times):
            yield a.frame
        if interval.pair is None:
            yield from self._held(interval)
            return
        self.counts["synthesised"] += len(times)
        origins = [Origin(a.frame.origins[0].index, phase) for phase in interval.phases]
        for some in _slices(len(times), a.frame):
            y, uv = interval.pair.at(interval.phases[some], before, after)
            yield FrameBatch(y, uv, tuple(times[some]), tuple(origins[some]))

    def _held(self, interval: Interval) -> Iterator[FrameBatch]:
        """The nearer source at each time between."""
        a, b = interval.a, interval.b
        if b is None:
            yield from (_shown(a.frame, time, a.frame.origins[0]) for time in interval.between)
            return
        cut = self.engine is not None and not _equal(a.frame, b.frame)
        self.counts["held_at_cuts"] += cut * len(interval.between)
        for time, phase in zip(interval.between, interval.phases, strict=True):
            origin = Origin(a.frame.origins[0].index, phase, scene_cut=cut)
            yield _shown(a.frame if phase <= HALF else b.frame, time, origin)


def gathered(frames: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
    """The same frames in batches bounded in frames and bytes."""
    held: list[FrameBatch] = []
    for frame in frames:
        count = sum(map(len, held)) + len(frame)
        if held and (count > BATCH_FRAMES or count * _float_bytes(frame[:1]) > BATCH_BYTES):
            yield concat(held)
            held = []
        held.append(frame)
    if held:
        yield concat(held)


def _singly(batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
    for batch in batches:
        for n in range(len(batch)):
            yield batch[n : n + 1]


def _slices(count: int, frame: FrameBatch) -> Iterator[slice]:
    """``range(count)`` in pieces whose frames fit a batch."""
    piece = max(1, min(BATCH_FRAMES, BATCH_BYTES // _float_bytes(frame)))
    return (slice(start, start + piece) for start in range(0, count, piece))


def _float_bytes(frame: FrameBatch) -> int:
    """Bytes of one frame as float32, which it becomes beside a synthesised one."""
    return 4 * (frame.y.numel() + (0 if frame.uv is None else frame.uv.numel()))


def _shown(frame: FrameBatch, time: Fraction, origin: Origin) -> FrameBatch:
    """``frame`` at another time."""
    return replace(frame, times=(time,), origins=(origin,))


def _equal(a: FrameBatch, b: FrameBatch) -> bool:
    return torch.equal(a.y, b.y) and (a.uv is None or b.uv is None or torch.equal(a.uv, b.uv))


def _stretched(batch: FrameBatch, start: Fraction, factor: Fraction) -> FrameBatch:
    return replace(batch, times=tuple(start + (time - start) * factor for time in batch.times))
