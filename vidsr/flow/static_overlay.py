"""Static overlays on a moving frame: subtitles, logos, scores. Interpolation must not move them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from vidsr.flow.warp import F32

Plane = NDArray[Any]  # float32

CHANGED = 12.0  # code values of change from which on a pixel is not static
FAINT_SLOPE = 6.0  # code values per pixel: a smaller slope is no structure
WINDOW = 9  # pixels over which structure is compared
MOVING, STATIC = (
    0.3,
    0.6,
)  # static share of the structure in the window: below the first the mask is 0, above the other 1
MARGIN = 3  # pixels by which static structure grows, so that no copy of it shows next to it


def static_mask(a: Plane, b: Plane, before: Plane | None = None, after: Plane | None = None) -> Plane:
    """Return the mask of static overlays, h x w, from 0 (moving) to 1 (static).

    ``a`` and ``b`` are 8-bit luma. A pixel is static if it is equal in both frames and so is most of the structure
    around it. The window is needed because moving texture can coincide in single pixels. Flat areas count for neither.
    With the frame ``before`` a or ``after`` b, the pixel must be equal in three frames, which excludes slow motion.
    """
    sides = [side for side in (before, after) if side is not None] or [a]
    mean = cv2.addWeighted(a, 0.5, b, 0.5, 0)
    slopes = (cv2.Sobel(mean, cv2.CV_32F, *order, scale=0.25) for order in ((1, 0), (0, 1)))
    structure, unchanged, static = _structure(a, b, sides[0], sides[-1], *slopes)
    window = (WINDOW, WINDOW)
    mask, grown = _mask(structure, unchanged, cv2.blur(structure, window), cv2.blur(static, window))
    grown = cv2.dilate(grown, np.ones((MARGIN, MARGIN), np.uint8))
    return np.asarray(cv2.max(mask, cv2.blur(grown, (3, 3))))


@njit(cache=True, fastmath=True, nogil=True)
def _structure(a, b, before, after, across, down):  # type: ignore[no-untyped-def]
    """Return structure, the part of each pixel that is unchanged (0 to 1), and their product.

    A pixel changes by its range over ``a``, ``b`` and ``before``, or ``after`` if that is smaller. ``across`` and
    ``down`` are the slopes.
    """
    h, w = a.shape
    structure, unchanged, static = np.empty_like(a), np.empty_like(a), np.empty_like(a)
    for row in range(h):
        for col in range(w):
            low, high = min(a[row, col], b[row, col]), max(a[row, col], b[row, col])
            first, second = before[row, col], after[row, col]
            change = min(max(high, first) - min(low, first), max(high, second) - min(low, second)) * F32(1 / CHANGED)
            still = max(F32(1) - change * change, F32(0))
            slope = abs(across[row, col]) + abs(down[row, col])
            structure[row, col] = max(slope - F32(FAINT_SLOPE), F32(0))
            unchanged[row, col] = still * still
            static[row, col] = structure[row, col] * unchanged[row, col]
    return structure, unchanged, static


@njit(cache=True, fastmath=True, nogil=True)
def _mask(structure, unchanged, structure_around, static_around):  # type: ignore[no-untyped-def]
    """Return the mask of each pixel, and the same where there is structure, else 0."""
    h, w = structure.shape
    mask, on_structure = np.empty_like(structure), np.empty_like(structure)
    for row in range(h):
        for col in range(w):
            share = static_around[row, col] / (structure_around[row, col] + F32(0.5))
            static = min(max((share - F32(MOVING)) * F32(1 / (STATIC - MOVING)), F32(0)), F32(1))
            mask[row, col] = unchanged[row, col] * static
            on_structure[row, col] = mask[row, col] if structure[row, col] > 0 else F32(0)
    return mask, on_structure
