"""Classical denoising of a single frame: bilateral filter and non-local means.

Planes are H x W float32 code values of 8 bits; ``noise`` is the standard deviation to remove, in such code values.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

# Best PSNR at a noise of 10 on images of the training folder; the search window is the default of OpenCV.
BILATERAL_SIZE, BILATERAL_SPACE, BILATERAL_VALUE = 7, 1.6, 2.1  # pixels, pixels, multiple of the noise
NLM_STRENGTH, NLM_PATCH, NLM_SEARCH = 1.05, 3, 21  # multiple of the noise, pixels, pixels


def bilateral(plane: Plane, noise: float, reach: float = BILATERAL_VALUE) -> Plane:
    """Return ``plane`` smoothed except across edges, by OpenCV: neighbours weighted by distance and difference.

    Tomasi and Manduchi, "Bilateral filtering for gray and color images", 1998. ``reach``: sigma of the difference, as a
    multiple of the noise.
    """
    if noise <= 0:
        return plane
    return np.asarray(cv2.bilateralFilter(plane, BILATERAL_SIZE, reach * noise, BILATERAL_SPACE), np.float32)


def non_local_means(plane: Plane, noise: float, strength: float = NLM_STRENGTH) -> Plane:
    """Return ``plane`` averaged over similar patches, by OpenCV.

    Buades, Coll and Morel, "A non-local algorithm for image denoising", 2005. OpenCV works on 8-bit code values, so
    fractions are rounded first.
    """
    if noise <= 0:
        return plane
    codes = np.clip(np.rint(plane), 0, 255).astype(np.uint8)
    smooth = cv2.fastNlMeansDenoising(codes, None, strength * noise, NLM_PATCH, NLM_SEARCH)
    return np.asarray(smooth, np.float32)
