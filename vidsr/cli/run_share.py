"""The share of a run that is done, by bytes of sources, and the time left for all files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from vidsr.options.image_sequence import file_bytes
from vidsr.pipeline.summary import duration_text


class RunShare:
    """How far each file of a run is. Files are numbered from 0."""

    def __init__(self, sources: Sequence[Path] = ()) -> None:
        self._sizes = [max(1, file_bytes(source)) for source in sources]
        self._parts = [0.0] * len(sources)
        self._started = perf_counter()
        self.ended = 0  # files

    def update(self, number: int, done: int, frames: int | None) -> None:
        """Note that ``done`` of the expected ``frames`` of a file are written."""
        if number < len(self._parts) and frames:
            self._parts[number] = done / max(done, frames)

    def end(self, number: int) -> None:
        """Note that a file has ended."""
        self.ended += 1
        if number < len(self._parts):
            self._parts[number] = 1.0

    @property
    def value(self) -> float:
        """Share of the run that is done, 0 to 1."""
        if not self._sizes:
            return 0.0
        return sum(part * size for part, size in zip(self._parts, self._sizes, strict=True)) / sum(self._sizes)

    def left(self) -> str:
        """Return the time left for all files in words; empty for one file, and where nothing is known."""
        share = self.value
        if len(self._sizes) < 2 or not 0 < share < 1:
            return ""
        seconds = (perf_counter() - self._started) * (1 - share) / share
        return f", {duration_text(seconds)} for all files"
