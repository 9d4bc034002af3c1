"""A picture of pictures: the same crop as each method made it, side by side, with its name and its PSNR-Y."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidsr.errors import OutputError

Picture = npt.NDArray[Any]  # uint8 H x W x 3, RGB

LABEL_HEIGHT = 28
GAP = 4
INK, PAPER = (240, 240, 240), (24, 24, 24)


def busiest_crops(luma: npt.NDArray[np.generic], side: int, count: int) -> list[tuple[slice, slice]]:
    """Rows and columns of ``count`` squares of ``side`` with the most detail, which show most of a method."""
    return densest_crops(np.abs(cv2.Laplacian(luma.astype(np.float32), cv2.CV_32F)), side, count)


def densest_crops(detail: npt.NDArray[Any], side: int, count: int) -> list[tuple[slice, slice]]:
    """Rows and columns of ``count`` squares of ``side`` whose sums of ``detail`` (H x W, float32) are largest.

    Each is taken from what the ones before it left; they overlap only where no room is left.
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


def side_by_side(pictures: Sequence[tuple[str, Picture]], columns: int, zoom: int = 2) -> Picture:
    """One picture with all ``pictures`` (labels and pictures of one size) in rows of ``columns``, each enlarged."""
    cells = [_cell(label, picture, zoom) for label, picture in pictures]
    blank = np.full_like(cells[0], PAPER[0])
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    rows[-1] += [blank] * (min(columns, len(cells)) - len(rows[-1]))
    return np.vstack([np.hstack(row) for row in rows])


def write_png(path: Path, picture: Picture) -> None:
    """Writes ``picture`` to ``path``.

    Raises:
        OutputError: the file can not be written.
    """
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert done
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; choose another folder") from None


def _cell(label: str, picture: Picture, zoom: int) -> Picture:
    enlarged = picture.repeat(zoom, axis=0).repeat(zoom, axis=1)
    cell = cv2.copyMakeBorder(enlarged, LABEL_HEIGHT, GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=PAPER)
    position = (GAP + 2, LABEL_HEIGHT - 9)
    cv2.putText(cell, label, position, cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1, cv2.LINE_AA)
    return cell
