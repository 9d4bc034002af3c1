"""What a writer promises of its file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidsr.frames import VideoInfo


@dataclass(frozen=True)
class Written:
    """What a finished file should hold."""

    path: Path
    info: VideoInfo  # as encoded
    times: tuple[Fraction, ...]  # of every frame, on the file's own clock
    source: Path | None  # whose other streams it carries, from ``start`` to ``end`` of that clock
    start: Fraction | None = None
    end: Fraction | None = None
