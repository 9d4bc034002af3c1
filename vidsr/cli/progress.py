"""What the user sees of a run on stderr: progress, notes, and a summary of each file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import IntEnum
from pathlib import Path
from time import perf_counter
from traceback import format_exception
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from vidsr.cli.tables import duration_text, print_json_line, video_text
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


# Notes that only --verbose shows: nothing is lost, and most clips have them
DETAILS = frozenset(
    {"color_assumed", "color_tagged", "engine_chosen", "padded_to_even", "chroma_reduced", "encoder_memory_limited"}
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
        self, verbosity: Verbosity = Verbosity.NORMAL, console: Console | None = None, json: bool = False
    ) -> None:
        self.verbosity = verbosity
        self._json = json
        self._sizes: list[int] = []  # bytes of the sources, by which the time left for all files is estimated
        self._started = perf_counter()
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
        if self.verbosity is not Verbosity.QUIET:
            self.console.print(text, markup=False, soft_wrap=True)

    def show(self, note: Note) -> None:
        """Print a note of the run; a warning even if quiet."""
        if note.code in DETAILS and self.verbosity is not Verbosity.VERBOSE:
            return
        if note.level == "warning":
            self.console.print(note.text, style="yellow", markup=False, soft_wrap=True)
        else:
            self.note(note.text)

    def begin(self, sources: Sequence[Path]) -> None:
        """Note the files of the run, for the estimate of the time left for all of them."""
        self._sizes = [max(1, file_bytes(source)) for source in sources]
        self._started = perf_counter()

    def start(self, source: Path, number: int, total: int) -> OnFrames:
        """Announce file ``number`` of ``total``; return the listener that shows its progress."""
        place = f"[{number}/{total}] " if total > 1 else ""
        if self.verbosity is Verbosity.QUIET:
            return ignore
        if not self.console.is_terminal:
            if self.verbosity is Verbosity.VERBOSE:
                self.note(f"{place}{source}")
            return _Lines(self, f"{place}{source.name}", number)
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        if total > 1:
            whole = self._bar.add_task("all files", total=1.0, count=f"{number - 1}/{total}")
            self._bar.update(whole, completed=self.share(number))
        task = self._bar.add_task(f"{place}{source.name}", total=None)

        def show(done: int, frames: int | None) -> None:
            self._bar.update(task, completed=done, total=_at_least(done, frames))
            if total > 1:
                self._bar.update(whole, completed=self.share(number, done, frames))

        return show

    def share(self, number: int, done: int = 0, frames: int | None = None) -> float:
        """Return the share of the run, by bytes of sources, that is done ``done`` frames into file ``number``."""
        if not self._sizes:
            return 0.0
        part = done / max(done, frames) if frames else 0.0
        return (sum(self._sizes[: number - 1]) + part * self._sizes[number - 1]) / sum(self._sizes)

    def left(self, number: int, done: int, frames: int | None) -> str:
        """Return the time left for all files in words; empty for one file, and where nothing is known."""
        share = self.share(number, done, frames) if len(self._sizes) > 1 else 0.0
        if not 0 < share < 1:
            return ""
        seconds = (perf_counter() - self._started) * (1 - share) / share
        return f", {duration_text(seconds)} for all files"

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
        """Print the line of a finished file; if verbose, its summary; with ``json``, its object."""
        self.note(result_line(report))
        if self.verbosity is Verbosity.VERBOSE:
            self.console.print(summary(report, self.verbosity))
        if self._json:
            print_json_line(result_record(report))

    def fail_json(self, source: Path, error: Exception) -> None:
        """Print the object of a file that failed, with ``json``."""
        if self._json:
            print_json_line({"source": str(source), "ok": False, "error": one_line(error)})

    def total(self, files: int, failed: int, skipped: int) -> None:
        """Print the last line of a run over several files."""
        if files > 1:
            self.note(f"{files - failed} of {files} files enhanced, {failed} failed, {skipped} skipped")


def _at_least(done: int, frames: int | None) -> int | None:
    """Return the expected number of ``frames``, an estimate, but not less than are ``done``."""
    return None if frames is None else max(done, frames)


class _Lines:
    """Progress as lines of text, one every ten seconds."""

    def __init__(self, reporter: Reporter, name: str, number: int) -> None:
        self._reporter, self._name, self._number = reporter, name, number
        self._started = self._printed = perf_counter()

    def __call__(self, done: int, frames: int | None) -> None:
        now = perf_counter()
        if now - self._printed < LINE_SECONDS:
            return
        self._printed = now
        rate = done / (now - self._started)
        left = f", {(frames - done) / rate:.0f} s left" if frames and frames > done else ""
        left += self._reporter.left(self._number, done, frames)
        count = f"{done}{f'/{_at_least(done, frames)}' if frames else ''}"
        self._reporter.note(f"{self._name}: {count} frames, {rate:.1f} fps{left}")


def result_line(report: RunReport) -> str:
    """Return the line of a finished file: clip.mp4 -> clip.x2.mp4  1920x1080  82 frames  12 s  verified."""
    target, output = report.target, report.output
    same_folder = target.parent.resolve() == report.source.parent.resolve()
    words = [f"{report.source.name} -> {target.name if same_folder else target}", f"{output.width}x{output.height}"]
    if output.fps:
        words.append(f"{report.frames} frames")
    words.append(duration_text(report.seconds))
    words += ["truncated"] if report.truncated else []
    words += ["verified"] if report.verification is not None and report.verification.ok else []
    return "  ".join(words)


def result_record(report: RunReport) -> dict[str, Any]:
    """Return the object of a finished file for JSON lines; docs/json.md describes it."""
    output = report.output
    return {
        "source": str(report.source),
        "ok": True,
        "output": str(report.target),
        "width": output.width,
        "height": output.height,
        "fps": None if output.fps is None else str(output.fps),
        "frames": report.frames,
        "seconds": round(report.seconds, 3),
        "verified": report.verification is not None and report.verification.ok,
        "truncated": report.truncated,
        "notes": [{"code": note.code, "text": note.text, "level": note.level} for note in report.notes],
        "log": None if report.log is None else str(report.log),
    }


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
