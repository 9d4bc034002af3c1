"""Drawings made of photographs: flat shades and dark outlines, as dense as prints and cartoons are.

What denoising takes for noise first is fine drawn texture, and photographs have little of it.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]  # H x W luma

SHADES = (4, 10)  # least and most
SMOOTH = (0.6, 2.0)  # standard deviation, pixels of the drawing, before shades are told apart
OUTLINED = 0.8  # share of drawings that have outlines


def drawing(photo: Plane, rng: np.random.Generator) -> Plane:
    """A drawing of ``photo``, of half its size: its shades few and shuffled, with outlines between them."""
    smooth = cv2.GaussianBlur(photo.astype(np.float32), (0, 0), 2 * rng.uniform(*SMOOTH))
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
