"""Drawn content: cel animation and screens.

It is flat but for steep edges. Where the flow between two such frames is wrong, doubled outlines and letters show more
than a held frame does, and animators hold drawings anyway. Photographed content of low contrast is flat too, but its
edges are soft.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[Any]  # float32, 8-bit code values, h x w

# Shares of drawn frames, coded ones too, are 0.5 to 0.95 and 0.01 to 0.38, of photographed ones of that flatness 0.74
# and more (benchmarks/drawn_content.py).
FLAT, STEEP = 2, 24  # code values between neighbours: at most that of flat places, at least that of drawn edges
MIN_FLAT_SHARE = 0.45  # of the frame
MAX_SOFT_SHARE = 0.5  # of what is not flat
GHOST = 24.0  # code values between both warped frames from which their mean shows both
GHOST_SHARE = 0.6  # of the contrast around: less is the error of sampling thin lines between pixels
MAX_GHOSTS = 0.3  # ghosts per changed pixel: a mouth or letters without motion have 0.5 and more, a pan less than 0.1


def is_drawn(luma: Luma) -> bool:
    """Whether a frame is drawn: flat areas with steep edges between them."""
    contrast = _contrast(cv2.convertScaleAbs(luma))
    uneven = np.count_nonzero(contrast > FLAT)
    if uneven > (1 - MIN_FLAT_SHARE) * contrast.size:
        return False
    return bool(uneven - np.count_nonzero(contrast >= STEEP) <= MAX_SOFT_SHARE * uneven)


def shows_ghosts(mismatch: Luma, a: Luma, b: Luma) -> bool:
    """Whether the mean of two warped frames would show ghosts.

    ``mismatch``: their absolute difference; ``a`` and ``b``: luma of the frames, of the same size.
    """
    contrast = np.maximum(_contrast(a), _contrast(b))
    ghosts = np.count_nonzero(mismatch > np.maximum(contrast * np.float32(GHOST_SHARE), np.float32(GHOST)))
    return bool(ghosts > MAX_GHOSTS * np.count_nonzero(np.abs(a - b) > GHOST))


def _contrast(luma: Luma) -> Luma:
    """Return the range of the codes in 3 x 3 windows."""
    window = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.subtract(cv2.dilate(luma, window), cv2.erode(luma, window)))
