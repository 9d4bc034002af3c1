"""Two frames warped to a moment between them, and mixed.

Sampling is by cubic B-splines through the pixels (Unser, "Splines: a perfect fit for signal and image processing",
1999): sharper than a cubic convolution at the same sixteen samples.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Plane = NDArray[Any]  # float32, h x w

F32, U64 = np.float32, np.uint64

_POLE = math.sqrt(3) - 2
_TAPS = np.array([_POLE ** abs(k) for k in range(-6, 7)])
_TAPS /= _TAPS.sum()


def spline(plane: Plane) -> Plane:
    """Coefficients whose cubic B-spline goes through the pixels of ``plane``."""
    return np.asarray(cv2.sepFilter2D(plane, cv2.CV_32F, _TAPS, _TAPS, borderType=cv2.BORDER_REFLECT_101))


# Kernels compute in float32 and index with unsigned integers: float64 and the check for negative indices, as Python's
# rules ask for, more than double their time.


@njit(inline="always")
def between_pixels(position, length):  # type: ignore[no-untyped-def]
    """The two pixels of a row of ``length`` around ``position``, held inside, and how far it is from the first."""
    held = min(max(position, F32(0)), F32(length - 1))
    first = U64(held)
    return first, min(first + U64(1), U64(length - 1)), held - F32(first)


@njit(inline="always")
def linear(plane, x, y):  # type: ignore[no-untyped-def]
    """The plane's value at (x, y), linear between pixels, held inside the picture."""
    h, w = plane.shape
    x0, x1, fx = between_pixels(x, w)
    y0, y1, fy = between_pixels(y, h)
    upper = plane[y0, x0] + fx * (plane[y0, x1] - plane[y0, x0])
    lower = plane[y1, x0] + fx * (plane[y1, x1] - plane[y1, x0])
    return upper + fy * (lower - upper)


@njit(inline="always")
def _four_pixels(position, length):  # type: ignore[no-untyped-def]
    """The four pixels around ``position``; beyond the border the picture is mirrored, as for its coefficients."""
    at = int(position)
    return (
        U64(min(abs(at - 1), length - 1)),
        U64(at),
        U64(max(length - 1 - abs(length - 2 - at), 0)),
        U64(max(length - 1 - abs(length - 3 - at), 0)),
    )


@njit(inline="always")
def _weights(f):  # type: ignore[no-untyped-def]
    """Cubic B-spline at the four pixels around a position ``f`` behind the second of them."""
    rest = F32(1) - f
    k0 = rest * rest * rest * F32(1 / 6)
    k1 = (f - F32(2)) * f * f * F32(0.5) + F32(2 / 3)
    k3 = f * f * f * F32(1 / 6)
    return k0, k1, F32(1) - k0 - k1 - k3, k3


@njit(inline="always")
def _sample(c, x, y):  # type: ignore[no-untyped-def]
    """The value at (x, y), held inside the picture, of the spline with coefficients ``c``."""
    h, w = c.shape
    x, y = min(max(x, F32(0)), F32(w - 1)), min(max(y, F32(0)), F32(h - 1))
    x0, x1, x2, x3 = _four_pixels(x, w)
    y0, y1, y2, y3 = _four_pixels(y, h)
    f0, f1, f2, f3 = _weights(x - F32(x1))
    g0, g1, g2, g3 = _weights(y - F32(y1))
    return (
        g0 * (f0 * c[y0, x0] + f1 * c[y0, x1] + f2 * c[y0, x2] + f3 * c[y0, x3])
        + g1 * (f0 * c[y1, x0] + f1 * c[y1, x1] + f2 * c[y1, x2] + f3 * c[y1, x3])
        + g2 * (f0 * c[y2, x0] + f1 * c[y2, x1] + f2 * c[y2, x2] + f3 * c[y2, x3])
        + g3 * (f0 * c[y3, x0] + f1 * c[y3, x1] + f2 * c[y3, x2] + f3 * c[y3, x3])
    )


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def mismatch(a, b, motion, phase):  # type: ignore[no-untyped-def]
    """Absolute difference of the two pictures, each sampled where ``motion`` says the moment ``phase`` comes from."""
    h, w = a.shape
    back, forth = F32(phase), F32(1 - phase)
    result = np.empty((h, w), np.float32)
    for row in prange(h):
        for col in range(w):
            u, v = motion[row, col, 0], motion[row, col, 1]
            from_a = linear(a, F32(col) - back * u, F32(row) - back * v)
            from_b = linear(b, F32(col) + forth * u, F32(row) + forth * v)
            result[row, col] = abs(from_a - from_b)
    return result


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def render(a, b, spline_a, spline_b, pin, field, phase):  # type: ignore[no-untyped-def]
    """The plane at ``phase`` between ``a`` and ``b``.

    ``field`` is h x w x 4 at any size: motion x and y over the interval in its own pixels, share of ``b``, share of
    the plain mean. ``pin`` is the least share of the plain mean at each pixel.
    """
    h, w = a.shape
    fh, fw = field.shape[:2]
    sx, sy = F32(w / fw), F32(h / fh)
    back, forth = F32(phase), F32(1 - phase)
    result = np.empty((h, w), np.float32)
    for row in prange(h):
        y0, y1, fy = between_pixels((F32(row) + F32(0.5)) / sy - F32(0.5), fh)
        line = np.empty((fw, 4), np.float32)  # the field at this row
        for x in range(fw):
            for n in range(4):
                line[x, n] = field[y0, x, n] + fy * (field[y1, x, n] - field[y0, x, n])
        for col in range(w):
            x0, x1, fx = between_pixels((F32(col) + F32(0.5)) / sx - F32(0.5), fw)
            u = sx * (line[x0, 0] + fx * (line[x1, 0] - line[x0, 0]))
            v = sy * (line[x0, 1] + fx * (line[x1, 1] - line[x0, 1]))
            share = line[x0, 2] + fx * (line[x1, 2] - line[x0, 2])
            plain = max(line[x0, 3] + fx * (line[x1, 3] - line[x0, 3]), pin[row, col])
            from_a = _sample(spline_a, F32(col) - back * u, F32(row) - back * v)
            from_b = _sample(spline_b, F32(col) + forth * u, F32(row) + forth * v)
            moved = from_a + share * (from_b - from_a)
            mean = a[row, col] + back * (b[row, col] - a[row, col])
            result[row, col] = moved + plain * (mean - moved)
    return result
