"""Where a run stands, on the terminal: a bar where rich is installed, plain lines where it is not."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console


class Progress(Protocol):
    """Says on the terminal where a run stands."""

    def start(self) -> None:
        """Show it."""

    def stop(self) -> None:
        """Leave the terminal as it was."""

    def taught(self, done: int, pictures: int) -> None:
        """Teachers have answered ``done`` of the ``pictures``."""

    def step(self, step: int) -> None:
        """``step`` steps are done."""

    def scores(self, step: int, text: str) -> None:
        """The scores at ``step``, in words."""


class Bar:
    """A bar with the time that is left; lines when the output is no terminal."""

    def __init__(self, steps: int, console: Console | None) -> None:
        from rich import progress
        from rich.console import Console

        self.console = console or Console(stderr=True)
        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[scores]}"),
            progress.TimeRemainingColumn(),
        )
        self.bar = progress.Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self.task = self.bar.add_task("training", total=steps, scores="")

    def start(self) -> None:
        self.bar.start()

    def stop(self) -> None:
        self.bar.stop()

    def taught(self, done: int, pictures: int) -> None:
        self.bar.update(self.task, scores=teaching(done, pictures) if done < pictures else "")
        if not self.console.is_terminal and is_tenth(done, pictures):
            self.console.print(f"{time.strftime('%H:%M:%S')} {teaching(done, pictures)}")

    def step(self, step: int) -> None:
        self.bar.update(self.task, completed=step)

    def scores(self, step: int, text: str) -> None:
        self.bar.update(self.task, completed=step, scores=text)
        if not self.console.is_terminal:
            self.console.print(f"{time.strftime('%H:%M:%S')} {text}")


class Lines:
    """A line per validation."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def taught(self, done: int, pictures: int) -> None:
        if is_tenth(done, pictures):
            print(f"{time.strftime('%H:%M:%S')} {teaching(done, pictures)}", file=sys.stderr, flush=True)

    def step(self, step: int) -> None:
        pass

    def scores(self, step: int, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def teaching(done: int, pictures: int) -> str:
    """How far the teachers are, in words."""
    return f"teachers: {done} of {pictures} pictures"


def is_tenth(done: int, pictures: int) -> bool:
    """Whether with ``done`` of the ``pictures`` another tenth of them is through."""
    return done * 10 // pictures > (done - 1) * 10 // pictures


def make_progress(steps: int, console: Console | None) -> Progress:
    """The best there is; training must run where nothing but PyTorch is installed."""
    try:
        return Bar(steps, console)
    except ImportError:
        return Lines()
