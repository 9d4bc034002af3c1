"""Synthetic drawings made of photographs.

They have flat shades and dark outlines, as dense as in prints and cartoons. Denoising mistakes fine drawn texture for
noise before anything else, and photographs have little of it.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]  # H x W luma

SHADES = (4, 10)  # smallest and largest number
SMOOTHING = (0.6, 2.0)  # standard deviation of the blur before the shades are chosen, pixels of the drawing
OUTLINED = 0.8  # share of drawings with outlines


def drawing(photo: Plane, rng: np.random.Generator) -> Plane:
    """Return a drawing of ``photo`` at half its size.

    It has few, shuffled shades, with outlines between them.
    """
    smooth = cv2.GaussianBlur(photo.astype(np.float32), (0, 0), 2 * rng.uniform(*SMOOTHING))
    count = int(rng.integers(*SHADES, endpoint=True))
    edges = np.quantile(smooth, np.linspace(0, 1, count + 1)[1:-1])
    shade = np.digitize(smooth, edges).astype(np.uint8)
    drawn = rng.permutation(np.linspace(40, 235, count)).astype(np.float32)[shade]
    if rng.uniform() < OUTLINED:
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        drawn[cv2.morphologyEx(shade, cv2.MORPH_GRADIENT, cross) > 0] = rng.uniform(16, 60)
    size = max(1, photo.shape[1] // 2), max(1, photo.shape[0] // 2)
    small = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(small), np.uint8)
