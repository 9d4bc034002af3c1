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
        self._before: dict[int, float] = {}  # file -> part of it that earlier runs did
        self._started = perf_counter()
        self.ended = 0  # files

    def update(self, number: int, done: int, frames: int | None) -> None:
        """Note that ``done`` of the expected ``frames`` of a file are written."""
        if number < len(self._parts) and frames:
            self._parts[number] = done / max(done, frames)
            self._before.setdefault(number, self._parts[number])

    def end(self, number: int) -> None:
        """Note that a file has ended."""
        self.ended += 1
        if number < len(self._parts):
            self._parts[number] = 1.0

    @property
    def value(self) -> float:
        """Share of the run that is done, 0 to 1."""
        return self._share(dict(enumerate(self._parts)))

    def _share(self, parts: dict[int, float]) -> float:
        return sum(part * self._sizes[number] for number, part in parts.items()) / max(1, sum(self._sizes))

    def left(self) -> str:
        """Return the time left for all files in words; empty for one file, and where nothing is known."""
        share = self.value
        done = share - self._share(self._before)  # by this run
        if len(self._sizes) < 2 or done <= 0 or share >= 1:
            return ""
        seconds = (perf_counter() - self._started) * (1 - share) / done
        return f", {duration_text(seconds)} for all files"
