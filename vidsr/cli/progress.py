"""What the user sees of a run on stderr: progress, notes, and a summary of each file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from enum import IntEnum
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from vidsr.cli.run_share import RunShare
from vidsr.cli.tables import print_json_line
from vidsr.errors import Note, ignore
from vidsr.pipeline.summary import FileSummary, duration_text
from vidsr.runtime.error_boundary import Failure
from vidsr.runtime.log_file import LogFile
from vidsr.segments.workers import WorkerLine

if TYPE_CHECKING:
    from vidsr.pipeline.report import OnFrames

LINE_SECONDS = 10.0  # between two progress lines where there is no terminal


class Verbosity(IntEnum):
    """How much the reporter prints."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


# Notes that only --verbose shows: nothing is lost, and most clips have them
DETAILS = frozenset(
    {
        "color_assumed",
        "color_tagged",
        "engine_chosen",
        "padded_to_even",
        "chroma_reduced",
        "encoder_memory_limited",
        "segments_differ",
        "segments_longer",
    }
)


class _Count(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return the frames of a file, or the files of a run."""
        count: str = task.fields.get("count", "")
        return Text(count or f"{task.completed:.0f}/{'?' if task.total is None else f'{task.total:.0f}'}")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return the frames per second of a file."""
        if task.fields.get("count"):
            return Text()
        return Text(f"{task.speed:.1f} fps" if task.speed else "- fps")


class Reporter(AbstractContextManager["Reporter"]):
    """Reports on stderr: a progress bar on a terminal, lines elsewhere; errors and warnings only if quiet."""

    def __init__(
        self,
        verbosity: Verbosity = Verbosity.NORMAL,
        console: Console | None = None,
        json: bool = False,
        log_file: LogFile | None = None,
    ) -> None:
        self.verbosity = verbosity
        self._log_file = log_file
        self._json = json
        self._share = RunShare()
        self._all_files: TaskID | None = None  # the bar of the whole run
        self._workers: dict[int, TaskID] = {}  # number of a worker -> its bar
        self._doing: dict[int, str] = {}  # number of a worker -> what it does
        self._total = 0  # files that are enhanced at the same time
        self._finished: list[FileSummary] = []
        self._printed = perf_counter()
        self.console = console if console is not None else Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Count(),
            _Rate(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=verbosity is Verbosity.QUIET or not self.console.is_terminal,
        )

    def __enter__(self) -> Reporter:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """Print a line, unless quiet."""
        self.log(text)
        self.progress(text)

    def progress(self, text: str) -> None:
        """Print a line that the log file has in other words or leaves out, unless quiet."""
        if self.verbosity is not Verbosity.QUIET:
            self.console.print(text, markup=False, soft_wrap=True)

    def show(self, note: Note) -> None:
        """Print a note of the run; a warning even if quiet."""
        if note.code in DETAILS and self.verbosity is not Verbosity.VERBOSE:
            return
        if note.level == "warning":
            self.console.print(note.text, style="yellow", markup=False, soft_wrap=True)
        else:
            self.progress(note.text)

    def log_note(self, note: Note) -> None:
        """Write a note of the run to the log file, if there is one."""
        self.log(f"{note.level}: {note.text}")

    def begin(self, sources: Sequence[Path]) -> None:
        """Note the files of the run, for the estimate of the time left for all of them."""
        self._share, self._finished = RunShare(sources), []

    def start(self, source: Path, number: int, total: int) -> OnFrames:
        """Announce file ``number`` (from 0) of ``total``; return the listener that shows its progress."""
        place = f"[{number + 1}/{total}] " if total > 1 else ""
        self.log(f"{place}{source}")
        if self.verbosity is Verbosity.QUIET:
            return ignore
        if not self.console.is_terminal:
            if self.verbosity is Verbosity.VERBOSE:
                self.progress(f"{place}{source}")
            return _Lines(self, f"{place}{source.name}", number)
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._add_bar_of_all(total)
        task = self._bar.add_task(f"{place}{source.name}", total=None)

        def show(done: int, frames: int | None) -> None:
            self._bar.update(task, completed=done, total=_at_least(done, frames))
            self._share.update(number, done, frames)
            self._update_bar_of_all(total)

        return show

    def start_all(self, sources: Sequence[Path]) -> None:
        """Announce files that are enhanced at the same time: `on_frames` and `worker` show their progress."""
        for number, source in enumerate(sources, 1):
            self.log(f"[{number}/{len(sources)}] {source}")
        self._total = len(sources)
        if self.verbosity is not Verbosity.QUIET and self.console.is_terminal:
            self._add_bar_of_all(self._total)

    def on_frames(self, number: int, done: int, frames: int | None) -> None:
        """Show how far one of several files is that are enhanced at the same time."""
        self._share.update(number, done, frames)
        self._show_all()

    def _show_all(self) -> None:
        """Show how far the whole run is: as a bar, or a line every ten seconds."""
        if self._all_files is not None:
            self._update_bar_of_all(self._total)
        elif (now := perf_counter()) - self._printed >= LINE_SECONDS:
            self._printed = now
            self.progress(f"{self._share.ended}/{self._total} files, {self._share.value:.0%}{self.left(0, 0, None)}")

    def worker(self, line: WorkerLine) -> None:
        """Show what one of several workers does."""
        is_new = self._doing.get(line.worker) != line.text
        self._doing[line.worker] = line.text
        if self.verbosity is Verbosity.QUIET:
            return
        if not self.console.is_terminal:
            if is_new and self.verbosity is Verbosity.VERBOSE:
                self.progress(f"worker {line.worker + 1}: {line.text}")
            return
        if is_new:
            if line.worker in self._workers:
                self._bar.remove_task(self._workers[line.worker])
            self._workers[line.worker] = self._bar.add_task("", total=None)
        self._bar.update(
            self._workers[line.worker],
            description=f"worker {line.worker + 1}: {line.text}",
            completed=line.done,
            total=_at_least(line.done, line.frames),
        )

    def ended(self, number: int) -> None:
        """Note that a file has ended, well or badly."""
        self._share.end(number)
        if self._total:
            self._show_all()

    def _add_bar_of_all(self, total: int) -> None:
        if total > 1:
            self._all_files = self._bar.add_task("all files", total=1.0, count=f"{self._share.ended}/{total}")
            self._update_bar_of_all(total)

    def _update_bar_of_all(self, total: int) -> None:
        if self._all_files is not None:
            count = f"{self._share.ended}/{total}"
            self._bar.update(self._all_files, completed=self._share.value, count=count)

    def left(self, number: int, done: int, frames: int | None) -> str:
        """Return the time left for all files in words, ``done`` frames into a file; empty where it is not known."""
        self._share.update(number, done, frames)
        return self._share.left()

    def fail(self, source: Path, failure: Failure) -> None:
        """Print the error of one file of several; if verbose, with its traceback."""
        text = f"failed: {'' if failure.line.startswith(str(source)) else f'{source}: '}{failure.line}"
        self.log(text)
        self.console.print(text, style="red", markup=False, soft_wrap=True)
        self._trace(failure)

    def abort(self, error: Exception) -> None:
        """Log the error that ends the command, which prints its line itself; if verbose, print its traceback."""
        failure = Failure.of(error)
        self.log(failure.line)
        self._trace(failure)

    def _trace(self, failure: Failure) -> None:
        """Print and log the traceback of a failure of the machine or of a bug."""
        if failure.trace:
            self.log(failure.trace)
            if self.verbosity is Verbosity.VERBOSE:
                self.console.print(failure.trace, markup=False, highlight=False, soft_wrap=True)

    def finish(self, done: FileSummary) -> None:
        """Print the line of a finished file; if verbose, its summary; with ``json``, its object."""
        self._finished.append(done)
        self.log("\n  ".join([done.line, *(f"{name}: {value}" for name, value in done.rows)]))
        self.progress(done.line)
        if self.verbosity is Verbosity.VERBOSE:
            self.console.print(summary(done))
        if self._json:
            print_json_line(done.record)

    def fail_json(self, source: Path, failure: Failure) -> None:
        """Print the object of a file that failed, with ``json``."""
        if self._json:
            print_json_line({"source": str(source), "ok": False, "error": failure.line})

    def log(self, text: str) -> None:
        """Write ``text`` to the log file, if there is one."""
        if self._log_file is not None:
            self._log_file.write(text)

    def total(self, files: int, done: int, failed: int, skipped: Mapping[Path, str], already_done: int = 0) -> None:
        """Print table and last line of a run over several files, with the reasons why others are ``skipped``."""
        if files > 1:
            if self.verbosity is not Verbosity.QUIET:
                others = {"failed": failed, "skipped": len(skipped), "already done": already_done}
                self.console.print(batch_table(self._finished, others))
            reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(skipped.values()).items())
            why = f" ({reasons})" if reasons else ""
            self.note(f"{done} of {files} files enhanced, {failed} failed, {len(skipped)} skipped{why}")


