"""The eight symmetries of a square: the flips and rotations of an image, and tables of the group that they form.

Symmetry 0 is the identity, 1 to 3 are quarter turns, 4 to 7 a horizontal flip followed by 0 to 3 quarter turns.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]

SYMMETRIES = 8
FIRST_FLIP = 4  # symmetries from here on flip
TAPS = 9  # of a 3x3 kernel, row by row
DOWN, RIGHT = 7, 5  # the taps below the centre and to the right of it


def apply_symmetry(planes: Tensor, symmetry: int) -> Tensor:
    """Return ``planes`` (... x H x W) flipped and rotated."""
    return torch.rot90(planes.flip(-1) if symmetry >= FIRST_FLIP else planes, symmetry % 4, (-2, -1))


def undo_symmetry(planes: Tensor, symmetry: int) -> Tensor:
    """Return ``planes`` as they were before `apply_symmetry`."""
    upright = torch.rot90(planes, -(symmetry % 4), (-2, -1))
    return upright.flip(-1) if symmetry >= FIRST_FLIP else upright


@cache
def tap_permutations() -> Array:
    """8 x 9: the tap to which each symmetry moves each tap."""
    taps = torch.arange(TAPS).view(3, 3)
    return np.stack([np.argsort(apply_symmetry(taps, number).flatten().numpy()) for number in range(SYMMETRIES)])


@cache
def composition() -> Array:
    """8 x 8: the symmetry that results from applying the second, then the first."""
    taps = tap_permutations()
    number = {tuple(moved): symmetry for symmetry, moved in enumerate(taps.tolist())}
    every = range(SYMMETRIES)
    return np.array([[number[tuple(taps[a][taps[b]].tolist())] for b in every] for a in every])


@cache
def matrices() -> Array:
    """8 x 2 x 2: the effect on (row, column) from the centre; also the representation of two dimensions."""
    places = np.stack(np.divmod(np.arange(TAPS), 3), -1) - 1
    columns = [places[tap_permutations()[:, tap]] for tap in (DOWN, RIGHT)]
    return np.stack(columns, -1).astype(np.float32)


@cache
def characters() -> Array:
    """4 x 8: the representations of one dimension: trivial, flipped or not, axes swapped or not, both."""
    flipped = np.linalg.det(matrices()).round()
    swapped = np.where(matrices()[:, 0, 0] != 0, 1, -1)
    return np.stack([np.ones(SYMMETRIES), flipped, swapped, flipped * swapped]).astype(np.float32)
