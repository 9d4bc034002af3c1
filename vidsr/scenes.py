"""Hard cuts between two neighbouring frames, found on a reduced luma picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Small = NDArray[np.float32]  # a reduced luma picture, 8-bit code values

SMALL = (64, 36)  # width and height of the picture that is judged
CUT_CORRELATION = 0.5  # neighbours of one scene stay above it, after the best small shift
CUT_CHANGE = 8.0  # mean change in 8-bit code values below which nothing is a cut
SAME_CHANGE = 1.0  # largest change of a reduced pixel that coding noise makes


def reduce(y: Tensor, depth: int) -> Small:
    """A 64 x 36 picture of one frame's luma (1 x 1 x H x W code values of ``depth`` bits)."""
    plane = y[0, 0].numpy()
    small = cv2.resize(plane, SMALL, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) * np.float32(255 / ((1 << depth) - 1))


def is_cut(a: Small, b: Small) -> bool:
    """Whether a new scene begins at ``b``, the frame after ``a``; both are reduced pictures."""
    return float(np.abs(a - b).mean()) > CUT_CHANGE and _best_correlation(a, b) < CUT_CORRELATION


def _best_correlation(a: Small, b: Small) -> float:
    """Largest normalised correlation of the middle of ``a`` with ``b`` over small shifts.

    A correlation does not see brightness and contrast, so a flash or a fade is no cut; the shifts take a fast pan in.
    """
    h, w = a.shape
    middle = np.ascontiguousarray(a[h // 5 : h - h // 5, w // 5 : w - w // 5])
    return float(cv2.matchTemplate(b, middle, cv2.TM_CCOEFF_NORMED).max())


def is_duplicate(a: Small, b: Small) -> bool:
    """Whether ``b`` shows what ``a`` shows, but for coding noise; both are reduced pictures."""
    return float(np.abs(a - b).max()) < SAME_CHANGE
