"""Output of a training run: progress on the terminal, metrics as CSV, curves and sample images as PNG, TensorBoard."""

from __future__ import annotations

import csv
import struct
import zlib
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from vidsr.runtime.output_file import OutputFile, write_file
from vidsr.train import loop
from vidsr.train.observer import Report, Sample
from vidsr.train.progress import make_progress
from vidsr.train.recipe import Recipe
from vidsr.train.step import Losses

if TYPE_CHECKING:
    from rich.console import Console


class Watch:
    """Observer that writes what a run reports into the folder of the phase, and shows progress on the terminal.

    It writes ``metrics.csv``; ``losses.csv``, one line per step, where a step has several losses; ``curves.png`` with
    matplotlib (extra ``plot``); ``events/`` with tensorboard (extra ``tensorboard``); ``samples/`` if the recipe asks
    for sample images. Used as a context manager, it closes its files and the progress bar.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console
        self.open_files = ExitStack()  # and the progress bar, of the current phase

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open_files.close()

    def begin(self, recipe: Recipe, folder: Path, last: int) -> None:
        """Open the files of the phase in ``folder``, and a progress bar up to step ``last``."""
        self.open_files.close()
        self.phase, self.folder = recipe.phase, folder
        self.losses = LossFile(folder / "losses.csv")
        self.open_files.callback(self.losses.write)
        self.events = _event_writer(folder / "events")
        if self.events is not None:
            self.open_files.callback(self.events.close)
        self.progress = make_progress(last, self.console)
        self.progress.start()
        self.open_files.callback(self.progress.stop)

    def soft_targets(self, done: int, images: int) -> None:
        """Show how many images the teachers have answered."""
        self.progress.soft_targets(done, images)

    def step(self, step: int, losses: Losses) -> None:
        """Show that ``step`` steps are done, and keep the losses of the last one."""
        self.progress.step(step)
        if len(losses) > 1:
            self.losses.add(step, losses)

    def saved(self) -> None:
        """Write the losses up to the checkpoint just saved."""
        self.losses.write()

    def report(self, report: Report, metrics: list[dict[str, float]]) -> None:
        """Write a validation; ``metrics`` holds all validations of the phase, earlier sessions included."""
        scores = f"loss {report.loss:.5f}  PSNR {report.psnr:.2f} dB (bicubic {report.bicubic:.2f})"
        step = f"{self.phase} step {report.step}/{report.steps}".lstrip()
        self.progress.scores(report.step, f"{step}  {scores}  {report.seconds:.0f} s")
        write_metrics(self.folder / "metrics.csv", metrics)
        draw_curves(self.folder / "curves.png", metrics)
        if self.events is not None:
            for key in ("loss", "psnr", "rate"):
                self.events.add_scalar(key, getattr(report, key), report.step)

    def sample(self, sample: Sample) -> None:
        """Write a sample image: LR (bicubic) | output | HR."""
        path = self.folder / "samples" / f"{sample.step:07d}.png"
        path.parent.mkdir(exist_ok=True)
        write_grey_png(path, sample.image)


def train(
    recipe: Path,
    out: Path,
    resume: bool = False,
    steps: int | None = None,
    minutes: float | None = None,
    device: str = "cpu",
    console: Console | None = None,
    init: str | None = None,
) -> Path:
    """Run `loop.run` with progress on the terminal and files in ``out``; return the weights file."""
    with Watch(console) as watch:
        return loop.run(recipe, out, resume, steps, minutes, device, watch, init)


class LossFile:
    """CSV file of the losses of every step. A resumed run overwrites the lines of steps that it repeats."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pending: list[tuple[int, Losses]] = []
        self.begun = False

    def add(self, step: int, losses: Losses) -> None:
        """Keep the losses of a step for the next write; until then they stay on their device."""
        self.pending.append((step, losses))

    def write(self) -> None:
        """Append the pending lines to the file."""
        if not self.pending:
            return
        numbers = torch.stack([torch.stack(list(losses.values())) for _, losses in self.pending]).tolist()
        rows = zip((step for step, _ in self.pending), numbers, strict=True)
        lines = [",".join([str(step), *(f"{number:.6g}" for number in row)]) for step, row in rows]
        if not self.begun:
            first, losses = self.pending[0]
            lines = [f"step,{','.join(losses)}", *self._earlier_lines(first), *lines]
        text = "".join(line + "\n" for line in lines)
        if self.begun:
            with self.path.open("a") as file:
                file.write(text)
        else:
            write_file(self.path, text.encode(), overwrite=True)
        self.pending.clear()
        self.begun = True

    def _earlier_lines(self, first: int) -> list[str]:
        """Return the lines of earlier sessions for steps before ``first``."""
        if not self.path.exists():
            return []
        return [line for line in self.path.read_text().splitlines()[1:] if int(line.split(",")[0]) < first]


def write_metrics(path: Path, metrics: list[dict[str, float]]) -> None:
    """Write all metrics as CSV. The file is rewritten whole, so that a resumed run leaves no duplicate lines."""
    names = [f.name for f in fields(Report) if f.name != "steps"]
    with OutputFile(path, overwrite=True) as output, output.part.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(metrics)


def draw_curves(path: Path, metrics: list[dict[str, float]]) -> None:
    """Draw loss and validation PSNR over the steps as PNG; do nothing without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    steps = [m["step"] for m in metrics]
    losses = [m["loss"] for m in metrics]
    upper.plot(steps, losses, marker=".")
    upper.set(ylabel="loss", yscale="log" if min(losses) > 0 else "linear")  # the loss `relative` can be negative
    lower.plot(steps, [m["psnr"] for m in metrics], marker=".", label="validation")
    lower.plot(steps, [m["bicubic"] for m in metrics], linestyle="--", label="bicubic")
    lower.set(xlabel="step", ylabel="PSNR, dB")
    lower.legend()
    with OutputFile(path, overwrite=True) as file:
        figure.savefig(file.part, dpi=100)


def write_grey_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write an H x W uint8 image as PNG, without a library: a training machine may have only PyTorch."""
    height, width = image.shape
    rows = np.pad(image, ((0, 0), (1, 0)))  # filter type 0 (none) before each row
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)  # 8 bits, grey
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)
    write_file(path, data, overwrite=True)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _event_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
