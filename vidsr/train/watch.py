"""Watching a run: progress on the terminal, metrics as CSV, curves as PNG, sample pictures, TensorBoard events."""

from __future__ import annotations

import csv
import struct
import zlib
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from vidsr.train import loop
from vidsr.train.loop import Report, Sample
from vidsr.train.progress import make_progress
from vidsr.train.recipe import read
from vidsr.train.step import Losses

if TYPE_CHECKING:
    from rich.console import Console


class Watch:
    """Writes down what a run reports, in the folder ``out``; as a context manager it also owns the progress bar.

    ``metrics.csv`` always; ``losses.csv``, a line per step, where a step has several losses; ``curves.png`` with
    matplotlib (extra ``plot``); ``events/`` with tensorboard (extra ``tensorboard``); ``samples/`` when the recipe asks
    for sample pictures.
    """

    def __init__(self, out: Path, steps: int, console: Console | None = None) -> None:
        self.out = out
        self.progress = make_progress(steps, console)
        self.losses = LossFile(out / "losses.csv")
        self.events = _event_writer(out / "events")

    def __enter__(self) -> Watch:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()
        self.losses.write()
        if self.events is not None:
            self.events.close()

    def taught(self, done: int, pictures: int) -> None:
        """The teachers have answered one more picture."""
        self.progress.taught(done, pictures)

    def step(self, step: int, losses: Losses) -> None:
        """One more step is done."""
        self.progress.step(step)
        if len(losses) > 1:
            self.losses.add(step, losses)

    def saved(self) -> None:
        """A checkpoint is on disk; whatever happens now, the lines up to it are there as well."""
        self.losses.write()

    def report(self, report: Report, metrics: list[dict[str, float]]) -> None:
        """A validation; ``metrics`` holds this one and all before it, those of earlier sessions included."""
        scores = f"loss {report.loss:.5f}  PSNR {report.psnr:.2f} dB (bicubic {report.bicubic:.2f})"
        self.progress.scores(report.step, f"step {report.step}/{report.steps}  {scores}  {report.seconds:.0f} s")
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
    init: str | None = None,
) -> Path:
    """``loop.run``, watched; the weights file."""
    out.mkdir(parents=True, exist_ok=True)
    total = read(recipe).steps
    with Watch(out, total if steps is None else min(total, steps), console) as watch:
        return loop.run(recipe, out, resume, steps, minutes, device, watch, init)


class LossFile:
    """The losses of every step as CSV. A resumed run writes over the lines of steps that it does again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting: list[tuple[int, Losses]] = []
        self.begun = False

    def add(self, step: int, losses: Losses) -> None:
        """A line to write; its numbers stay on the device until then."""
        self.waiting.append((step, losses))

    def write(self) -> None:
        """Write what waits."""
        if not self.waiting:
            return
        numbers = torch.stack([torch.stack(list(losses.values())) for _, losses in self.waiting]).tolist()
        rows = zip((step for step, _ in self.waiting), numbers, strict=True)
        lines = [",".join([str(step), *(f"{number:.6g}" for number in row)]) for step, row in rows]
        if not self.begun:
            lines = [f"step,{','.join(self.waiting[0][1])}", *self._earlier(self.waiting[0][0]), *lines]
        with self.path.open("a" if self.begun else "w") as file:
            file.writelines(line + "\n" for line in lines)
        self.waiting.clear()
        self.begun = True

    def _earlier(self, first: int) -> list[str]:
        """The lines of earlier sessions, of steps before ``first``."""
        if not self.path.exists():
            return []
        return [line for line in self.path.read_text().splitlines()[1:] if int(line.split(",")[0]) < first]


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
    losses = [m["loss"] for m in metrics]
    upper.plot(steps, losses, marker=".")
    upper.set(ylabel="loss", yscale="log" if min(losses) > 0 else "linear")  # that of the logarithm has no logarithm
    lower.plot(steps, [m["psnr"] for m in metrics], marker=".", label="validation")
    lower.plot(steps, [m["bicubic"] for m in metrics], linestyle="--", label="bicubic")
    lower.set(xlabel="step", ylabel="PSNR, dB")
    lower.legend()
    figure.savefig(path, dpi=100)


def write_grey_png(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    """An H x W picture as PNG, without a library: the machine that trains may have none."""
    height, width = picture.shape
    rows = np.pad(picture, ((0, 0), (1, 0)))  # a 0 before each row: not filtered
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)  # 8 bits, grey
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _event_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
