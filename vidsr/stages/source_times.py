"""Source frames with their output times, and the times at which they were taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from vidsr.flow import scene_cuts
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.options.frame_rate import Clock
from vidsr.stages import WHOLE_RUN, StreamRange

MOST_TIMES = 10_000  # output times of a frame that stands still: a gap may last for days
LONGEST_REPEAT = 4  # repeats of one frame; after more of them, or a gap as long, the clip counts as standing still


@dataclass
class SourceFrame:
    """One source frame, its luma thumbnail, and its output times.

    The output times reach up to the next frame.
    """

    frame: FrameBatch
    thumbnail: scene_cuts.Thumbnail
    image: int  # repeated frames have the number of the frame they repeat
    times: list[Fraction] = field(default_factory=list)
    repeats: int = 0  # source frames after it that repeat it
    inserted: bool = False  # a copy in a long gap; not a frame of the source

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds."""
        return self.frame.times[0]


def with_output_times(
    frames: Iterator[FrameBatch], clock: Clock, info: VideoInfo, part: StreamRange = WHOLE_RUN
) -> Iterator[SourceFrame]:
    """Yield every single frame with its output times of ``clock``.

    They reach up to the next frame. The last frame is shown for at most one average interval, whatever gap precedes it
    in a clip of variable frame rate. A frame before a long gap is shown during it, as in the source. A copy of it
    follows one usual interval before the next frame, and motion starts from that copy. ``part`` is where in the run
    the frames lie.
    """
    period = Fraction(0) if info.fps is None else 1 / info.fps
    source, step, gap, image = None, period, period, 0
    for index, frame in enumerate(frames, part.first):
        image += not frame.repeats[0]
        following = SourceFrame(frame, scene_cuts.thumbnail(frame.y, info.depth), image)
        if source is None:
            clock = clock.starting_at(following.time if part.clip_start is None else part.clip_start)
        else:
            times = clock.between(source.time, following.time, index - 1)
            usual, gap = max(gap, period), following.time - source.time
            if usual and gap > (LONGEST_REPEAT + 1) * usual:
                yield from _through_gap(source, times, following.time - step)
            else:
                source.times += times
                yield source
            step = min(gap, period or gap)
        source = following
    if source is not None:
        source.times += clock.between(source.time, source.time + step, index) if step else [source.time]
        yield source


def _through_gap(source: SourceFrame, times: Iterator[Fraction], end: Fraction) -> Iterator[SourceFrame]:
    """Yield ``source`` for a long gap: it stands still until ``end``, where a copy of it begins the motion.

    More copies follow every `MOST_TIMES` output times before, so that no list of times is as long as the gap.
    """
    current = source
    for time in times:
        if current.time < end <= time:
            yield current
            current = _copy(source, end)
        elif current.time < end and len(current.times) == MOST_TIMES:
            yield current
            current = _copy(source, time)
        current.times.append(time)
    yield current
    if current.time < end:
        yield _copy(source, end)


def _copy(source: SourceFrame, time: Fraction) -> SourceFrame:
    return replace(source, frame=replace(source.frame, times=(time,)), times=[], inserted=True)


def merged_repeats(sources: Iterator[SourceFrame]) -> Iterator[SourceFrame]:
    """Yield the distinct frames, each with the output times of its repeats too."""
    current, run = next(sources, None), 0
    if current is None:
        return
    for source in sources:
        run = run + 1 if scene_cuts.is_repeat(current.thumbnail, source.thumbnail) else 0
        if 0 < run <= LONGEST_REPEAT and not source.inserted:
            current.repeats += 1
            current.times += source.times
        else:
            yield current
            current = source
    yield current


def evenly_spaced(sources: Iterator[SourceFrame], tick: Fraction) -> Iterator[SourceFrame]:
    """Yield the frames at the times they were taken.

    Film in video is shown at the first tick after that. Film at 24 in 60 is shown for 3, 2, 3, 2 ticks, but its frames
    were taken 2.5 ticks apart. A frame less than a tick after the midpoint of its neighbours, with repeats before or
    after it, moves to the midpoint.
    """
    window: list[tuple[Fraction, SourceFrame]] = []  # three neighbours, each with the time at which it was shown
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


def _move(before: SourceFrame, current: SourceFrame, time: Fraction) -> None:
    """Move ``current`` to an earlier ``time``, with the output times from there on."""
    current.frame = replace(current.frame, times=(time,))
    current.times = [t for t in before.times if t >= time] + current.times
    before.times = [t for t in before.times if t < time]
