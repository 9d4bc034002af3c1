"""Stages: each maps a stream of frames to a stream of frames. `specs` describes them, `build` makes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

from vidsr.frames import FrameBatch, VideoInfo


@dataclass(frozen=True)
class Context:
    """Input frames that a stage needs before and after a range.

    With them it makes the same frames as in a whole run.

    A run of repeated frames counts as one frame, because it may have any length.
    """

    before: int = 0
    after: int = 0

    def __add__(self, other: Context) -> Context:
        """Return the context of two stages in sequence."""
        return Context(self.before + other.before, self.after + other.after)

    def around(self, first: int, stop: int, repeats: Sequence[bool]) -> tuple[int, int]:
        """Return the range of frames that includes the context of frames ``first`` to ``stop`` - 1.

        ``repeats`` says of every frame of the clip whether it repeats the previous one.
        """
        for _ in range(self.before):
            while first > 0 and repeats[first]:
                first -= 1
            first = max(0, first - 1)
        for _ in range(self.after):
            while stop < len(repeats) and repeats[stop]:
                stop += 1
            stop = min(len(repeats), stop + 1)
        return first, stop


@dataclass(frozen=True)
class StreamRange:
    """The part of a run whose frames a segment makes, and where in the run its input begins."""

    first: int = 0  # number of the first source frame that the stages receive
    clip_start: Fraction | None = None  # time of the first frame of the run; None: of the first frame received
    begin: Fraction | None = None  # source time from which on output frames are wanted; None: from the first on
    end: Fraction | None = None  # source time at which they end; None: at the end

    def holds(self, time: Fraction) -> bool:
        """Whether an output frame at ``time`` of the source is wanted."""
        return (self.begin is None or time >= self.begin) and (self.end is None or time < self.end)

    def slowed(self, factor: Fraction) -> StreamRange:
        """Return the range on a clock whose time is stretched by ``factor`` from the beginning of the run."""

        def stretched(time: Fraction | None) -> Fraction | None:
            zero = self.clip_start or Fraction(0)
            return None if time is None else zero + (time - zero) * factor

        return replace(self, begin=stretched(self.begin), end=stretched(self.end))


WHOLE_RUN = StreamRange()
PER_FRAME = Context()  # of a stage that makes each frame from the same frame alone


class Stage(Protocol):
    """One step of a frame's journey.

    Keeps order; may change size, rate and number of frames.
    """

    @property
    def name(self) -> str:
        """Name in the times of a run."""
        ...

    def output(self, info: VideoInfo) -> VideoInfo:
        """Return the facts of the output for an input of ``info``, known before the first frame."""
        ...

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the output in batches.

        A batch leaves finished, with no work pending on a device.
        """
        ...
