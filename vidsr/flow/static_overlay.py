"""What stands still over a moving picture: subtitles, logos, scores. Motion must not drag it along."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]  # float32

UNCHANGED = 12.0  # code values of change from which on a pixel does not stand still
FAINT = 6.0  # slope, in code values per pixel, that is no structure
WINDOW = 9  # pixels over which structure is judged
MOVES, STANDS = 0.3, 0.6  # share of the structure around that stands still: below nothing is pinned, above all
MARGIN = 3  # pixels by which pinned structure grows, so that no copy of it shows beside it


def pinned(a: Plane, b: Plane, before: Plane | None = None, after: Plane | None = None) -> Plane:
    """How far each pixel is to be held in place, 0 to 1, from 8-bit luma of both frames.

    A pixel is held where it is the same in both frames and so is most of the structure around it: texture that moves
    can meet itself in single pixels, and flat surfaces say nothing. With the frame ``before`` the first or that
    ``after`` the second it is to be the same in three: what moves slowly is then told from what stands still.
    """
    mean = (a + b) * 0.5
    slope = np.abs(cv2.Sobel(mean, cv2.CV_32F, 1, 0, scale=0.25)) + np.abs(
        cv2.Sobel(mean, cv2.CV_32F, 0, 1, scale=0.25)
    )
    structure = np.maximum(slope - FAINT, 0)
    change = _change(a, b, before, after)
    unchanged = np.square(np.maximum(1 - np.square(change * np.float32(1 / UNCHANGED)), 0))
    window = (WINDOW, WINDOW)
    standing = cv2.blur(structure * unchanged, window) / (cv2.blur(structure, window) + 0.5)
    held = unchanged * np.clip((standing - MOVES) / (STANDS - MOVES), 0, 1)
    grown = cv2.dilate(held * (structure > 0), np.ones((MARGIN, MARGIN), np.uint8))
    return np.asarray(np.maximum(held, cv2.blur(grown, (3, 3))))


def _change(a: Plane, b: Plane, before: Plane | None, after: Plane | None) -> Plane:
    """How much each pixel changes over the frames known; with those on both sides, over three at the steadier end."""
    low, high = cv2.min(a, b), cv2.max(a, b)
    spans = [cv2.max(high, side) - cv2.min(low, side) for side in (before, after) if side is not None]
    return np.asarray(cv2.min(spans[0], spans[-1]) if spans else high - low)
