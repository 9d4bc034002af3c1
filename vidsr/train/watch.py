"""Watching a run: progress on the terminal, metrics as CSV, curves as PNG, sample pictures, TensorBoard events."""

from __future__ import annotations

import csv
import time
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vidsr.train import loop
from vidsr.train.loop import Report, Sample
from vidsr.train.recipe import read


class Watch:
    """Writes down what a run reports, in the folder ``out``; as a context manager it also owns the progress bar.

    ``metrics.csv`` always; ``curves.png`` with matplotlib (extra ``plot``); ``events/`` with tensorboard (extra
    ``tensorboard``); ``samples/`` when the recipe asks for sample pictures.
    """

    def __init__(self, out: Path, steps: int, console: Console | None = None) -> None:
        self.out = out
        self.console = console or Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[scores]}"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self.task = self.progress.add_task("training", total=steps, scores="")
        self.events = _event_writer(out / "events")

    def __enter__(self) -> Watch:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()
        if self.events is not None:
            self.events.close()

    def step(self, step: int) -> None:
        """One more step is done."""
        self.progress.update(self.task, completed=step)

    def report(self, report: Report, metrics: list[dict[str, float]]) -> None:
        """A validation; ``metrics`` holds this one and all before it, those of earlier sessions included."""
        scores = f"loss {report.loss:.5f}  PSNR {report.psnr:.2f} dB (bicubic {report.bicubic:.2f})"
        self.progress.update(self.task, completed=report.step, scores=scores)
        if not self.console.is_terminal:
            clock = time.strftime("%H:%M:%S")
            self.console.print(f"{clock} step {report.step}/{report.steps}  {scores}  {report.seconds:.0f} s")
        write_metrics(self.out / "metrics.csv", metrics)
        draw_curves(self.out / "curves.png", metrics)
        if self.events is not None:
            for key in ("loss", "psnr", "rate"):
                self.events.add_scalar(key, getattr(report, key), report.step)

    def sample(self, sample: Sample) -> None:
        """A picture: LR (bicubic) | output | HR."""
        path = self.out / "samples" / f"{sample.step:07d}.png"
        path.parent.mkdir(exist_ok=True)
        write_grey_png(path, sample.picture)


def train(
    recipe: Path,
    out: Path,
    resume: bool = False,
    steps: int | None = None,
    minutes: float | None = None,
    device: str = "cpu",
    console: Console | None = None,
) -> Path:
    """``loop.run``, watched; the weights file."""
    out.mkdir(parents=True, exist_ok=True)
    total = read(recipe).steps
    with Watch(out, total if steps is None else min(total, steps), console) as watch:
        return loop.run(recipe, out, resume, steps, minutes, device, watch)


def write_metrics(path: Path, metrics: list[dict[str, float]]) -> None:
    """All metrics as CSV, written anew so that a resumed run leaves no line twice."""
    names = [f.name for f in fields(Report) if f.name != "steps"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(metrics)


def draw_curves(path: Path, metrics: list[dict[str, float]]) -> None:
    """Loss and validation PSNR over the steps, as PNG; nothing without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    steps = [m["step"] for m in metrics]
    upper.plot(steps, [m["loss"] for m in metrics], marker=".")
    upper.set(ylabel="loss", yscale="log")
    lower.plot(steps, [m["psnr"] for m in metrics], marker=".", label="validation")
    lower.plot(steps, [m["bicubic"] for m in metrics], linestyle="--", label="bicubic")
    lower.set(xlabel="step", ylabel="PSNR, dB")
    lower.legend()
    figure.savefig(path, dpi=100)


def write_grey_png(path: Path, picture: Any) -> None:
    """An H x W uint8 array as PNG."""
    import cv2

    cv2.imwrite(str(path), picture)


def _event_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
