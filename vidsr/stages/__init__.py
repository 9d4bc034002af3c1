"""Stages: each maps a stream of batches to a stream of batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from vidsr.frames import FrameBatch, VideoInfo


class Stage(Protocol):
    """One step of the journey. Keeps order; may change size, rate and number of frames."""

    @property
    def name(self) -> str:
        """What the summary calls it."""
        ...

    def output(self, info: VideoInfo) -> VideoInfo:
        """The facts of the stream this stage makes of ``info``, known before the first frame."""
        ...

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """The stream of output batches; a batch leaves finished (no work pending on a device)."""
        ...
