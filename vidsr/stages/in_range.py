"""Drop the context of a segment: frames that only the stages before needed."""

from __future__ import annotations

from collections.abc import Iterator

from vidsr.frames import FrameBatch, VideoInfo, concat
from vidsr.stages import StreamRange
from vidsr.stages.frame_log import Tap


class InRange:
    """Passes the frames of ``part`` and drops the others, also those that ``before`` holds for the log.

    ``tap`` holds those that remain.
    """

    name = "in_range"

    def __init__(self, part: StreamRange, before: Tap) -> None:
        self.part = part
        self.tap = Tap()
        self._before = before

    def output(self, info: VideoInfo) -> VideoInfo:
        """Return ``info``: the format does not change."""
        return info

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the wanted frames, in batches as they come."""
        for batch in batches:
            seen = self._before.seen.popleft() if self._before.seen else None
            wanted = [i for i, time in enumerate(batch.times) if self.part.holds(time)]
            if not wanted:
                continue
            if seen is not None:
                self.tap.seen.append(seen[wanted])
            yield batch if len(wanted) == len(batch) else concat([batch[i : i + 1] for i in wanted])
