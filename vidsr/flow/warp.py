"""Two frames warped to a moment between them, and mixed.

Sampling is by cubic B-splines through the pixels (Unser, "Splines: a perfect fit for signal and image processing",
1999): sharper than a cubic convolution at the same sixteen samples.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Field = NDArray[np.float32]

_POLE = math.sqrt(3) - 2
_TAPS = np.array([_POLE ** abs(k) for k in range(-6, 7)])
_TAPS /= _TAPS.sum()


def spline(plane: Plane) -> Plane:
    """Coefficients whose cubic B-spline goes through the pixels of ``plane``."""
    return np.asarray(cv2.sepFilter2D(plane, cv2.CV_32F, _TAPS, _TAPS, borderType=cv2.BORDER_REFLECT_101))


@njit(inline="always")
def _sample(coefficients, x, y):  # type: ignore[no-untyped-def]
    """The spline's value at (x, y), held inside the picture."""
    h, w = coefficients.shape
    x, y = min(max(x, 0.0), w - 1.0), min(max(y, 0.0), h - 1.0)
    x1, y1 = int(x), int(y)
    f, g = x - x1, y - y1
    f0, f1, f3 = (1 - f) ** 3 / 6, (f - 2) * f * f / 2 + 2 / 3, f * f * f / 6
    g0, g1, g3 = (1 - g) ** 3 / 6, (g - 2) * g * g / 2 + 2 / 3, g * g * g / 6
    f2, g2 = 1 - f0 - f1 - f3, 1 - g0 - g1 - g3
    # beyond the border the picture is mirrored, as it was for its coefficients
    x0, y0 = min(abs(x1 - 1), w - 1), min(abs(y1 - 1), h - 1)
    x2, y2 = max(w - 1 - abs(w - 2 - x1), 0), max(h - 1 - abs(h - 2 - y1), 0)
    x3, y3 = max(w - 1 - abs(w - 3 - x1), 0), max(h - 1 - abs(h - 3 - y1), 0)
    total = 0.0
    for row, weight in ((y0, g0), (y1, g1), (y2, g2), (y3, g3)):
        line = coefficients[row]
        total += weight * (f0 * line[x0] + f1 * line[x1] + f2 * line[x2] + f3 * line[x3])
    return total


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def mismatch(a, b, motion, phase):  # type: ignore[no-untyped-def]
    """Absolute difference of the two pictures, each sampled where ``motion`` says the moment ``phase`` comes from."""
    h, w = a.shape
    result = np.empty((h, w), np.float32)
    for row in prange(h):
        for col in range(w):
            u, v = motion[row, col, 0], motion[row, col, 1]
            from_a = _linear(a, col - phase * u, row - phase * v)
            from_b = _linear(b, col + (1 - phase) * u, row + (1 - phase) * v)
            result[row, col] = abs(from_a - from_b)
    return result


@njit(inline="always")
def _linear(plane, x, y):  # type: ignore[no-untyped-def]
    """The plane's value at (x, y), linear between pixels, held inside the picture."""
    h, w = plane.shape
    x, y = min(max(x, 0.0), w - 1.0), min(max(y, 0.0), h - 1.0)
    x0, y0 = int(x), int(y)
    x1, y1 = min(x0 + 1, w - 1), min(y0 + 1, h - 1)
    fx, fy = x - x0, y - y0
    upper = (1 - fx) * plane[y0, x0] + fx * plane[y0, x1]
    lower = (1 - fx) * plane[y1, x0] + fx * plane[y1, x1]
    return (1 - fy) * upper + fy * lower


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def render(a, b, spline_a, spline_b, pin, field, phase):  # type: ignore[no-untyped-def]
    """The plane at ``phase`` between ``a`` and ``b``.

    ``field`` is h x w x 4 at any size: motion x and y over the interval in its own pixels, share of ``b``, share of
    the plain mean. ``pin`` is the least share of the plain mean at each pixel.
    """
    h, w = a.shape
    fh, fw = field.shape[:2]
    sx, sy = w / fw, h / fh
    result = np.empty((h, w), np.float32)
    for row in prange(h):
        y = min(max((row + 0.5) / sy - 0.5, 0.0), fh - 1.0)
        y0 = int(y)
        y1, fy = min(y0 + 1, fh - 1), y - y0
        for col in range(w):
            x = min(max((col + 0.5) / sx - 0.5, 0.0), fw - 1.0)
            x0 = int(x)
            x1, fx = min(x0 + 1, fw - 1), x - x0
            k00, k01, k10, k11 = (1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx
            f00, f01, f10, f11 = field[y0, x0], field[y0, x1], field[y1, x0], field[y1, x1]
            u = sx * (k00 * f00[0] + k01 * f01[0] + k10 * f10[0] + k11 * f11[0])
            v = sy * (k00 * f00[1] + k01 * f01[1] + k10 * f10[1] + k11 * f11[1])
            share = k00 * f00[2] + k01 * f01[2] + k10 * f10[2] + k11 * f11[2]
            plain = k00 * f00[3] + k01 * f01[3] + k10 * f10[3] + k11 * f11[3]
            from_a = _sample(spline_a, col - phase * u, row - phase * v)
            from_b = _sample(spline_b, col + (1 - phase) * u, row + (1 - phase) * v)
            moved = from_a + share * (from_b - from_a)
            mean = a[row, col] + phase * (b[row, col] - a[row, col])
            result[row, col] = moved + max(plain, pin[row, col]) * (mean - moved)
    return result
