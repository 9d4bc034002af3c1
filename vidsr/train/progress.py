"""Progress of a training run on the terminal.

It is a bar if rich is installed, else plain lines.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console


class Progress(Protocol):
    """Shows the progress of a run on the terminal."""

    def start(self) -> None:
        """Begin to show progress."""

    def stop(self) -> None:
        """Stop, and leave the terminal usable."""

    def soft_targets(self, done: int, images: int) -> None:
        """Show that the soft targets of ``done`` of the ``images`` are finished."""

    def step(self, step: int) -> None:
        """Show that ``step`` steps are done."""

    def scores(self, step: int, text: str) -> None:
        """Show the scores at ``step`` as text."""


class Bar:
    """A bar with the remaining time; lines if the output is not a terminal."""

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

    def soft_targets(self, done: int, images: int) -> None:
        self.bar.update(self.task, scores=soft_targets_text(done, images) if done < images else "")
        if not self.console.is_terminal and completes_tenth(done, images):
            self.console.print(f"{time.strftime('%H:%M:%S')} {soft_targets_text(done, images)}")

    def step(self, step: int) -> None:
        self.bar.update(self.task, completed=step)

    def scores(self, step: int, text: str) -> None:
        self.bar.update(self.task, completed=step, scores=text)
        if not self.console.is_terminal:
            self.console.print(f"{time.strftime('%H:%M:%S')} {text}")


class Lines:
    """One line for each validation."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def soft_targets(self, done: int, images: int) -> None:
        if completes_tenth(done, images):
            print(f"{time.strftime('%H:%M:%S')} {soft_targets_text(done, images)}", file=sys.stderr, flush=True)

    def step(self, step: int) -> None:
        pass

    def scores(self, step: int, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def soft_targets_text(done: int, images: int) -> str:
    """Return the progress of the teachers as text."""
    return f"teachers: {done} of {images} images"


def completes_tenth(done: int, images: int) -> bool:
    """Whether ``done`` of the ``images`` complete another tenth of them."""
    return done * 10 // images > (done - 1) * 10 // images


def make_progress(steps: int, console: Console | None) -> Progress:
    """Return a bar if rich is installed, else lines.

    Training must run where only PyTorch is installed.
    """
    try:
        return Bar(steps, console)
    except ImportError:
        return Lines()
