"""Tiles of a frame that differ from the previous frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidsr.kernels.arrays import Array, Plane, check_plane
from vidsr.kernels.jit import jit


def changed_tiles(before: Plane, now: Plane, side: int, halo: int) -> NDArray[np.bool_]:
    """Return which tiles of two planes (H x W) differ.

    Tiles have ``side`` pixels. A tile differs if any pixel within ``halo`` pixels of it does. Each tile is read up to
    the first row that differs, so frames that differ everywhere cost next to nothing.

    Returns:
        Rows of tiles x tiles per row. The last tile of either may extend beyond the edge.
    """
    check_plane(now)
    if before.shape != now.shape or before.dtype != now.dtype:
        raise ValueError(f"cannot compare {before.shape} {before.dtype} with {now.shape} {now.dtype}")
    height, width = now.shape
    changed = np.empty((-(-height // side), -(-width // side)), np.bool_)
    _compare(before, now, side, halo, changed)
    return changed


@jit
def _compare(a: Array, b: Array, side: int, halo: int, changed: Array) -> None:
    height, width = a.shape
    for row in range(changed.shape[0]):
        top, bottom = max(0, row * side - halo), min(height, (row + 1) * side + halo)
        for column in range(changed.shape[1]):
            left, right = max(0, column * side - halo), min(width, (column + 1) * side + halo)
            changed[row, column] = False
            for i in range(top, bottom):
                if _differ(a[i, left:right], b[i, left:right]):
                    changed[row, column] = True
                    break


@jit
def _differ(a: Array, b: Array) -> bool:
    found = False
    for i in range(np.uint64(a.size)):
        found |= a[i] != b[i]  # the whole row: an early exit would prevent vectorisation
    return found
