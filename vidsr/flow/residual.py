"""What is left of the motion, once both frames are moved to a moment between them, found there and taken out.

The two moved frames differ by little, so that a search at full size, down to every pixel, finds what the search
between the frames themselves missed (bilateral motion estimation: Park et al., "BMBC: bilateral motion estimation with
bilateral cost volume for video interpolation", ECCV 2020).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidsr.flow.search import dense_search

Luma = NDArray[Any]  # float32, 8-bit code values, h x w
Ways = NDArray[Any]  # float32, h x w x 4, in pixels of its own: to the first frame, to the second

# Chosen on clips of the training set (train/LOG.md).
STRIDE, DESCENTS = 3, 25  # between patches of the search, and of each patch


def refined(a: Luma, b: Luma, ways: Ways, phase: float) -> Ways:
    """``ways`` from ``phase`` between ``a`` and ``b``, without what the moved frames still differ by."""
    fine = at_size(ways, a.shape)
    moved_a, moved_b = _moved(a, fine[..., :2]), _moved(b, fine[..., 2:])
    search = dense_search(0, STRIDE, DESCENTS)
    onward = search.calc(moved_a, moved_b, np.empty(0, np.float32))
    back = search.calc(moved_b, moved_a, np.empty(0, np.float32))
    left = (onward - back) / 2  # both ways, so that time may run backwards
    return at_size(fine + np.concatenate([-phase * left, (1 - phase) * left], -1), ways.shape[:2])


def at_size(ways: Ways, size: tuple[int, ...]) -> Ways:
    """``ways`` at ``size`` (height, width), in pixels of that size: by area where that is smaller, else linear."""
    h, w = ways.shape[:2]
    how = cv2.INTER_AREA if size[1] < w else cv2.INTER_LINEAR
    scale = np.array([size[1] / w, size[0] / h] * 2, np.float32)
    return np.asarray(cv2.resize(ways, size[1::-1], interpolation=how)) * scale


def _moved(luma: Luma, ways: NDArray[Any]) -> NDArray[np.uint8]:
    h, w = luma.shape
    columns, rows = (
        ways[..., 0] + np.arange(w, dtype=np.float32),
        ways[..., 1] + np.arange(h, dtype=np.float32)[:, None],
    )
    moved = cv2.remap(luma, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.convertScaleAbs(moved.clip(min=0)))
