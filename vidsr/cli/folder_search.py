"""A line on stderr while a large folder is searched."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

LINE_SECONDS = 5.0  # between two lines


class Searching:
    """Receives each folder that is searched, and prints one every few seconds."""

    def __init__(self) -> None:
        self._printed = perf_counter()
        self._folders = 0

    def __call__(self, folder: Path) -> None:
        self._folders += 1
        if perf_counter() - self._printed >= LINE_SECONDS:
            self._printed = perf_counter()
            print(f"searching for clips: {self._folders} folders so far, now {folder}", file=sys.stderr)
