"""Overlapped block motion compensation (OBMC), for places where the motion is uncertain.

Orchard and Sullivan, "Overlapped block motion compensation: an estimation-theoretic approach", IEEE Transactions on
Image Processing, 1994. Each pixel is warped by its own displacement and by those found around it. The results are
averaged by how well the two frames match along each. Where one displacement explains the pair, it alone counts. Where
several do, their mean has a smaller error than each of them.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from vidsr.flow.search import resize_displacements
from vidsr.flow.warp import F32, add_spline_row, between_pixels, columns_between, sample_linear_row, widened_rows
from vidsr.kernels.workers import in_parallel, strips

Plane = NDArray[Any]  # float32, h x w
Displacements = NDArray[Any]  # float32, h x w x 4, in its own pixels: x, y to the first frame; x, y to the second

# Chosen on clips of the training set (train/LOG.md).
# Offsets x, y, in pixels of the field. Twelve neighbours instead of four gain 0.01 dB in three times the time.
NEIGHBOURHOOD = np.array([(0, 0), (-3, -3), (-3, 3), (3, -3), (3, 3)], np.float32)
WINDOW = 3  # pixels of the field over which frames are compared
SAME = 0.1  # pixels of the plane: a displacement that differs less from the pixel's own counts as that one
NOISE = 2.0  # code values of mismatch that noise explains


def obmc_weights(a: Plane, b: Plane, displacements: Displacements) -> NDArray[Any]:
    """Return the weight of the displacement at each offset of `NEIGHBOURHOOD`.

    The result is h x w x 5 with sum 1. The weight falls with the fourth power of the mismatch. ``a`` and ``b`` are
    8-bit luma in float32, at the size of ``displacements``.
    """
    mismatches = _mismatches(a, b, displacements, NEIGHBOURHOOD.astype(np.int32))
    for mismatch in mismatches:
        cv2.blur(mismatch, (WINDOW, WINDOW), dst=mismatch)
    return np.asarray(_weights(mismatches))


@njit(cache=True, fastmath=True, nogil=True)
def _mismatches(a, b, displacements, shifts):  # type: ignore[no-untyped-def]
    """Return the mismatch of the frames by the displacement at each of ``shifts``, K x h x w.

    ``displacements`` and ``shifts`` are at the size and in pixels of the frames.
    """
    h, w = a.shape
    result = np.empty((len(shifts), h, w), np.float32)
    rows, shares, at = np.empty((6, w), np.float32), np.empty((2, w), np.float32), np.empty(w, np.int32)
    ax, ay, bx, by, from_a, from_b = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5]
    for row in range(h):
        for n in range(len(shifts)):
            y = min(max(row + shifts[n, 1], 0), h - 1)
            for col in range(w):
                there = displacements[y, min(max(col + shifts[n, 0], 0), w - 1)]
                ax[col], ay[col] = F32(col) + there[0], F32(row) + there[1]
                bx[col], by[col] = F32(col) + there[2], F32(row) + there[3]
            sample_linear_row(a, ax, ay, shares, at, from_a)
            sample_linear_row(b, bx, by, shares, at, from_b)
            for col in range(w):
                result[n, row, col] = abs(from_a[col] - from_b[col])
    return result


@njit(cache=True, fastmath=True, nogil=True)
def _weights(mismatches):  # type: ignore[no-untyped-def]
    """Return the weight of each of K ``mismatches`` (K x h x w), h x w x K with sum 1."""
    count, h, w = mismatches.shape
    result = np.empty((h, w, count), np.float32)
    for row in range(h):
        for col in range(w):
            total = F32(0)
            for n in range(count):
                squared = (mismatches[n, row, col] + F32(NOISE)) * (mismatches[n, row, col] + F32(NOISE))
                result[row, col, n] = F32(1) / (squared * squared)
                total += result[row, col, n]
            share = F32(1) / total
            for n in range(count):
                result[row, col, n] *= share
    return result


def _at_size(
    displacements: Displacements, offsets: NDArray[Any], size: tuple[int, ...]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return ``displacements`` at ``size`` (height, width), and ``offsets`` in whole pixels of that size.

    The displacements are 4 x height x width, with as many columns repeated at each border as offsets reach across.
    """
    h, w = displacements.shape[:2]
    shifts = np.rint(offsets * np.array([size[1] / w, size[0] / h])).astype(np.int32)
    planes, reach = cv2.split(resize_displacements(displacements, size)), int(np.abs(shifts[:, 0]).max())
    return np.stack([cv2.copyMakeBorder(p, 0, 0, reach, reach, cv2.BORDER_REPLICATE) for p in planes]), shifts