def _at_least(done: int, frames: int | None) -> int | None:
    """Return the expected number of ``frames``, an estimate, but not less than are ``done``."""
    return None if frames is None else max(done, frames)


class _Lines:
    """Progress as lines of text, one every ten seconds."""

    def __init__(self, reporter: Reporter, name: str, number: int) -> None:
        self._reporter, self._name, self._number = reporter, name, number
        self._started = self._printed = perf_counter()
        self._before: int | None = None  # frames that earlier runs wrote

    def __call__(self, done: int, frames: int | None) -> None:
        now = perf_counter()
        if self._before is None:  # the first call comes before the first frame
            self._before, self._started = done, now
            self._reporter.left(self._number, done, frames)
            return
        if now - self._printed < LINE_SECONDS:
            return
        self._printed = now
        rate = (done - self._before) / (now - self._started)
        left = f", {(frames - done) / rate:.0f} s left" if rate and frames and frames > done else ""
        left += self._reporter.left(self._number, done, frames)
        count = f"{done}{f'/{_at_least(done, frames)}' if frames else ''}"
        self._reporter.progress(f"{self._name}: {count} frames, {rate:.1f} fps{left}")


def batch_table(finished: Sequence[FileSummary], others: Mapping[str, int]) -> Table:
    """Return the table of a run over several files: files, frames and time of each result."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("result", "files", "frames", "time"):
        table.add_column(name, justify="left" if name == "result" else "right")
    for result in ("enhanced", "truncated", "damaged"):
        records = [one.record for one in finished if _result(one.record) == result]
        if records:
            frames, seconds = (sum(record[key] for record in records) for key in ("frames", "seconds"))
            table.add_row(result, str(len(records)), str(frames), duration_text(seconds))
    for result, count in others.items():
        if count:
            table.add_row(result, str(count))
    return table


def _result(record: Mapping[str, object]) -> str:
    return next((name for name in ("truncated", "damaged") if record[name]), "enhanced")


def summary(done: FileSummary) -> Table:
    """Return the table of a finished file."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in (*done.rows, *done.details):
        table.add_row(Text(name, style="bold"), Text(value))
    return table
