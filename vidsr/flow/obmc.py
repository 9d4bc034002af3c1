"""Both frames as they are expected at a moment between them, where it is not sure which motion holds.

Each pixel follows its own motion and, as in overlapped block motion compensation (Orchard and Sullivan, IEEE
Transactions on Image Processing, 1994), the motions found around it; the pictures are averaged by how well the two
frames agree along each. Where one motion explains the pair, it alone counts; where several do, their mean is off by
less than any of them.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from vidsr.flow.warp import F32, between_pixels, linear, sample

Plane = NDArray[Any]  # float32, h x w
Ways = NDArray[Any]  # float32, h x w x 4, in pixels of its own: to the first frame, to the second

# Chosen on clips of the training set (train/LOG.md).
_STRAIGHT = [(step * x, step * y) for step in (2, 4) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))]
_DIAGONAL = [(x, y) for x in (-3, 3) for y in (-3, 3)]
AROUND = np.array([(0, 0), *_STRAIGHT, *_DIAGONAL], np.float32)  # x and y, in pixels of the field
WINDOW = 5  # pixels over which frames are compared
NOISE = 2.0  # code values of mismatch that mean nothing


def chances(a: Plane, b: Plane, ways: Ways) -> NDArray[Any]:
    """How far the motion at each of `AROUND` holds, h x w x 13 at the size of ``ways``, adding up to 1.

    It falls with the fourth power of the mismatch. ``a`` and ``b``: 8-bit luma, float32, at any size.
    """
    size = ways.shape[1::-1]
    weights = []
    for missed in _mismatches(a, b, ways, AROUND):
        squared = np.square(cv2.blur(missed, (WINDOW, WINDOW)) + np.float32(NOISE))
        weights.append(cv2.resize(1 / np.square(squared), size, interpolation=cv2.INTER_AREA))
    stack = np.dstack(weights)
    return np.asarray(stack / stack.sum(-1, keepdims=True))


@njit(inline="always")
def _row_of(planes, y):  # type: ignore[no-untyped-def]
    """The row at ``y`` of h x w x N, linear between rows, held inside."""
    h, w, count = planes.shape
    y0, y1, fy = between_pixels(y, h)
    row = np.empty((w, count), np.float32)
    for x in range(w):
        for n in range(count):
            row[x, n] = planes[y0, x, n] + fy * (planes[y1, x, n] - planes[y0, x, n])
    return row


@njit(inline="always")
def _way(row, x):  # type: ignore[no-untyped-def]
    """The four numbers at ``x`` of a row of ways, linear between pixels, held inside."""
    x0, x1, fx = between_pixels(x, row.shape[0])
    p, q = row[x0], row[x1]
    return p[0] + fx * (q[0] - p[0]), p[1] + fx * (q[1] - p[1]), p[2] + fx * (q[2] - p[2]), p[3] + fx * (q[3] - p[3])


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def _mismatches(a, b, ways, around):  # type: ignore[no-untyped-def]
    """Absolute difference of the frames along the motion found at each of ``around``, K x h x w."""
    h, w = a.shape
    sx, sy = F32(w / ways.shape[1]), F32(h / ways.shape[0])
    result = np.empty((len(around), h, w), np.float32)
    for row in prange(h):
        y = (F32(row) + F32(0.5)) / sy - F32(0.5)
        for n in range(len(around)):
            line = _row_of(ways, y + around[n, 1])
            for col in range(w):
                au, av, bu, bv = _way(line, (F32(col) + F32(0.5)) / sx - F32(0.5) + around[n, 0])
                from_a = linear(a, F32(col) + sx * au, F32(row) + sy * av)
                from_b = linear(b, F32(col) + sx * bu, F32(row) + sy * bv)
                result[n, row, col] = abs(from_a - from_b)
    return result


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def expected(spline_a, spline_b, ways, chances, around):  # type: ignore[no-untyped-def]
    """Both planes along ``ways`` and the motions ``around``, 2 x h x w, averaged by their ``chances``."""
    h, w = spline_a.shape
    fh, fw = ways.shape[:2]
    sx, sy = F32(w / fw), F32(h / fh)
    result = np.zeros((2, h, w), np.float32)
    for row in prange(h):
        y = (F32(row) + F32(0.5)) / sy - F32(0.5)
        odds = _row_of(chances, y)
        for n in range(len(around)):
            line = _row_of(ways, y + around[n, 1])
            for col in range(w):
                x = (F32(col) + F32(0.5)) / sx - F32(0.5)
                x0, x1, fx = between_pixels(x, fw)
                chance = odds[x0, n] + fx * (odds[x1, n] - odds[x0, n])
                au, av, bu, bv = _way(line, x + around[n, 0])
                result[0, row, col] += chance * sample(spline_a, F32(col) + sx * au, F32(row) + sy * av)
                result[1, row, col] += chance * sample(spline_b, F32(col) + sx * bu, F32(row) + sy * bv)
    return result
