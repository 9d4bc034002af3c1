"""Temporal average: a frame averaged with its warped neighbours, where they match.

Noise and coding errors differ from frame to frame, the scene does not. The weight of a neighbour is a Wiener filter's
share: the texture around a pixel over texture plus remaining difference, at most 1, the weight of the frame itself. It
is 0 where the difference exceeds that of two different textures: at occlusions and where no motion was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from vidsr.flow.warp import F32, between_pixels, sample_spline
from vidsr.kernels.workers import in_parallel

Plane = NDArray[Any]  # float32, h x w
Flow = NDArray[Any]  # float32, any size, x and y in its own pixels: displacement from the frame to the neighbour

# Chosen on clips of the training set, at CRF 28 and 35 and with noise (train/LOG.md).
WINDOW = 7  # side in pixels of the box filter, applied twice, over which frames are compared
REACH = 2 * (WINDOW // 2)  # pixels on each side that the double box filter reads
MIN_TEXTURE, MAX_TEXTURE = 4.0, 1000.0  # limits of the assumed texture variance, squared 8-bit code values
PENALTY = 5.0  # weight of the remaining difference against texture in the denominator of the share
UNLIKE = 0.5  # the share is 0 from a squared difference of 1 / UNLIKE times the texture on
OWN = 0.25  # share of a pixel's own difference that counts even if the window's is smaller: no ghosts of single pixels
FAINT_MOTION = 0.5  # pixels: half of such a motion counts as noise, because sampling between pixels blurs
STRIP_PIXELS = 1 << 15  # pixels at a time, so that all intermediate results stay in the second-level cache


def temporal_average(plane: Plane, neighbours: Sequence[tuple[Plane, Flow]], unit: float = 1.0) -> Plane:
    """Return ``plane`` (code values, float32) averaged with its neighbours.

    ``neighbours``: for each, its B-spline coefficients (`vidsr.flow.warp.spline_coefficients`) and the flow to it.
    ``unit``: code values per 8-bit code value.
    """
    height, width = plane.shape
    result = np.empty_like(plane)

    def work(rows: tuple[int, int]) -> None:
        first, last = max(0, rows[0] - REACH), min(height, rows[1] + REACH)
        strip = _average(plane[first:last], [warp_rows(*neighbour, first, last) for neighbour in neighbours], unit)
        result[rows[0] : rows[1]] = strip[rows[0] - first : rows[1] - first]

    step = max(4 * REACH, STRIP_PIXELS // width)
    in_parallel(work, [(row, min(row + step, height)) for row in range(0, height, step)])
    return result


def _average(plane: Plane, others: Sequence[Plane], unit: float) -> Plane:
    """Return the weighted mean of ``plane`` and ``others``, which are warped onto it."""
    texture = np.maximum(_blur(np.square(plane)) - np.square(_blur(plane)), 0)
    texture = np.minimum(texture + np.float32(MIN_TEXTURE * unit * unit), np.float32(MAX_TEXTURE * unit * unit))
    change, weight = np.zeros_like(plane), np.ones_like(plane)
    for other in others:
        difference = other - plane
        squared = np.square(difference)
        mismatch = np.maximum(_blur(squared), np.float32(OWN) * squared)
        share = np.maximum(texture - np.float32(UNLIKE) * mismatch, 0) / (texture + np.float32(PENALTY) * mismatch)
        change += share * difference
        weight += share
    return np.asarray(plane + change / weight)


def _blur(plane: Plane) -> Plane:
    return np.asarray(cv2.blur(cv2.blur(plane, (WINDOW, WINDOW)), (WINDOW, WINDOW)))


@njit(cache=True, fastmath=True, nogil=True)
def warp_rows(coefficients, flow, first, last):  # type: ignore[no-untyped-def]
    """Return rows ``first`` to ``last`` of a plane warped by ``flow``.

    ``coefficients`` are the spline coefficients of the plane. ``flow`` may have any size. Faint motion is damped.
    """
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
            kept = squared / (squared + F32(FAINT_MOTION**4))
            result[row - first, col] = sample_spline(coefficients, F32(col) + sx * kept * u, F32(row) + sy * kept * v)
    return result
