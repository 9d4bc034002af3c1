"""How blurred and how noisy a picture is, by the picture alone. Planes are H x W code values of 8 bits."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

BLOCK = 16  # pixels; side of the blocks of which the smoothest tell the noise
SMOOTHEST = 0.1  # share of the blocks
SMOOTHEST_BIAS = 0.9  # what the smoothest tenth of blocks shows of pure noise
FLAT = 1e-3  # code values: a block without any noise is a letter box, or clipped
DIFFERENCE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6  # of variance 1 for noise of variance 1

NEAR, FAR = 1.0, 2.0  # pixels; the two blurs whose gradients are compared
EDGES = 0.02  # share of the pixels that are taken for edges, at most
EDGE_NOISE = 6.0  # an edge's gradient is so many times the noise's
SHARP_EDGES = 0.3  # quantile of the edges' widths: a picture is as sharp as its sharper edges
WIDEST = 6.0  # pixels: beyond it the two gradients are alike


def noise_sigma(plane: Plane) -> float:
    """Standard deviation of the noise, code values: of what a plane fit leaves, in the smoothest blocks.

    The mask is that of Immerkaer, "Fast noise variance estimation", 1996, which does not see constants, ramps and
    straight edges along the axes; the blocks keep texture out, as in Shin et al., "Block-based noise estimation using
    adaptive Gaussian filtering", 2005.
    """
    response = cv2.filter2D(plane, cv2.CV_32F, DIFFERENCE)[1:-1, 1:-1]
    rows, columns = response.shape[0] // BLOCK, response.shape[1] // BLOCK
    if not rows or not columns:
        return float(np.sqrt(np.mean(np.square(response)))) if response.size else 0.0
    blocks = response[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    deviations = np.sqrt(np.mean(np.square(blocks), axis=(1, 3)))
    alive = deviations[deviations > FLAT]
    if alive.size < deviations.size / 10:
        return 0.0
    return float(np.quantile(alive, SMOOTHEST)) / SMOOTHEST_BIAS


def blur_sigma(plane: Plane) -> float:
    """Standard deviation, in pixels, of the Gaussian that would blur a step as this picture's sharper edges are.

    A step of width s blurred by a has a gradient proportional to 1 / sqrt(s^2 + a^2), so the ratio of the gradients
    after two blurs gives s: Zhuo and Sim, "Defocus map estimation from a single image", 2011. Sharp pictures give 0.4
    to 0.8; 0 where there is no edge to see.
    """
    near, far = (_gradient(np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)) for sigma in (NEAR, FAR))
    # noise of 1 has a gradient of about 0.25 / NEAR^2 after the blur
    least = max(EDGE_NOISE * noise_sigma(plane) * 0.25 / NEAR**2, float(np.quantile(near, 1 - EDGES)), 1.0)
    ridges = (near >= least) & (near >= cv2.dilate(near, np.ones((3, 3), np.uint8)))
    if ridges.sum() < 16:
        return 0.0
    ratio = np.square(near[ridges] / np.maximum(far[ridges], 1e-3))
    variance = np.where(ratio > 1.01, (FAR**2 - ratio * NEAR**2) / np.maximum(ratio - 1, 1e-2), WIDEST**2)
    widths = np.sqrt(np.clip(variance, 0, WIDEST**2))
    return float(np.quantile(widths, SHARP_EDGES))


def _gradient(plane: Plane) -> Plane:
    """Its magnitude, code values per pixel."""
    dx, dy = (cv2.Sobel(plane, cv2.CV_32F, x, 1 - x, ksize=3, scale=1 / 8) for x in (1, 0))
    return np.asarray(cv2.magnitude(dx, dy))
