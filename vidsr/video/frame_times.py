"""The times of decoded frames: missing, repeated, decreasing and absurd ones are repaired and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from av.video.frame import VideoFrame

from vidsr.video.demux import MAX_GAP


def repaired_times(
    frames: Iterable[VideoFrame],
    time_of: Callable[[VideoFrame], Fraction | None],
    step: Fraction,
    problems: Counter[str],
    may_lack_times: bool = False,
) -> Iterator[tuple[VideoFrame, Fraction]]:
    """Yield each frame with a time later than that of the one before.

    ``step``: usual time between two frames, in seconds. ``problems`` counts the repairs; with ``may_lack_times``, not
    those of frames without a time.
    """
    last: Fraction | None = None
    for frame, following in with_next(frames):
        time = time_of(frame)
        after = None if following is None else time_of(following)
        if time is None:
            if not may_lack_times:
                problems["frames_without_time"] += 1
            last = last + step if last is not None else Fraction(0)
        elif last is not None and time <= last:
            problems["frames_out_of_order"] += 1
            last += step / 2  # half a frame, so that a correct next time stays in order
        elif after is not None and time - after > MAX_GAP and after > (last or 0):
            problems["frames_out_of_order"] += 1  # alone far ahead: all others would have to follow it
            last = max(after - step, Fraction(0)) if last is None else (last + after) / 2
        else:
            last = time
        yield frame, last


def with_next(frames: Iterable[VideoFrame]) -> Iterator[tuple[VideoFrame, VideoFrame | None]]:
    """Yield each frame with the next one; the last one with None."""
    frame: VideoFrame | None = None
    for following in frames:
        if frame is not None:
            yield frame, following
        frame = following
    if frame is not None:
        yield frame, None
