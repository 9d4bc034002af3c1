"""The eight poses of a square, as NumPy tables: what they do to a 3x3 kernel, and their representations."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

POSES = 8
TAPS = 9  # of a 3x3 kernel, row by row
DOWN, RIGHT = 7, 5  # the taps below the centre and to the right of it


def turned(picture: Array, pose: int) -> Array:
    """``picture`` (... x H x W) in one of its eight poses: mirrored from the fourth on, then turned by quarters."""
    return np.rot90(np.flip(picture, -1) if pose >= POSES // 2 else picture, pose % 4, (-2, -1))


@cache
def tap_after() -> Array:
    """8 x 9: to which tap each tap goes in each pose."""
    return np.stack([np.argsort(turned(np.arange(TAPS).reshape(3, 3), pose).ravel()) for pose in range(POSES)])


@cache
def product() -> Array:
    """8 x 8: the pose that the second and then the first make."""
    taps = tap_after()
    number = {tuple(moved): pose for pose, moved in enumerate(taps.tolist())}
    return np.array([[number[tuple(taps[a][taps[b]].tolist())] for b in range(POSES)] for a in range(POSES)])


@cache
def matrices() -> Array:
    """8 x 2 x 2: what each pose does to (row, column) from the centre; also the representation of two dimensions."""
    places = np.stack(np.divmod(np.arange(TAPS), 3), -1) - 1
    columns = [places[tap_after()[:, tap]] for tap in (DOWN, RIGHT)]
    return np.stack(columns, -1).astype(np.float32)


@cache
def characters() -> Array:
    """4 x 8: the representations of one dimension: trivial, mirrored or not, axes swapped or not, both."""
    mirrored = np.linalg.det(matrices()).round()
    swapped = np.where(matrices()[:, 0, 0] != 0, 1, -1)
    return np.stack([np.ones(POSES), mirrored, swapped, mirrored * swapped]).astype(np.float32)
