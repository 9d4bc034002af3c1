"""A command line in a process of its own, forked from one that has imported everything."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

from vidsr.errors import ExitCode
from vidsr.runtime import interrupt
from vidsr.runtime.unfinished import is_unfinished

PROGRESS = 100  # runs between two lines on stderr
HANG_SECONDS = 120.0  # for runs of a second; the rest allows for the load of the machine
DOCUMENTED = {int(code) for code in ExitCode}
LOG = "stderr.log"  # next to the folder of the run


@dataclass(frozen=True)
class Outcome:
    """How a command line ended."""

    words: tuple[str, ...]
    code: int | None  # exit code; None: ended by `signal`, or stopped because it hung
    signal: int | None
    messages: str  # of stderr

    @property
    def kind(self) -> str:
        """The column of the table that counts it."""
        if self.code is None:
            return "hang" if self.signal is None else "signal"
        if "Traceback" in self.messages or self.code not in DOCUMENTED:
            return "traceback"
        names = {
            ExitCode.DONE: "done", ExitCode.BUG: "bug", ExitCode.VERIFY_FAILED: "verify failed",
            ExitCode.TRUNCATED: "truncated", ExitCode.INTERRUPTED: "interrupted",
        }  # fmt: skip
        return names.get(ExitCode(self.code), "error line")


@dataclass(frozen=True)
class Shot:
    """A signal to a running command line."""

    number: signal.Signals
    after: float  # seconds


def run_forked(words: Sequence[str], folder: Path, shot: Shot | None = None) -> Outcome:
    """Run ``vidsr`` with ``words`` in ``folder``, in a fork of this process."""
    log = folder.parent / LOG
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, interrupt.SIGNALS)  # until the fork can handle them
    child = os.fork()
    if child == 0:
        _become(words, folder, log)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    deadline, status = time.monotonic() + HANG_SECONDS, None
    if shot is not None:
        status = _waited(child, time.monotonic() + shot.after)
        if status is None:
            os.kill(child, shot.number)
    status = _waited(child, deadline) if status is None else status
    if status is None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status) if status is not None else None
    ended_by = -code if code is not None and code < 0 else None
    messages = log.read_text(errors="replace")
    return Outcome(tuple(words), None if ended_by is not None else code, ended_by, messages)


def _waited(child: int, deadline: float) -> int | None:
    """Return the status of ``child`` once it has ended; None if it has not by ``deadline``."""
    pause = 0.002
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        if time.monotonic() >= deadline:
            return None
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(0.05, pause * 1.5)


def _become(words: Sequence[str], folder: Path, log: Path) -> None:
    """Turn this fork into the command line; does not return."""
    try:
        os.chdir(folder)
        empty, errors = os.open(os.devnull, os.O_RDWR), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(empty, 0)
        os.dup2(empty, 1)
        os.dup2(errors, 2)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        sys.argv = ["vidsr", *words]
        interrupt.run_guarded(_run)
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(77)  # not a documented code


def _run() -> NoReturn:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupt.SIGNALS)
    from vidsr.cli import app

    app.run()


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of every file, link and folder below ``folder``."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            data = os.fsencode(path.readlink())
        else:
            data = path.read_bytes() if path.is_file() else b"folder" if path.is_dir() else b"pipe"
        found[str(path.relative_to(folder))] = sha256(data).hexdigest()
    return found


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Return the names of the files that were changed, removed or made."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def leftovers(folder: Path) -> list[str]:
    """Return the names of unfinished files below ``folder``."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if is_unfinished(path)]


@dataclass
class Findings:
    """The outcomes of a campaign: counts by kind, and what must not happen."""

    counts: Counter[str]
    faults: list[str]

    @classmethod
    def none(cls) -> Findings:
        """No outcome yet."""
        return cls(Counter(), [])

    def add(self, outcome: Outcome, case: str, *faults: str) -> None:
        """Count ``outcome``; a traceback, a signal, a hang, a bug and each of ``faults`` is kept with its ``case``.

        So is an output of `enhance` that fails its verification: it is sound, however damaged its source is.
        """
        self.counts["runs"] += 1
        if self.counts["runs"] % PROGRESS == 0:
            print(f"{case}: {dict(self.counts)}", file=sys.stderr, flush=True)
        self.counts[outcome.kind] += 1
        is_fault = outcome.kind in ("traceback", "signal", "hang", "bug")
        is_fault |= outcome.kind == "verify failed" and outcome.words[0] == "enhance"
        reasons = [*faults, *([outcome.kind] if is_fault else [])]
        self.counts.update(reason.partition(":")[0] for reason in faults)
        if reasons:
            last = outcome.messages.strip().splitlines()[-6:]
            first = f"{case}: {'; '.join(reasons)}: vidsr {' '.join(outcome.words)}"
            self.faults.append("\n    ".join([first, *last]))
            print(self.faults[-1], flush=True)

    def merge(self, other: Findings) -> None:
        """Add the outcomes of ``other``."""
        self.counts.update(other.counts)
        self.faults += other.faults
