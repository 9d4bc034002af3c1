"""No-reference estimates of blur and noise.

Planes are H x W 8-bit code values in float32.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

BLOCK = 16  # side in pixels of the blocks; the smoothest of them show the noise
SMOOTHEST = 0.1  # quantile of the blocks that is taken
SMOOTHEST_BIAS = 0.9  # deviation in that quantile for pure noise of deviation 1
FLAT = 1e-3  # code values; a block with less deviation has no noise at all: a black bar, or clipped
NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6  # of variance 1 for noise of variance 1

NEAR, FAR = 1.0, 2.0  # sigmas, in pixels, of the two blurs whose gradients are compared
EDGES = 0.02  # largest share of the pixels that count as edges
EDGE_NOISE = 6.0  # smallest gradient of an edge, as a multiple of the gradient of noise
MIN_EDGE_PIXELS = 12  # with fewer, the width is unknown
SHARP_EDGES = 0.3  # quantile of the edge widths: a frame is as sharp as its sharper edges
WIDEST = 6.0  # pixels; for wider edges the two gradients are equal
DIRECTIONS = 6  # of motion blur; each range overlaps half of its neighbours'
MIN_PIXELS_PER_DIRECTION = 200


def noise_sigma(plane: Plane) -> float:
    """Return the standard deviation of the noise, in code values.

    It is measured in the smoothest blocks. The mask of Immerkaer, "Fast noise variance estimation", 1996, cancels
    constants, ramps and straight edges along the axes. The choice of blocks excludes texture, as in Shin et al.,
    "Block-based noise estimation using adaptive Gaussian filtering", 2005.
    """
    response = cv2.filter2D(plane, cv2.CV_32F, NOISE_MASK)[1:-1, 1:-1]
    rows, columns = response.shape[0] // BLOCK, response.shape[1] // BLOCK
    if not rows or not columns:
        return float(np.sqrt(np.mean(np.square(response)))) if response.size else 0.0
    blocks = response[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    deviations = np.sqrt(np.mean(np.square(blocks), axis=(1, 3)))
    noisy = deviations[deviations > FLAT]
    if noisy.size < deviations.size / 10:
        return 0.0
    return float(np.quantile(noisy, SMOOTHEST)) / SMOOTHEST_BIAS


def blur_sigma(plane: Plane) -> float:
    """Return the blur of the sharper edges, as the sigma of a Gaussian.

    It is in pixels. A step of width s blurred by a has a gradient proportional to 1 / sqrt(s^2 + a^2). So the ratio of
    the gradients after two blurs gives s: Zhuo and Sim, "Defocus map estimation from a single image", 2011. Sharp
    frames give 0 to 0.9. Without edges the result is 0.
    """
    return _width(_Edges(plane), None)


def motion_blur_sigma(plane: Plane) -> float:
    """Return `blur_sigma` of the direction in which edges are widest.

    Edges along the motion stay sharp. Among all edges together, they are the sharper ones, so `blur_sigma` misses
    motion blur.
    """
    edges = _Edges(plane)
    widths = [0.0]
    for number in range(DIRECTIONS):
        middle = number * np.pi / DIRECTIONS
        away = np.abs((edges.angle - middle + np.pi / 2) % np.pi - np.pi / 2)
        chosen = away < 0.75 * np.pi / DIRECTIONS
        if chosen.sum() >= MIN_PIXELS_PER_DIRECTION:
            widths.append(_width(edges, chosen))
    return max(widths)


class _Edges:
    """Gradients of a plane after both blurs."""

    def __init__(self, plane: Plane) -> None:
        (dx, dy), (far_x, far_y) = (_gradient(plane, sigma) for sigma in (NEAR, FAR))
        self.near, self.far = np.hypot(dx, dy), np.hypot(far_x, far_y)
        self.angle = np.arctan2(dy, dx)
        along_x, along_y = (self.near >= cv2.dilate(self.near, np.ones(shape, np.uint8)) for shape in ((1, 3), (3, 1)))
        self.peaks = np.where(np.abs(dx) > np.abs(dy), along_x, along_y)
        # noise of 1 has a gradient of about 0.25 / NEAR^2 after the blur
        self.min_gradient = max(EDGE_NOISE * noise_sigma(plane) * 0.25 / NEAR**2, 1.0)


def _width(edges: _Edges, chosen: NDArray[np.bool_] | None) -> float:
    """Return the width of the sharper edges among the ``chosen`` pixels, or among all."""
    near = edges.near if chosen is None else edges.near[chosen]
    ridges = edges.peaks & (edges.near >= max(edges.min_gradient, float(np.quantile(near, 1 - EDGES))))
    if chosen is not None:
        ridges &= chosen
    if ridges.sum() < MIN_EDGE_PIXELS:
        return 0.0
    ratio = np.square(edges.near[ridges] / np.maximum(edges.far[ridges], 1e-3))
    variance = np.where(ratio > 1.01, (FAR**2 - ratio * NEAR**2) / np.maximum(ratio - 1, 1e-2), WIDEST**2)
    return float(np.quantile(np.sqrt(np.clip(variance, 0, WIDEST**2)), SHARP_EDGES))


def _gradient(plane: Plane, sigma: float) -> tuple[Plane, Plane]:
    """Return the gradient along x and y after a Gaussian, code values per pixel."""
    smooth = cv2.GaussianBlur(plane, (0, 0), sigma)
    dx, dy = (cv2.Sobel(smooth, cv2.CV_32F, x, 1 - x, ksize=3, scale=1 / 8) for x in (1, 0))
    return np.asarray(dx, np.float32), np.asarray(dy, np.float32)
