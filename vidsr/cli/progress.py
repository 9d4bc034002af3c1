"""What the user sees of a run on stderr: progress, notes, and a summary of each file."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import IntEnum
from pathlib import Path
from time import perf_counter
from traceback import format_exception
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from vidsr.cli.tables import video_text
from vidsr.errors import Note, VidsrError, ignore
from vidsr.options.image_sequence import file_bytes
from vidsr.pipeline.run import OnFrames, RunReport
from vidsr.runtime.error_boundary import one_line

LINE_SECONDS = 10.0  # between two progress lines where there is no terminal


class Verbosity(IntEnum):
    """How much the reporter prints."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} fps" if task.speed else "- fps")


class Reporter(AbstractContextManager["Reporter"]):
    """Reports on stderr: a progress bar on a terminal, lines elsewhere; errors and warnings only if quiet."""

    def __init__(self, verbosity: Verbosity = Verbosity.NORMAL, console: Console | None = None) -> None:
        self.verbosity = verbosity
        self.console = console if console is not None else Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
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
        if self.verbosity is not Verbosity.QUIET:
            self.console.print(text, markup=False, soft_wrap=True)

    def show(self, note: Note) -> None:
        """Print a note of the run; a warning even if quiet."""
        if note.level == "warning":
            self.console.print(note.text, style="yellow", markup=False, soft_wrap=True)
        else:
            self.note(note.text)

    def start(self, source: Path, number: int, total: int) -> OnFrames:
        """Announce file ``number`` of ``total``; return the listener that shows its progress."""
        place = f"[{number}/{total}] " if total > 1 else ""
        if self.verbosity is Verbosity.QUIET:
            return ignore
        if not self.console.is_terminal:
            self.note(f"{place}{source}")
            return _Lines(self)
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        if total > 1:
            self._bar.add_task("all files", total=total, completed=number - 1)
        task = self._bar.add_task(f"{place}{source.name}", total=None)
        return lambda done, frames: self._bar.update(task, completed=done, total=_at_least(done, frames))

    def fail(self, source: Path, error: Exception) -> None:
        """Print the error of one file of several; if verbose, with its traceback."""
        self.console.print(f"failed: {source}: {one_line(error)}", style="red", markup=False, soft_wrap=True)
        self.trace(error)

    def trace(self, error: Exception) -> None:
        """Print the traceback of a failure of the machine or of a bug, if verbose."""
        expected = isinstance(error, VidsrError) and error.__cause__ is None
        if self.verbosity is Verbosity.VERBOSE and not expected:
            self.console.print("".join(format_exception(error)), markup=False, highlight=False, soft_wrap=True)

    def finish(self, report: RunReport) -> None:
        """Print the summary of a finished file."""
        if self.verbosity is not Verbosity.QUIET:
            self.console.print(summary(report, self.verbosity))

    def total(self, files: int, failed: int, skipped: int) -> None:
        """Print the last line of a run over several files."""
        if files > 1:
            self.note(f"{files - failed} of {files} files enhanced, {failed} failed, {skipped} skipped")


def _at_least(done: int, frames: int | None) -> int | None:
    """Return the expected number of ``frames``, an estimate, but not less than are ``done``."""
    return None if frames is None else max(done, frames)


class _Lines:
    """Progress as lines of text, one every ten seconds."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._started = self._printed = perf_counter()

    def __call__(self, done: int, frames: int | None) -> None:
        now = perf_counter()
        if now - self._printed < LINE_SECONDS:
            return
        self._printed = now
        rate = done / (now - self._started)
        left = f", {(frames - done) / rate:.0f} s left" if frames and frames > done else ""
        self._reporter.note(f"  {done}{f'/{_at_least(done, frames)}' if frames else ''} frames, {rate:.1f} fps{left}")


def summary(report: RunReport, verbosity: Verbosity = Verbosity.NORMAL) -> Table:
    """Return the table that is printed at the end of a file."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in _summary_rows(report, verbosity):
        table.add_row(Text(name, style="bold"), Text(value))
    return table


def _summary_rows(report: RunReport, verbosity: Verbosity) -> list[tuple[str, str]]:
    rows = [
        ("output", f"{report.target} ({file_bytes(report.target) / 1e6:.2f} MB)"),
        ("video", f"{video_text(report.input)} -> {video_text(report.output)}"),
        ("stages", ", ".join(report.plan.words)),
        ("frames", f"{report.frames} in {report.seconds:.1f} s, {report.fps:.1f} fps"),
    ]
    rows += [(name.replace("_", " "), _count(name, count, report)) for name, count in report.counts.items() if count]
    rows += [(name, _measure(name, mean)) for name, mean in report.means.items()]
    if report.threads:
        busy = ", ".join(f"{name} {report.busy(name):.1f} s" for name in report.threads)
        rows.append(("busy", f"{busy}; bottleneck: {report.bottleneck}"))
        if verbosity is Verbosity.VERBOSE:
            rows += [
                (f"  {name}", ", ".join(f"{step} {seconds:.2f} s" for step, seconds in steps.items()))
                for name, steps in report.threads.items()
            ]
    if report.log is not None:
        rows.append(("per-frame log", str(report.log)))
    return rows


def _count(name: str, count: int, report: RunReport) -> str:
    return f"{count} of {report.frames}" if name == "measured_frames" else str(count)


def _measure(name: str, mean: float) -> str:
    """Return the mean of a log column with its unit: PSNR is in dB, SSIM and MSE have none."""
    if "ssim" in name:
        return f"{mean:.4f}"
    return f"{mean:.2f} dB" if "psnr" in name else f"{mean:.2f}"
