"""Noise taken from a single picture, by averaging what is alike.

Planes are H x W float32 code values of 8 bits; ``noise`` is the standard deviation to remove, in such code values.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vidsr.kernels import gaussian

Plane = NDArray[np.float32]

# Best PSNR at noise of 10 on pictures of the training folder; the search window is what OpenCV takes by default.
BILATERAL_SIZE, BILATERAL_SPACE, BILATERAL_VALUE = 7, 1.6, 2.1  # pixels, pixels, times the noise
NLM_STRENGTH, NLM_PATCH, NLM_SEARCH = 1.05, 3, 21  # times the noise, pixels, pixels


def bilateral(plane: Plane, noise: float, reach: float = BILATERAL_VALUE) -> Plane:
    """Neighbours averaged by nearness and likeness: Tomasi and Manduchi, 1998. ``reach``: in times of the noise."""
    if noise <= 0:
        return plane
    return np.asarray(gaussian.bilateral(plane, BILATERAL_SIZE, reach * noise, BILATERAL_SPACE), np.float32)


def non_local_means(plane: Plane, noise: float, strength: float = NLM_STRENGTH) -> Plane:
    """Pixels averaged by the likeness of the patches around them, by OpenCV.

    Buades, Coll and Morel, "A non-local algorithm for image denoising", 2005. 8-bit codes as OpenCV takes them; planes
    that hold fractions are rounded to them.
    """
    if noise <= 0:
        return plane
    codes = np.clip(np.rint(plane), 0, 255).astype(np.uint8)
    smooth = cv2.fastNlMeansDenoising(codes, None, strength * noise, NLM_PATCH, NLM_SEARCH)
    return np.asarray(smooth, np.float32)
