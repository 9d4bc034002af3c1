"""`vidsr evaluate`: PSNR-Y, SSIM and MSE of a model on folders of pictures by the papers' protocol (protocol.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
import numpy.typing as npt

from vidsr.errors import InputError
from vidsr.evaluate.protocol import imresize, modcrop, shave
from vidsr.metrics import mse, psnr, rgb_to_y, ssim
from vidsr.models import Model
from vidsr.options.paths import IMAGE_SUFFIXES

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Row:
    """Scores of one picture, or the means of a folder (``picture`` is then ``mean``); bicubic's beside them."""

    folder: str
    picture: str
    psnr_y: float
    ssim: float
    mse: float
    bicubic_psnr_y: float
    bicubic_ssim: float
    bicubic_mse: float


def evaluate(
    model: Callable[[Picture], Picture] | Model, scale: int, folders: Sequence[Path], lr_dir: Path | None = None
) -> list[Row]:
    """A row per picture of each folder, and the folder's mean after them.

    LR pictures are made by the protocol, or read from ``lr_dir`` under the HR pictures' names.

    Raises:
        InputError: a folder without pictures, or an LR picture that is absent or of another size.
    """
    rows: list[Row] = []
    for folder in folders:
        scores = [evaluate_picture(model, scale, path, lr_dir) for path in pictures(folder)]
        rows += [*scores, mean(folder.name, scores)]
    return rows


def pictures(folder: Path) -> list[Path]:
    """The image files of a folder (or the one file), sorted."""
    found = [folder] if folder.is_file() else sorted(p for p in folder.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise InputError(f"{folder}: no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}) there")
    return found


def evaluate_picture(model: Callable[[Picture], Picture] | Model, scale: int, path: Path, lr_dir: Path | None) -> Row:
    """Scores of one picture."""
    hr = modcrop(read_picture(path), scale)
    size = hr.shape[0] // scale, hr.shape[1] // scale
    lr = imresize(hr, *size) if lr_dir is None else read_picture(lr_dir / path.name)
    if lr.shape[:2] != size:
        raise InputError(f"{path.name}: its LR picture is {lr.shape[1]}x{lr.shape[0]}, {size[1]}x{size[0]} is needed")
    truth = shave(rgb_to_y(hr), scale)
    outputs = (model(lr), imresize(lr, *hr.shape[:2]))
    numbers = (score(shave(rgb_to_y(output), scale), truth) for output in outputs)
    return Row(path.parent.name, path.name, *[value for triple in numbers for value in triple])


def score(output: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """PSNR, SSIM and MSE."""
    return psnr(output, truth), ssim(output, truth), mse(output, truth)


def mean(folder: str, rows: Iterable[Row]) -> Row:
    """The means of ``rows``."""
    rows = list(rows)
    return Row(folder, "mean", *[fmean(getattr(row, f.name) for row in rows) for f in fields(Row)[2:]])


def read_picture(path: Path) -> Picture:
    """H x W x 3 RGB uint8, or H x W when the file has a single channel.

    Raises:
        InputError: it cannot be read as a picture.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if picture is None:
        raise InputError(f"{path}: cannot be read as a picture")
    if picture.dtype != np.uint8:
        raise InputError(f"{path}: {picture.dtype} samples; the protocol is defined for 8 bits")
    rgb: Picture = picture if picture.ndim == 2 else np.ascontiguousarray(picture[:, :, 2::-1])  # type: ignore[assignment]
    return rgb