def obmc_predict(
    spline_a: Plane, spline_b: Plane, displacements: Displacements, weights: NDArray[Any], offsets: NDArray[Any]
) -> NDArray[Any]:
    """Return both planes, 2 x h x w, by overlapped block motion compensation.

    Each is warped by the displacements at all ``offsets`` and averaged by ``weights``.
    """
    h, w = spline_a.shape
    result = np.zeros((2, h, w), np.float32)
    fine, shifts = _at_size(displacements, offsets, (h, w))

    def work(rows: tuple[int, int]) -> None:
        _predict_rows(spline_a, spline_b, fine, weights, shifts, result, *rows)

    in_parallel(work, strips(h, w))
    return result


@njit(cache=True, fastmath=True, nogil=True)
def _predict_rows(spline_a, spline_b, displacements, weights, shifts, result, first, last):  # type: ignore[no-untyped-def]
    """Add rows ``first`` to ``last`` of `obmc_predict` to ``result``, which holds zeros.

    ``displacements`` and ``shifts`` (the offsets) are those of `_at_size`.
    """
    h, w = spline_a.shape
    fh, fw, count = weights.shape
    sy, reach = F32(h / fh), (displacements.shape[2] - w) // 2
    wide, held = np.empty((2, count, w), np.float32), np.full(2, -1)  # for `widened_rows`
    rows, scratch, at = np.empty((6, w), np.float32), np.empty((8, w), np.float32), np.empty(w, np.int32)
    ax, ay, bx, by, weight, own = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5]
    lefts, rights, shares = columns_between(w, fw)
    for row in range(first, last):
        y0, y1, fy = between_pixels((F32(row) + F32(0.5)) / sy - F32(0.5), fh)
        upper, lower = widened_rows(weights, y0, y1, lefts, rights, shares, wide, held)
        here_ax, here_ay, here_bx, here_by = _lines(displacements, row, reach, w)
        own[:] = 0
        for n in range(count - 1, -1, -1):  # the first is a pixel's own
            y, left = min(max(row + shifts[n, 1], 0), h - 1), reach + shifts[n, 0]
            there_ax, there_ay, there_bx, there_by = _lines(displacements, y, left, w)
            first_share, second_share, most = upper[n], lower[n], F32(0)
            for col in range(w):
                share = first_share[col] + fy * (second_share[col] - first_share[col])
                across = max(abs(there_ax[col] - here_ax[col]), abs(there_bx[col] - here_bx[col]))
                down = max(abs(there_ay[col] - here_ay[col]), abs(there_by[col] - here_by[col]))
                other = F32(0) if max(across, down) < F32(SAME) else share
                own[col] += share - other
                most = max(most, other)
                weight[col] = other
            if most == 0 and n > 0:
                continue  # all pixels of most rows move as one
            for col in range(w):
                ax[col], ay[col] = F32(col) + there_ax[col], F32(row) + there_ay[col]
                bx[col], by[col] = F32(col) + there_bx[col], F32(row) + there_by[col]
            counts = own if n == 0 else weight
            add_spline_row(spline_a, ax, ay, counts, scratch, at, result[0, row])
            add_spline_row(spline_b, bx, by, counts, scratch, at, result[1, row])


@njit(inline="always")
def _lines(displacements, row, left, w):  # type: ignore[no-untyped-def]
    """Return ``w`` columns, from ``left`` on, of each plane of ``displacements`` at ``row``."""
    return (
        displacements[0, row, left : left + w],
        displacements[1, row, left : left + w],
        displacements[2, row, left : left + w],
        displacements[3, row, left : left + w],
    )
