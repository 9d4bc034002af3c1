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
FEWEST = 12  # edge pixels that say something
SHARP_EDGES = 0.3  # quantile of the edges' widths: a picture is as sharp as its sharper edges
WIDEST = 6.0  # pixels: beyond it the two gradients are alike
DIRECTIONS = 6  # in which motion may have smeared; each takes half of its neighbours' share too
FEWEST_IN_DIRECTION = 200  # pixels


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
    after two blurs gives s: Zhuo and Sim, "Defocus map estimation from a single image", 2011. Sharp pictures give 0 to
    0.9; 0 where there is no edge to see.
    """
    return _width(_Edges(plane), None)


def smear_sigma(plane: Plane) -> float:
    """As `blur_sigma`, of the edges across the direction in which they are widest: what motion leaves.

    Edges along the motion stay sharp, and they are the sharper ones of all edges together.
    """
    edges = _Edges(plane)
    widths = [0.0]
    for number in range(DIRECTIONS):
        middle = number * np.pi / DIRECTIONS
        away = np.abs((edges.angle - middle + np.pi / 2) % np.pi - np.pi / 2)
        chosen = away < 0.75 * np.pi / DIRECTIONS
        if chosen.sum() >= FEWEST_IN_DIRECTION:
            widths.append(_width(edges, chosen))
    return max(widths)


class _Edges:
    """The gradients of a plane after both blurs."""

    def __init__(self, plane: Plane) -> None:
        (dx, dy), (far_x, far_y) = (_gradient(plane, sigma) for sigma in (NEAR, FAR))
        self.near, self.far = np.hypot(dx, dy), np.hypot(far_x, far_y)
        self.angle = np.arctan2(dy, dx)
        along_x, along_y = (self.near >= cv2.dilate(self.near, np.ones(shape, np.uint8)) for shape in ((1, 3), (3, 1)))
        self.peaks = np.where(np.abs(dx) > np.abs(dy), along_x, along_y)
        # noise of 1 has a gradient of about 0.25 / NEAR^2 after the blur
        self.least = max(EDGE_NOISE * noise_sigma(plane) * 0.25 / NEAR**2, 1.0)


def _width(edges: _Edges, chosen: NDArray[np.bool_] | None) -> float:
    """Of the sharper edges among the ``chosen`` pixels, or among all."""
    near = edges.near if chosen is None else edges.near[chosen]
    ridges = edges.peaks & (edges.near >= max(edges.least, float(np.quantile(near, 1 - EDGES))))
    if chosen is not None:
        ridges &= chosen
    if ridges.sum() < FEWEST:
        return 0.0
    ratio = np.square(edges.near[ridges] / np.maximum(edges.far[ridges], 1e-3))
    variance = np.where(ratio > 1.01, (FAR**2 - ratio * NEAR**2) / np.maximum(ratio - 1, 1e-2), WIDEST**2)
    return float(np.quantile(np.sqrt(np.clip(variance, 0, WIDEST**2)), SHARP_EDGES))


def _gradient(plane: Plane, sigma: float) -> tuple[Plane, Plane]:
    """Along x and y, code values per pixel, after a Gaussian of ``sigma``."""
    smooth = cv2.GaussianBlur(plane, (0, 0), sigma)
    dx, dy = (cv2.Sobel(smooth, cv2.CV_32F, x, 1 - x, ksize=3, scale=1 / 8) for x in (1, 0))
    return np.asarray(dx, np.float32), np.asarray(dy, np.float32)
