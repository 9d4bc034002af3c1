"""Which source frames motion runs between, when each was taken, and the output times that start from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from vidsr.flow import scene_cuts as scenes
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.options.frame_rate import Clock

LONGEST_REPEAT = 4  # source frames that repeat one picture; with more of them, or as long a gap, it stands still


@dataclass
class Source:
    """A single source frame, its reduced luma, and the output times that start from it."""

    frame: FrameBatch
    small: scenes.Small
    times: list[Fraction] = field(default_factory=list)
    repeats: int = 0  # source frames after it that show the same
    stood: bool = False  # it is the end of a picture that stood still, and was not in the stream

    @property
    def time(self) -> Fraction:
        """When it is shown."""
        return self.frame.times[0]


def timed(frames: Iterator[FrameBatch], clock: Clock, info: VideoInfo) -> Iterator[Source]:
    """Every single frame, with the output times from it up to the next.

    The last is shown no longer than an average one, whatever gap a variable rate left before it. A picture before a
    long gap stands there, as it does in the source, and comes once more where it begins to move.
    """
    period = Fraction(0) if info.fps is None else 1 / info.fps
    source, step, gap = None, period, period
    for index, frame in enumerate(frames):
        following = Source(frame, scenes.reduce(frame.y, info.depth))
        if source is None:
            clock = clock.starting_at(following.time)
        else:
            source.times += clock.between(source.time, following.time, index - 1)
            usual, gap = max(gap, period), following.time - source.time
            if usual and gap > (LONGEST_REPEAT + 1) * usual:
                yield from _standing(source, following.time - step)
            else:
                yield source
            step = min(gap, period or gap)
        source = following
    if source is not None:
        source.times += clock.between(source.time, source.time + step, index) if step else [source.time]
        yield source


def _standing(source: Source, until: Fraction) -> Iterator[Source]:
    """``source``, and the same picture at ``until`` with the output times that start from there."""
    frame = replace(source.frame, times=(until,))
    yield replace(source, times=[time for time in source.times if time < until])
    yield replace(source, frame=frame, times=[time for time in source.times if time >= until], stood=True)


def distinct(sources: Iterator[Source]) -> Iterator[Source]:
    """The frames that differ from the one before, each with the output times of its repeats too."""
    current, run = next(sources, None), 0
    if current is None:
        return
    for source in sources:
        run = run + 1 if scenes.is_duplicate(current.small, source.small) else 0
        if 0 < run <= LONGEST_REPEAT and not source.stood:
            current.repeats += 1
            current.times += source.times
        else:
            yield current
            current = source
    yield current


def evened(sources: Iterator[Source], tick: Fraction) -> Iterator[Source]:
    """The same frames at the times when they were taken: film in video is shown at the first tick after.

    Film at 24 in 60 is shown for 3, 2, 3, 2 ticks; its frames were taken 2.5 ticks apart. A frame that stands less
    than a tick behind the middle of its neighbours, with repeats around it, is moved there.
    """
    window: list[tuple[Fraction, Source]] = []  # three neighbours, each with the time at which it was shown
    for source in sources:
        window.append((source.time, source))
        if len(window) < 3:
            continue
        (first, before), (shown, current), (last, _) = window
        middle = (first + last) / 2
        if before.repeats + current.repeats and shown - tick < middle < shown:
            _move(before, current, middle)
        yield window.pop(0)[1]
    yield from (source for _, source in window)


def _move(before: Source, current: Source, time: Fraction) -> None:
    """Put ``current`` at ``time``, earlier than it was, with the output times that now start from it."""
    current.frame = replace(current.frame, times=(time,))
    current.times = [t for t in before.times if t >= time] + current.times
    before.times = [t for t in before.times if t < time]
