"""`vidsr evaluate`: PSNR-Y, SSIM and MSE of a model on folders of images, by the protocol of the papers."""

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
from vidsr.options.input_folder import IMAGE_SUFFIXES

Image = npt.NDArray[np.uint8]

MEAN = "mean"  # in place of an image name: the means of a folder


@dataclass(frozen=True)
class ImageScores:
    """Scores of one image or, with the image name ``mean``, of a folder; and those of bicubic."""

    folder: str
    image: str
    psnr_y: float
    ssim: float
    mse: float
    bicubic_psnr_y: float
    bicubic_ssim: float
    bicubic_mse: float


def evaluate(
    model: Callable[[Image], Image] | Model, scale: int, folders: Sequence[Path], lr_dir: Path | None = None
) -> list[ImageScores]:
    """Return the scores of each image of each folder, followed by the means of the folder.

    LR images are made by the protocol, or read from ``lr_dir`` under the names of the HR images.

    Raises:
        InputError: a folder has no images, or an LR image is absent or has another size.
    """
    rows: list[ImageScores] = []
    for folder in folders:
        scores = [evaluate_image(model, scale, path, lr_dir) for path in find_images(folder)]
        rows += [*scores, mean_scores(folder.name, scores)]
    return rows


def find_images(folder: Path) -> list[Path]:
    """Return the image files of a folder (or the one file), sorted."""
    found = [folder] if folder.is_file() else sorted(p for p in folder.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise InputError(f"{folder} has no images: give a folder of {', '.join(sorted(IMAGE_SUFFIXES))}")
    return found


def evaluate_image(model: Callable[[Image], Image] | Model, scale: int, path: Path, lr_dir: Path | None) -> ImageScores:
    """Return the scores of one image."""
    hr = modcrop(read_image(path), scale)
    size = hr.shape[0] // scale, hr.shape[1] // scale
    lr = imresize(hr, *size) if lr_dir is None else read_image(lr_dir / path.name)
    if lr.shape[:2] != size:
        raise InputError(f"{path.name}: its LR image is {lr.shape[1]}x{lr.shape[0]}, {size[1]}x{size[0]} is needed")
    original = shave(rgb_to_y(hr), scale)
    outputs = (model(lr), imresize(lr, *hr.shape[:2]))
    numbers = (_scores(shave(rgb_to_y(output), scale), original) for output in outputs)
    return ImageScores(path.parent.name, path.name, *[value for triple in numbers for value in triple])


def _scores(output: npt.NDArray[np.float64], original: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """PSNR, SSIM and MSE."""
    return psnr(output, original), ssim(output, original), mse(output, original)


def mean_scores(folder: str, rows: Iterable[ImageScores]) -> ImageScores:
    """Return the means of ``rows``."""
    rows = list(rows)
    return ImageScores(folder, MEAN, *[fmean(getattr(row, f.name) for row in rows) for f in fields(ImageScores)[2:]])


def read_image(path: Path) -> Image:
    """Read an image as H x W x 3 RGB uint8, or as H x W if the file has a single channel.

    Raises:
        InputError: the file is not an image, or not one of 8 bits.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if image is None:
        raise InputError(f"{path} cannot be read as an image: give a file in a format that OpenCV reads")
    if image.dtype != np.uint8:
        raise InputError(f"{path} has {image.dtype} samples: the protocol is defined for 8 bits only")
    rgb: Image = image if image.ndim == 2 else np.ascontiguousarray(image[:, :, 2::-1])  # type: ignore[assignment]
    return rgb
