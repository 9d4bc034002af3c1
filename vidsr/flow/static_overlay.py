"""Static overlays on a moving frame: subtitles, logos, scores. Interpolation must not move them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

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
    mean = (a + b) * 0.5
    slope = np.abs(cv2.Sobel(mean, cv2.CV_32F, 1, 0, scale=0.25)) + np.abs(
        cv2.Sobel(mean, cv2.CV_32F, 0, 1, scale=0.25)
    )
    structure = np.maximum(slope - FAINT_SLOPE, 0)
    change = _change(a, b, before, after)
    unchanged = np.square(np.maximum(1 - np.square(change * np.float32(1 / CHANGED)), 0))
    window = (WINDOW, WINDOW)
    static_share = cv2.blur(structure * unchanged, window) / (cv2.blur(structure, window) + 0.5)
    mask = unchanged * np.clip((static_share - MOVING) / (STATIC - MOVING), 0, 1)
    grown = cv2.dilate(mask * (structure > 0), np.ones((MARGIN, MARGIN), np.uint8))
    return np.asarray(np.maximum(mask, cv2.blur(grown, (3, 3))))


def _change(a: Plane, b: Plane, before: Plane | None, after: Plane | None) -> Plane:
    """Return the range of each pixel over the known frames.

    With frames on both sides, it is the smaller of the two ranges over three frames.
    """
    low, high = cv2.min(a, b), cv2.max(a, b)
    spans = [cv2.max(high, side) - cv2.min(low, side) for side in (before, after) if side is not None]
    return np.asarray(cv2.min(spans[0], spans[-1]) if spans else high - low)
