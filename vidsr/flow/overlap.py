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
POWER = 4  # of the mismatch, by which a motion counts less


def chances(a: Plane, b: Plane, ways: Ways) -> NDArray[Any]:
    """How far the motion at each of `AROUND` holds, h x w x 13 at the size of ``ways``, adding up to 1.

    ``a`` and ``b``: 8-bit luma, float32, at any size.
    """
    size = ways.shape[1::-1]
    weights = [
        cv2.resize((cv2.blur(missed, (WINDOW, WINDOW)) + NOISE) ** -POWER, size, interpolation=cv2.INTER_AREA)
        for missed in _mismatches(a, b, ways, AROUND)
    ]
    stack = np.dstack(weights)
    return np.asarray(stack / stack.sum(-1, keepdims=True))


@njit(inline="always")
def _way(ways, x, y):  # type: ignore[no-untyped-def]
    """The four numbers of ``ways`` at (x, y), linear between pixels, held inside."""
    h, w = ways.shape[:2]
    x0, x1, fx = between_pixels(x, w)
    y0, y1, fy = between_pixels(y, h)
    k00, k01, k10, k11 = (F32(1) - fy) * (F32(1) - fx), (F32(1) - fy) * fx, fy * (F32(1) - fx), fy * fx
    p, q, r, s = ways[y0, x0], ways[y0, x1], ways[y1, x0], ways[y1, x1]
    return (
        k00 * p[0] + k01 * q[0] + k10 * r[0] + k11 * s[0],
        k00 * p[1] + k01 * q[1] + k10 * r[1] + k11 * s[1],
        k00 * p[2] + k01 * q[2] + k10 * r[2] + k11 * s[2],
        k00 * p[3] + k01 * q[3] + k10 * r[3] + k11 * s[3],
    )


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def _mismatches(a, b, ways, around):  # type: ignore[no-untyped-def]
    """Absolute difference of the frames along the motion found at each of ``around``, K x h x w."""
    h, w = a.shape
    sx, sy = F32(w / ways.shape[1]), F32(h / ways.shape[0])
    result = np.empty((len(around), h, w), np.float32)
    for row in prange(h):
        y = (F32(row) + F32(0.5)) / sy - F32(0.5)
        for n in range(len(around)):
            for col in range(w):
                x = (F32(col) + F32(0.5)) / sx - F32(0.5)
                au, av, bu, bv = _way(ways, x + around[n, 0], y + around[n, 1])
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
    result = np.empty((2, h, w), np.float32)
    for row in prange(h):
        y = (F32(row) + F32(0.5)) / sy - F32(0.5)
        y0, y1, fy = between_pixels(y, fh)
        line = np.empty((fw, len(around)), np.float32)  # the chances at this row
        for k in range(fw):
            for n in range(len(around)):
                line[k, n] = chances[y0, k, n] + fy * (chances[y1, k, n] - chances[y0, k, n])
        for col in range(w):
            x = (F32(col) + F32(0.5)) / sx - F32(0.5)
            x0, x1, fx = between_pixels(x, fw)
            from_a, from_b = F32(0), F32(0)
            for n in range(len(around)):
                au, av, bu, bv = _way(ways, x + around[n, 0], y + around[n, 1])
                chance = line[x0, n] + fx * (line[x1, n] - line[x0, n])
                from_a += chance * sample(spline_a, F32(col) + sx * au, F32(row) + sy * av)
                from_b += chance * sample(spline_b, F32(col) + sx * bu, F32(row) + sy * bv)
            result[0, row, col], result[1, row, col] = from_a, from_b
    return result
