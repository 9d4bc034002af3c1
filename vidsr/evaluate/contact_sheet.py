"""Contact sheet: the same crop as each method made it, side by side, labelled with its method and PSNR-Y."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidsr.color import to_rgb
from vidsr.evaluate.compare import ORIGINAL, Comparison
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.runtime.output_file import write_file

RGB = npt.NDArray[Any]  # uint8 H x W x 3

CROP, SMALL_CROP = 128, 96  # side in pixels of the original, of a single crop and of each of several
COLUMNS_OF_ONE = 4  # of a sheet with a single crop
LABEL_HEIGHT = 28
GAP = 4
INK, PAPER = (240, 240, 240), (24, 24, 24)


def contact_sheet(comparison: Comparison, crops: int = 1) -> RGB:
    """Return labelled crops of one frame as each method made it, the original last.

    Crops lie where the original has the most detail, or with ``show_errors`` where the methods have the largest errors.
    One crop takes as many rows as it needs; several take a row each.
    """
    labels = {score.method: f"{score.method} {score.psnr_y:.2f} dB" for score in comparison.scores}
    images = {labels.get(name, name): _to_rgb(frame, comparison.info) for name, frame in comparison.samples.items()}
    side = CROP if crops == 1 else SMALL_CROP
    if comparison.show_errors:
        places = find_crops(squared_errors(comparison.samples), side, crops)
    else:
        places = find_detailed_crops(comparison.samples[ORIGINAL].y[0, 0].numpy(), side, crops)
    cells = [(label, image[place]) for place in places for label, image in images.items()]
    return side_by_side(cells, COLUMNS_OF_ONE if crops == 1 else len(images))


def squared_errors(samples: dict[str, FrameBatch]) -> npt.NDArray[np.float32]:
    """Return the mean squared error over all methods at each pixel, H x W."""
    original = samples[ORIGINAL].y[0, 0].float()
    made = torch.stack([frame.y[0, 0].float() for frame in samples.values()])
    return np.asarray((made - original).square().mean(0).numpy())


def _to_rgb(frame: FrameBatch, info: VideoInfo) -> RGB:
    codes = (to_rgb(frame, info)[0].permute(1, 2, 0) * 255).round().clamp(0, 255)
    return codes.to(torch.uint8).numpy()


def find_detailed_crops(luma: npt.NDArray[np.generic], side: int, count: int) -> list[tuple[slice, slice]]:
    """Return rows and columns of the ``count`` squares of ``side`` pixels with the most detail."""
    return find_crops(np.abs(cv2.Laplacian(luma.astype(np.float32), cv2.CV_32F)), side, count)


def find_crops(detail: npt.NDArray[Any], side: int, count: int) -> list[tuple[slice, slice]]:
    """Return rows and columns of the ``count`` squares of ``side`` with the largest sums of ``detail`` (H x W float32).

    Squares overlap only where no room is left.
    """
    height, width = detail.shape
    side_y, side_x = min(side, height), min(side, width)
    sums = cv2.boxFilter(detail, -1, (side_x, side_y), anchor=(0, 0), borderType=cv2.BORDER_ISOLATED)
    inside = sums[: height - side_y + 1, : width - side_x + 1].copy()
    places = []
    tops, lefts = (np.arange(n) for n in inside.shape)
    for _ in range(count):
        top, left = (int(n) for n in np.unravel_index(int(inside.argmax()), inside.shape))
        places.append((slice(top, top + side_y), slice(left, left + side_x)))
        shared = np.outer(np.maximum(0, side_y - abs(tops - top)), np.maximum(0, side_x - abs(lefts - left)))
        inside -= np.where(shared > 0, (sums.max() + 1) * (1 + shared), 0)
    return places


def side_by_side(images: Sequence[tuple[str, RGB]], columns: int, zoom: int = 2) -> RGB:
    """Return one image with all ``images`` (label, image; all of one size), magnified, in rows of ``columns``."""
    cells = [_cell(label, image, zoom) for label, image in images]
    blank = np.full_like(cells[0], PAPER[0])
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    rows[-1] += [blank] * (min(columns, len(cells)) - len(rows[-1]))
    return np.vstack([np.hstack(row) for row in rows])


def write_png(path: Path, image: RGB, overwrite: bool = False) -> None:
    """Write ``image`` to ``path``, completely or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    write_file(path, data.tobytes(), overwrite, remedy="choose another folder")


def _cell(label: str, image: RGB, zoom: int) -> RGB:
    magnified = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
    cell = cv2.copyMakeBorder(magnified, LABEL_HEIGHT, GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=PAPER)
    position = (GAP + 2, LABEL_HEIGHT - 9)
    cv2.putText(cell, label, position, cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1, cv2.LINE_AA)
    return cell
