"""What one segment was: its packets, its rows of the frame log, and what the closing report sums up."""

from __future__ import annotations

from dataclasses import dataclass, field

from vidsr.errors import Note
from vidsr.video.segment_writer import EncodedSegment


@dataclass(frozen=True)
class SegmentReport:
    """A finished segment, as its file in the job folder holds it."""

    index: int
    job: str  # digest of the job
    frames: int  # written
    encoded: EncodedSegment
    device: str  # of its networks; empty for those of the plan
    seconds: float
    log: str = ""  # rows of the frame log without its header; frames are numbered from 0 in each segment
    log_sums: dict[str, float] = field(default_factory=dict)  # column -> sum of its finite values
    log_counts: dict[str, int] = field(default_factory=dict)  # column -> number of its finite values
    counts: dict[str, int] = field(default_factory=dict)  # events by identifier, see docs/json.md
    threads: dict[str, dict[str, float]] = field(default_factory=dict)  # thread -> step -> its own seconds
    notes: tuple[Note, ...] = ()
    truncated: str | None = None  # why the source ends early
