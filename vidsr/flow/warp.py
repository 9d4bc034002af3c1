"""Backward warping of two frames to a phase between them, and their blend.

Sampling is by cubic B-splines through the pixels (Unser, "Splines: a perfect fit for signal and image processing",
1999): sharper than a cubic convolution with the same sixteen samples.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

import vidsr.kernels.jit  # noqa: F401  # chooses the cache folder of Numba before any flow kernel is compiled
from vidsr.kernels.workers import in_parallel, strips

Plane = NDArray[Any]  # float32, h x w

F32, I32, U64 = np.float32, np.int32, np.uint64

_POLE = math.sqrt(3) - 2
_TAPS = np.array([_POLE ** abs(k) for k in range(-6, 7)])
_TAPS /= _TAPS.sum()


def spline_coefficients(plane: Plane) -> Plane:
    """Return the coefficients of the cubic B-spline through the pixels of ``plane``."""
    return np.asarray(cv2.sepFilter2D(plane, cv2.CV_32F, _TAPS, _TAPS, borderType=cv2.BORDER_REFLECT_101))


# Kernels compute in float32 and index with unsigned integers: float64 and Python's check for negative indices more than
# double their time.


@njit(inline="always")
def between_pixels(position, length):  # type: ignore[no-untyped-def]
    """Return the two pixels around ``position``, and its distance from the first.

    Positions are clamped to a row of ``length`` pixels.
    """
    clamped = min(max(position, F32(0)), F32(length - 1))
    first = U64(clamped)
    return first, min(first + U64(1), U64(length - 1)), clamped - F32(first)


@njit(inline="always")
def columns_between(width, field_width):  # type: ignore[no-untyped-def]
    """Return `between_pixels` of a field for each of ``width`` columns of a plane, the same in all rows."""
    lefts, rights, shares = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.float32)
    scale = F32(width / field_width)
    for col in range(width):
        left, right, shares[col] = between_pixels((F32(col) + F32(0.5)) / scale - F32(0.5), field_width)
        lefts[col], rights[col] = I32(left), I32(right)
    return lefts, rights, shares


@njit(inline="always")
def widened_rows(field, y0, y1, lefts, rights, shares, wide, held):  # type: ignore[no-untyped-def]
    """Return rows ``y0`` and ``y1``, equal or neighbours, of a field (h x w x n) at all columns of a plane, n x W each.

    ``wide`` (2 x n x W) keeps two rows for the next call, ``held`` (2 integers, -1 at first) their numbers; ``lefts``,
    ``rights`` and ``shares`` are those of `columns_between`.
    """
    for y in (y0, y1):
        if held[y % 2] != y:
            held[y % 2], line, row = y, field[y], wide[y % 2]
            for col in range(len(lefts)):
                left, right, fx = line[U64(lefts[col])], line[U64(rights[col])], shares[col]
                for n in range(len(row)):
                    row[n, col] = left[n] + fx * (right[n] - left[n])
    return wide[y0 % 2], wide[y1 % 2]


@njit(inline="always")
def sample_linear(plane, x, y):  # type: ignore[no-untyped-def]
    """Return the bilinear value of ``plane`` at (x, y), clamped to the frame."""
    h, w = plane.shape
    x0, x1, fx = between_pixels(x, w)
    y0, y1, fy = between_pixels(y, h)
    upper = plane[y0, x0] + fx * (plane[y0, x1] - plane[y0, x0])
    lower = plane[y1, x0] + fx * (plane[y1, x1] - plane[y1, x0])
    return upper + fy * (lower - upper)


@njit(inline="always")
def _four_pixels(position, length):  # type: ignore[no-untyped-def]
    """Return the four pixels around ``position``, mirrored at the border as for the coefficients."""
    at = int(position)
    return (
        U64(min(abs(at - 1), length - 1)),
        U64(at),
        U64(max(length - 1 - abs(length - 2 - at), 0)),
        U64(max(length - 1 - abs(length - 3 - at), 0)),
    )


@njit(inline="always")
def _spline_weights(f):  # type: ignore[no-untyped-def]
    """Return the cubic B-spline weights of four pixels.

    ``f`` is the distance of the position from the second pixel.
    """
    rest = F32(1) - f
    k0 = rest * rest * rest * F32(1 / 6)
    k1 = (f - F32(2)) * f * f * F32(0.5) + F32(2 / 3)
    k3 = f * f * f * F32(1 / 6)
    return k0, k1, F32(1) - k0 - k1 - k3, k3


@njit(inline="always")
def sample_spline(c, x, y):  # type: ignore[no-untyped-def]
    """Return the value at (x, y), clamped, of the spline with coefficients ``c``."""
    h, w = c.shape
    x, y = min(max(x, F32(0)), F32(w - 1)), min(max(y, F32(0)), F32(h - 1))
    x0, x1, x2, x3 = _four_pixels(x, w)
    y0, y1, y2, y3 = _four_pixels(y, h)
    f0, f1, f2, f3 = _spline_weights(x - F32(x1))
    g0, g1, g2, g3 = _spline_weights(y - F32(y1))
    return (
        g0 * (f0 * c[y0, x0] + f1 * c[y0, x1] + f2 * c[y0, x2] + f3 * c[y0, x3])
        + g1 * (f0 * c[y1, x0] + f1 * c[y1, x1] + f2 * c[y1, x2] + f3 * c[y1, x3])
        + g2 * (f0 * c[y2, x0] + f1 * c[y2, x1] + f2 * c[y2, x2] + f3 * c[y2, x3])
        + g3 * (f0 * c[y3, x0] + f1 * c[y3, x1] + f2 * c[y3, x2] + f3 * c[y3, x3])
    )


@njit(inline="always")
def add_spline_row(c, x, y, factor, taps, first, value):  # type: ignore[no-untyped-def]
    """Add ``factor`` times the values at (x, y), as `sample_spline` returns them, to a row ``value``.

    It takes less than half the time of `sample_spline` at each: the first loop runs on vectors of pixels, the second on
    vectors of taps. Positions of factor 0 are skipped. ``taps`` (8 x w float32) and ``first`` (w int32) are
    overwritten. ``c`` must be contiguous.
    """
    h, w = I32(c.shape[0]), I32(c.shape[1])
    flat = c.reshape(-1)
    for n in range(len(x)):
        px, py = min(max(x[n], F32(0)), F32(w - I32(1))), min(max(y[n], F32(0)), F32(h - I32(1)))
        ix, iy = I32(px), I32(py)
        taps[0, n], taps[1, n], taps[2, n], taps[3, n] = _spline_weights(px - F32(ix))
        taps[4, n], taps[5, n], taps[6, n], taps[7, n] = _spline_weights(py - F32(iy))
        inside = (I32(1) <= ix) & (ix < w - I32(2)) & (I32(1) <= iy) & (iy < h - I32(2))
        first[n] = (iy - I32(1)) * w + ix - I32(1) if inside else I32(-1)
    one, two, three = U64(1), U64(2), U64(3)
    for n in range(len(x)):
        if factor[n] == 0:
            continue
        if first[n] >= 0:
            f0, f1, f2, f3 = taps[0, n], taps[1, n], taps[2, n], taps[3, n]
            g0, g1, g2, g3 = taps[4, n], taps[5, n], taps[6, n], taps[7, n]
            p = U64(first[n])
            q, r, s = p + U64(w), p + U64(w) * two, p + U64(w) * three
            v0 = g0 * flat[p] + g1 * flat[q] + g2 * flat[r] + g3 * flat[s]
            v1 = g0 * flat[p + one] + g1 * flat[q + one] + g2 * flat[r + one] + g3 * flat[s + one]
            v2 = g0 * flat[p + two] + g1 * flat[q + two] + g2 * flat[r + two] + g3 * flat[s + two]
            v3 = g0 * flat[p + three] + g1 * flat[q + three] + g2 * flat[r + three] + g3 * flat[s + three]
            value[n] += factor[n] * (f0 * v0 + f1 * v1 + f2 * v2 + f3 * v3)
        else:
            value[n] += factor[n] * sample_spline(c, x[n], y[n])


@njit(inline="always")
def corners_row(h, w, x, y, shares, first):  # type: ignore[no-untyped-def]
    """Write the upper left of the four pixels around each position of a row, for `between_corners`.

    Positions are clamped to a plane of ``h`` x ``w``, at least 2 x 2. ``first`` (int32) is the index of the pixel,
    ``shares`` (2 x float32) the distance from it, across and down.
    """
    h, w = I32(h), I32(w)
    for n in range(len(x)):  # on vectors of pixels
        px, py = min(max(x[n], F32(0)), F32(w - I32(1))), min(max(y[n], F32(0)), F32(h - I32(1)))
        ix, iy = min(I32(px), w - I32(2)), min(I32(py), h - I32(2))
        shares[0, n], shares[1, n], first[n] = px - F32(ix), py - F32(iy), iy * w + ix


@njit(inline="always")
def between_corners(flat, upper, across, down, fx, fy):  # type: ignore[no-untyped-def]
    """Return the bilinear value between four elements of ``flat``, as `sample_linear` does.

    The first is at index ``upper``, its neighbours ``across`` and ``down`` further on, all of them U64.
    """
    lower = upper + down
    first = flat[upper] + fx * (flat[upper + across] - flat[upper])
    second = flat[lower] + fx * (flat[lower + across] - flat[lower])
    return first + fy * (second - first)


@njit(inline="always")
def sample_linear_row(plane, x, y, shares, first, value):  # type: ignore[no-untyped-def]
    """Write the values at (x, y), as `sample_linear` returns them, for a row of positions to ``value``.

    ``shares`` (2 x w float32) and ``first`` (w int32) are overwritten. ``plane`` must be contiguous, at least 2 x 2.
    """
    h, w = plane.shape
    flat = plane.reshape(-1)
    corners_row(h, w, x, y, shares, first)
    for n in range(len(x)):
        value[n] = between_corners(flat, U64(first[n]), U64(1), U64(w), shares[0, n], shares[1, n])


@njit(cache=True, fastmath=True, nogil=True)
def mismatch(a, b, displacements):  # type: ignore[no-untyped-def]
    """Return the absolute difference of ``a`` and ``b`` along ``displacements``.

    ``displacements``: h x w x 4, x and y to ``a``, x and y to ``b``.
    """
    h, w = a.shape
    result = np.empty((h, w), np.float32)
    rows, shares, at = np.empty((6, w), np.float32), np.empty((2, w), np.float32), np.empty(w, np.int32)
    ax, ay, bx, by, from_a, from_b = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5]
    for row in range(h):
        for col in range(w):
            there = displacements[row, col]
            ax[col], ay[col] = F32(col) + there[0], F32(row) + there[1]
            bx[col], by[col] = F32(col) + there[2], F32(row) + there[3]
        sample_linear_row(a, ax, ay, shares, at, from_a)
        sample_linear_row(b, bx, by, shares, at, from_b)
        for col in range(w):
            result[row, col] = abs(from_a[col] - from_b[col])
    return result


def render(
    a: Plane, b: Plane, spline_a: Plane, spline_b: Plane, mask: Plane, field: NDArray[Any], phase: float
) -> Plane:
    """Return the interpolated plane at ``phase`` between ``a`` and ``b``.

    ``field`` is h x w x 6 at any size: displacements to ``a`` and to ``b`` (x and y each, in its own pixels), weight of
    ``b``, static weight. The static weight is that of the mean of the unwarped frames; ``mask`` (at the size of the
    plane) is its lower limit.
    """
    result = np.empty_like(a)

    def work(rows: tuple[int, int]) -> None:
        _render_rows(a, b, spline_a, spline_b, mask, field, phase, result, *rows)

    in_parallel(work, strips(*a.shape))
    return result


@njit(cache=True, fastmath=True, nogil=True)
def _render_rows(a, b, spline_a, spline_b, mask, field, phase, result, first, last):  # type: ignore[no-untyped-def]
    """Write rows ``first`` to ``last`` of `render` to ``result``."""
    h, w = a.shape
    fh, fw = field.shape[:2]
    sx, sy = F32(w / fw), F32(h / fh)
    wide, held = np.empty((2, 6, w), np.float32), np.full(2, -1)  # for `widened_rows`
    rows, taps, at = np.empty((8, w), np.float32), np.empty((8, w), np.float32), np.empty(w, np.int32)
    ax, ay, bx, by, weight, static = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5]
    warped, ones = rows[6:], np.ones(w, np.float32)
    lefts, rights, shares = columns_between(w, fw)
    for row in range(first, last):
        y0, y1, fy = between_pixels((F32(row) + F32(0.5)) / sy - F32(0.5), fh)
        upper, lower = widened_rows(field, y0, y1, lefts, rights, shares, wide, held)
        for n in range(6):
            for col in range(w):
                rows[n, col] = upper[n, col] + fy * (lower[n, col] - upper[n, col])
        for col in range(w):
            ax[col], ay[col] = F32(col) + sx * ax[col], F32(row) + sy * ay[col]
            bx[col], by[col] = F32(col) + sx * bx[col], F32(row) + sy * by[col]
            static[col] = max(static[col], mask[row, col])
        warped[:] = 0
        add_spline_row(spline_a, ax, ay, ones, taps, at, warped[0])
        add_spline_row(spline_b, bx, by, ones, taps, at, warped[1])
        for col in range(w):
            value = warped[0, col] + weight[col] * (warped[1, col] - warped[0, col])
            mean = a[row, col] + F32(phase) * (b[row, col] - a[row, col])
            result[row, col] = value + static[col] * (mean - value)
