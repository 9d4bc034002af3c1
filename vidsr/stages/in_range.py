"""Drop the context of a segment: frames that only the stages before needed."""

from __future__ import annotations

from collections.abc import Iterator

from vidsr.frames import FrameBatch, VideoInfo, concat
from vidsr.stages import PER_FRAME, StreamRange


class InRange:
    """Passes the frames of ``part`` and drops the others."""

    name = "in_range"
    context = PER_FRAME

    def __init__(self, part: StreamRange) -> None:
        self.part = part

    def output(self, info: VideoInfo) -> VideoInfo:
        """Return ``info``: the format does not change."""
        return info

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the wanted frames, in batches as they come."""
        for batch in batches:
            wanted = [self.part.holds(time) for time in batch.times]
            if all(wanted):
                yield batch
            elif any(wanted):
                yield concat([batch[i : i + 1] for i, keep in enumerate(wanted) if keep])
