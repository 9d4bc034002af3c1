"""The report of a run: what was read, planned, written, measured and verified; and its progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

from vidsr.errors import Note
from vidsr.frames import VideoInfo
from vidsr.options.fingerprint import Fingerprint
from vidsr.options.serialize import to_json
from vidsr.pipeline.plan import Plan
from vidsr.pipeline.verify import Verification

WAIT = "wait"  # the step in which a thread waits for the one before it

OnFrames = Callable[[int, int | None], object]  # (frames written, frames expected or None)

# Counts of what a damaged source has lost
DAMAGE = (
    *("damaged_packets", "undecodable_packets_skipped", "damaged_frames_concealed"),
    *("unreadable_places_skipped", "unreadable_rest", "damaged_packets_left_out"),
)


@dataclass(frozen=True)
class RunReport:
    """What a run did."""

    source: Path
    target: Path
    plan: Plan
    output: VideoInfo  # as written; the encoder may have padded an odd size
    frames: int
    seconds: float
    notes: tuple[Note, ...] = ()
    threads: dict[str, dict[str, float]] = field(default_factory=dict)  # thread -> step -> its own seconds
    means: dict[str, float] = field(default_factory=dict)  # mean of each measured log column
    counts: dict[str, int] = field(default_factory=dict)  # events by identifier, see docs/json.md
    truncated: bool = False  # the source ends early; everything readable was processed
    log: Path | None = None
    verification: Verification | None = None
    failure: str | None = None  # why the output was kept as failed
    fingerprint: Fingerprint | None = None  # of the source
    request: str = ""  # digest of the options: a later run knows by both that the output is complete
    output_bytes: int | None = None  # size of the output; None for images

    def __repr__(self) -> str:
        return f"<RunReport {', '.join(f'{name}: {value}' for name, value in self._facts().items())}>"

    def _repr_html_(self) -> str:
        """Return a table for a notebook."""
        rows = (f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in self._facts().items())
        return f"<table>{''.join(rows)}</table>"

    def _facts(self) -> dict[str, str]:
        verified = self.verification is not None and self.verification.ok
        return {
            "source": str(self.source),
            "output": str(self.target),
            "size": f"{self.output.width}x{self.output.height}",
            "frames": str(self.frames),
            "seconds": f"{self.seconds:.1f}",
            "verified": "yes" if verified else "no",
        }

    @property
    def input(self) -> VideoInfo:
        """Facts of the source."""
        return self.plan.source

    @property
    def damaged(self) -> bool:
        """Whether a part of the source was lost to damage."""
        return any(self.counts.get(name) for name in DAMAGE)

    @property
    def fps(self) -> float:
        """Frames written per second of the whole run."""
        return self.frames / self.seconds

    def busy(self, thread: str) -> float:
        """Seconds in which ``thread`` did not wait for another."""
        return sum(seconds for step, seconds in self.threads[thread].items() if step != WAIT)

    @property
    def bottleneck(self) -> str:
        """The thread that was busy longest, which the others waited for."""
        return max(self.threads, key=self.busy, default="")

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values; docs/json.md describes them."""
        data: dict[str, Any] = to_json(replace(self, verification=None))
        return data | {"verification": None if self.verification is None else self.verification.to_json()}
