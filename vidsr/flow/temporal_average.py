"""A picture averaged with its neighbours in time, each moved onto it, as far as they show the same.

What an encoder or a sensor got wrong differs from frame to frame, what they show does not. A neighbour counts as much
as the texture around a pixel outweighs what is left between the two there (a Wiener filter's share, signal over signal
and noise), up to as much as the picture itself; it does not count where that is more than two different textures would
leave: at occlusions, on what moves apart, where no motion was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from vidsr.flow.warp import F32, between_pixels, sample
from vidsr.kernels.workers import in_parallel

Plane = NDArray[Any]  # float32, h x w
Flow = NDArray[Any]  # float32, any size, x and y in its own pixels: where the picture's pixels are in the neighbour

# Chosen on clips of the training set, at CRF 28 and 35 and with noise (train/LOG.md).
WINDOW = 7  # pixels a side over which pictures are averaged twice, to be compared
REACH = 2 * (WINDOW // 2)  # how far that looks
FLOOR, MOST = 4.0, 1000.0  # squared 8-bit code values: the least and the most texture that a picture is taken to have
DOUBT = 5.0  # how much a difference counts against a neighbour
UNLIKE = 0.5  # from twice the texture on, a difference is another picture's
OWN = 0.25  # of a pixel's own difference counts whatever the window says: single pixels leave no ghost
CALM = 0.5  # pixels of motion at which half of it is taken to be noise, and to sample between pixels only blurs
STRIP_PIXELS = 1 << 15  # of the picture at a time: what is computed of them stays in the second-level cache


def steadied(picture: Plane, neighbours: Sequence[tuple[Plane, Flow]], unit: float = 1.0) -> Plane:
    """``picture`` (code values) averaged with its neighbours.

    ``neighbours``: the B-spline coefficients of each (`vidsr.flow.warp.spline`) and the motion to it. ``unit``: code
    values per code value of 8 bits.
    """
    height, width = picture.shape
    result = np.empty_like(picture)

    def work(rows: tuple[int, int]) -> None:
        first, last = max(0, rows[0] - REACH), min(height, rows[1] + REACH)
        strip = _steadied(picture[first:last], [moved(*neighbour, first, last) for neighbour in neighbours], unit)
        result[rows[0] : rows[1]] = strip[rows[0] - first : rows[1] - first]

    step = max(4 * REACH, STRIP_PIXELS // width)
    in_parallel(work, [(row, min(row + step, height)) for row in range(0, height, step)])
    return result


def _steadied(picture: Plane, others: Sequence[Plane], unit: float) -> Plane:
    """The average of ``picture`` with ``others``, which lie upon it."""
    texture = np.maximum(_around(np.square(picture)) - np.square(_around(picture)), 0)
    texture = np.minimum(texture + np.float32(FLOOR * unit * unit), np.float32(MOST * unit * unit))
    change, weight = np.zeros_like(picture), np.ones_like(picture)
    for other in others:
        difference = other - picture
        squared = np.square(difference)
        apart = np.maximum(_around(squared), np.float32(OWN) * squared)
        share = np.maximum(texture - np.float32(UNLIKE) * apart, 0) / (texture + np.float32(DOUBT) * apart)
        change += share * difference
        weight += share
    return np.asarray(picture + change / weight)


def _around(plane: Plane) -> Plane:
    return np.asarray(cv2.blur(cv2.blur(plane, (WINDOW, WINDOW)), (WINDOW, WINDOW)))


@njit(cache=True, fastmath=True, nogil=True)
def moved(coefficients, flow, first, last):  # type: ignore[no-untyped-def]
    """Rows ``first`` to ``last`` of a spline's picture sampled along ``flow``, of any size; faint motion is damped."""
    h, w = coefficients.shape
    fh, fw = flow.shape[:2]
    sx, sy = F32(w / fw), F32(h / fh)
    result = np.empty((last - first, w), np.float32)
    for row in range(first, last):
        y0, y1, fy = between_pixels((F32(row) + F32(0.5)) / sy - F32(0.5), fh)
        for col in range(w):
            x0, x1, fx = between_pixels((F32(col) + F32(0.5)) / sx - F32(0.5), fw)
            u = flow[y0, x0, 0] + fx * (flow[y0, x1, 0] - flow[y0, x0, 0])
            v = flow[y0, x0, 1] + fx * (flow[y0, x1, 1] - flow[y0, x0, 1])
            u += fy * (flow[y1, x0, 0] + fx * (flow[y1, x1, 0] - flow[y1, x0, 0]) - u)
            v += fy * (flow[y1, x0, 1] + fx * (flow[y1, x1, 1] - flow[y1, x0, 1]) - v)
            squared = (u * u + v * v) * (u * u + v * v)
            kept = squared / (squared + F32(CALM**4))
            result[row - first, col] = sample(coefficients, F32(col) + sx * kept * u, F32(row) + sy * kept * v)
    return result
