"""A job in segments that has begun, as a value that travels between processes. Importing it does not load PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from vidsr.errors import Note, OutputError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import Job
from vidsr.segments.folder_lock import FolderLock


@dataclass(frozen=True)
class Need:
    """What one worker takes of a machine."""

    memory: int | None = None  # bytes; None: not known
    gpus: tuple[str, ...] = ()  # that the plan would use in one process


@dataclass(frozen=True)
class BegunJob:
    """A job whose folder has a plan, and which segments it lacks."""

    files: Job
    options: EnhanceOptions
    folder: Path
    plan_digest: str
    segments: int
    missing: tuple[int, ...]
    frames_done: int  # output frames of the finished segments
    frames: int | None  # output frames of the whole clip, as far as it is known
    seconds_before: float  # of earlier runs
    began: float  # seconds since 1970
    notes: tuple[Note, ...]  # so far
    need: Need
    device: str = ""  # of its networks in this process, where the plan names other GPUs than the user does now

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Context in which no other run works on the job.

        Raises:
            OutputError: another one does, or has changed the plan since this job began.
        """
        with FolderLock(self.folder):
            if plan_digest(self.folder) != self.plan_digest:
                raise OutputError(f"{self.folder} was changed by another run: give the same command again")
            yield


def plan_digest(folder: Path) -> str:
    """Return the digest of the plan in a job folder; empty without a plan."""
    try:
        return sha256((folder / "plan.json").read_bytes()).hexdigest()
    except OSError:
        return ""
