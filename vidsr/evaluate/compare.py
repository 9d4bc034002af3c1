"""`vidsr compare`: every file through every method, a table each, and the CSV and the picture to keep."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vidsr.cli.tables import print_comparison
from vidsr.color import to_rgb
from vidsr.errors import OutputError
from vidsr.evaluate.contact_sheet import Picture, busiest_crops, densest_crops, side_by_side, write_png
from vidsr.evaluate.interpolation import compare_rate
from vidsr.evaluate.restoration import Damage, compare_restoration
from vidsr.evaluate.upscaling import Comparison, OnRow, compare_file, default_methods
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.frame_rate import Clock
from vidsr.options.paths import list_jobs

CROP, SMALL_CROP = 128, 96  # pixels of the truth, where one place is shown and where several are
COLUMNS_OF_ONE = 4  # in the picture, where it shows one crop
COLUMNS = ("source", "frame", "method", "psnr_y", "ssim_y", "mse_y")


def compare_all(
    inputs: Sequence[Path],
    scale: int,
    methods: Sequence[str] | None,
    output: Path | None,
    options: EnhanceOptions,
    as_json: bool,
    damage: Damage | None = None,
    crops: int = 1,
    clock: Clock | None = None,
) -> None:
    """Compares every file named by ``inputs``; with ``output``, writes compare.csv and a picture per file there.

    Files are reduced by ``scale`` and enlarged; with ``damage`` they are damaged and restored instead; with a ``clock``
    frames are left out and put back. The picture shows ``crops`` places of each file.

    Raises:
        VidsrError: a file can not be read, a method is unknown, or the folder can not be written.
    """
    with _csv(output) as on_row:
        for job in list_jobs(inputs, None, options).jobs:
            if clock is not None:
                comparison = compare_rate(job.source, clock, methods, options, on_row)
            elif damage is not None:
                comparison = compare_restoration(job.source, damage, methods, options, on_row)
            else:
                comparison = compare_file(job.source, scale, methods or default_methods(scale), options, on_row)
            print_comparison(comparison, as_json)
            if output is not None:
                write_png(output / f"{job.source.stem}.compare.{comparison.tag}.png", sheet(comparison, crops))


def sheet(comparison: Comparison, crops: int = 1) -> Picture:
    """Crops of one frame as each method made them, labelled with its PSNR-Y, the truth last: the busiest, or those that
    the methods made worst.

    One crop takes as many rows as it needs, several take a row each.
    """
    labels = {score.method: f"{score.method} {score.psnr_y:.2f} dB" for score in comparison.scores}
    pictures = {labels.get(name, name): _rgb(frame, comparison.info) for name, frame in comparison.pictures.items()}
    side = CROP if crops == 1 else SMALL_CROP
    if comparison.worst:
        places = densest_crops(errors(comparison.pictures), side, crops)
    else:
        places = busiest_crops(comparison.pictures["truth"].y[0, 0].numpy(), side, crops)
    cells = [(label, picture[place]) for place in places for label, picture in pictures.items()]
    return side_by_side(cells, COLUMNS_OF_ONE if crops == 1 else len(pictures))


def errors(pictures: dict[str, FrameBatch]) -> npt.NDArray[np.float32]:
    """Squared error of all methods together at each pixel, H x W."""
    truth = pictures["truth"].y[0, 0].float()
    made = torch.stack([frame.y[0, 0].float() for frame in pictures.values()])
    return np.asarray((made - truth).square().mean(0).numpy())


def _rgb(frame: FrameBatch, info: VideoInfo) -> Picture:
    """One frame as uint8 H x W x 3."""
    codes = (to_rgb(frame, info)[0].permute(1, 2, 0) * 255).round().clamp(0, 255)
    return codes.to(torch.uint8).numpy()


@contextmanager
def _csv(output: Path | None) -> Iterator[OnRow]:
    """What writes a row of ``output``/compare.csv."""
    if output is None:
        yield lambda row: None
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
        with (output / "compare.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            yield writer.writerow
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror}; choose another folder") from None
