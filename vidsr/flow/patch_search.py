"""Dense inverse search on one level: patches of 8 x 8 pixels, then a flow field from their displacements.

Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016. Each patch starts from the best of a given
flow and its neighbours' displacements, and descends by Gauss-Newton steps. OpenCV's search takes steps of an eighth of
that (its gradients are not normalised), writes a field of the size of the frame, and takes about four times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from vidsr.flow.warp import F32, I32, U64, sample_linear

Luma = NDArray[Any]  # float32, 8-bit code values, h x w
Flow = NDArray[Any]  # float32, h x w x 2, x and y in its own pixels: displacement of a pixel of the first frame
Pyramid = Sequence[Luma]  # a frame, and each level at half the size of the one before

DESCENTS = 4  # most steps of a patch in each of two passes
PATCH = 8  # pixels of its side
BORDER = 16  # pixels beyond the frame that a patch may reach
LEAST_STEP = 0.02  # pixels: a patch that moves less has arrived
DAMPING = 16.0  # added to the squared slopes of a patch, in code values: a flat patch stays where it is
LEAST_DIFFERENCE = 1.0  # code values of mismatch below which all patches at a pixel weigh the same


def pyramid(luma: Luma, levels: int) -> list[Luma]:
    """Return ``luma`` at ``levels`` sizes, the first its own."""
    planes = [luma]
    while len(planes) < levels:
        planes.append(half(planes[-1]))
    return planes


def half(plane: NDArray[Any]) -> NDArray[Any]:
    """Return ``plane`` (h x w, or h x w x channels) at half the size."""
    h, w = plane.shape[:2]
    return np.asarray(cv2.resize(plane, (w // 2, h // 2), interpolation=cv2.INTER_AREA))


def search_levels(a: Pyramid, b: Pyramid, start: Flow, stride: int) -> Flow:
    """Return the flow from ``a`` to ``b``, searched from ``start`` on each level, the smallest first.

    ``start`` covers the frame at any size. The result has the size of the largest level.
    """
    flow = start
    for level in zip(reversed(a), reversed(b), strict=True):
        flow = patch_search(*level, flow, level, stride)
    return flow


def patch_search(a: Luma, b: Luma, start: Flow, grid: tuple[Luma, Luma], stride: int) -> Flow:
    """Return the flow from ``a`` to ``b``, searched from ``start`` on this level alone.

    ``grid``: both frames at the size of the result. ``stride``: pixels between patches.
    """
    across, down = (cv2.Sobel(a, cv2.CV_32F, *order, ksize=1, scale=0.5) for order in ((1, 0), (0, 1)))
    wide = cv2.copyMakeBorder(b, *(BORDER,) * 4, cv2.BORDER_REPLICATE)
    patches = _search(a, across, down, wide, start, stride)
    return np.asarray(_densify(*grid, patches, stride, F32(a.shape[1] / grid[0].shape[1]), *a.shape))


@njit(inline="always")
def _terms(a, across, down, wide, at, w, x, y):  # type: ignore[no-untyped-def]
    """Compare the patch of ``a`` that begins at index ``at`` with that of ``wide`` at column ``x`` and row ``y``.

    All planes are flat; ``w`` is the width of ``a``. Returns the sum of differences and of their squares, and the
    products of differences and slopes.
    """
    wide_w = w + I32(2 * BORDER)
    ix, iy = I32(x), I32(y)
    fx, fy = x - F32(ix), y - F32(iy)
    k00, k01, k10, k11 = (F32(1) - fx) * (F32(1) - fy), fx * (F32(1) - fy), (F32(1) - fx) * fy, fx * fy
    total, squares, along_x, along_y = F32(0), F32(0), F32(0), F32(0)
    p, q, one, below = U64(at), U64(iy * wide_w + ix), U64(1), U64(wide_w)
    for _ in range(PATCH):
        for col in range(U64(PATCH)):
            m = q + col
            value = k00 * wide[m] + k01 * wide[m + one] + k10 * wide[m + below] + k11 * wide[m + below + one]
            difference = value - a[p + col]
            total += difference
            squares += difference * difference
            along_x += difference * across[p + col]
            along_y += difference * down[p + col]
        p += U64(w)
        q += below
    return total, squares, along_x, along_y


@njit(cache=True, fastmath=True, nogil=True)
def _search(a, across, down, wide, start, stride):  # type: ignore[no-untyped-def]
    """Return the displacement of each patch, in pixels of ``a``."""
    h, w = a.shape
    fh, fw = start.shape[:2]
    sx, sy = F32(w / fw), F32(h / fh)
    ny, nx = -(-(h - PATCH) // stride) + 1, -(-(w - PATCH) // stride) + 1
    flat, flat_x, flat_y, flat_b = a.reshape(-1), across.reshape(-1), down.reshape(-1), wide.reshape(-1)
    found, slopes = np.empty((ny, nx, 2), np.float32), np.empty((ny, nx, 5), np.float32)
    share = F32(1 / PATCH**2)
    for gy in range(ny):
        for gx in range(nx):
            top, left = min(gy * stride, h - PATCH), min(gx * stride, w - PATCH)
            row = min(int(F32(top + PATCH // 2) / sy), fh - 1)
            col = min(int(F32(left + PATCH // 2) / sx), fw - 1)
            found[gy, gx, 0], found[gy, gx, 1] = start[row, col, 0] * sx, start[row, col, 1] * sy
            xx, xy, yy, x, y = F32(0), F32(0), F32(0), F32(0), F32(0)
            for row in range(top, top + PATCH):
                p = U64(row * w + left)
                for n in range(U64(PATCH)):
                    u, v = flat_x[p + n], flat_y[p + n]
                    xx += u * u
                    xy += u * v
                    yy += v * v
                    x += u
                    y += v
            xx, xy, yy = xx - x * x * share + F32(DAMPING), xy - x * y * share, yy - y * y * share + F32(DAMPING)
            scale = F32(1) / (xx * yy - xy * xy)
            slopes[gy, gx, 0], slopes[gy, gx, 1], slopes[gy, gx, 2] = xx * scale, xy * scale, yy * scale
            slopes[gy, gx, 3], slopes[gy, gx, 4] = x * share, y * share
    least, most_x, most_y = F32(0), F32(w - PATCH + 2 * BORDER - 1), F32(h - PATCH + 2 * BORDER - 1)
    for turn in range(2):
        for n in range(ny * nx):
            k = n if turn == 0 else ny * nx - 1 - n
            gy, gx = k // nx, k % nx
            top, left = min(gy * stride, h - PATCH), min(gx * stride, w - PATCH)
            at, ox, oy = I32(top * w + left), F32(left + BORDER), F32(top + BORDER)
            side = 1 - 2 * turn
            x, y, best = F32(0), F32(0), F32(np.inf)
            total, along_x, along_y = F32(0), F32(0), F32(0)
            for candidate in range(3):
                cy, cx = gy - side * (candidate == 2), gx - side * (candidate == 1)
                if not (0 <= cy < ny and 0 <= cx < nx):
                    continue
                px = min(max(ox + found[cy, cx, 0], least), most_x)
                py = min(max(oy + found[cy, cx, 1], least), most_y)
                t, s, u, v = _terms(flat, flat_x, flat_y, flat_b, at, I32(w), px, py)
                s -= t * t * share
                if s < best:
                    best, x, y, total, along_x, along_y = s, px, py, t, u, v
            first_x, first_y = x, y
            for _ in range(DESCENTS):
                u, v = along_x - total * slopes[gy, gx, 3], along_y - total * slopes[gy, gx, 4]
                step_x = slopes[gy, gx, 2] * u - slopes[gy, gx, 1] * v
                step_y = slopes[gy, gx, 0] * v - slopes[gy, gx, 1] * u
                px, py = min(max(x - step_x, least), most_x), min(max(y - step_y, least), most_y)
                if max(abs(px - first_x), abs(py - first_y)) > F32(PATCH):
                    break
                t, s, u, v = _terms(flat, flat_x, flat_y, flat_b, at, I32(w), px, py)
                s -= t * t * share
                if s >= best:
                    break
                best, x, y, total, along_x, along_y = s, px, py, t, u, v
                if max(abs(step_x), abs(step_y)) < F32(LEAST_STEP):
                    break
            found[gy, gx, 0], found[gy, gx, 1] = x - ox, y - oy
    return found


@njit(cache=True, fastmath=True, nogil=True)
def _densify(a, b, patches, stride, scale, height, width):  # type: ignore[no-untyped-def]
    """Return the flow at the pixels of ``a``: the mean of all patches there, by how well they match.

    Patches lie on a frame of ``height`` and ``width``, ``scale`` times as large as ``a``.
    """
    h, w = a.shape
    ny, nx = patches.shape[:2]
    result = np.empty((h, w, 2), np.float32)
    shrink = F32(1) / scale
    for row in range(h):
        y = min(int(scale * (F32(row) + F32(0.5))), height - 1)
        last_y, first_y = min(y // stride, ny - 1), max(-((PATCH - 1 - y) // stride), 0)
        for col in range(w):
            x = min(int(scale * (F32(col) + F32(0.5))), width - 1)
            last_x, first_x = min(x // stride, nx - 1), max(-((PATCH - 1 - x) // stride), 0)
            total, along_x, along_y = F32(0), F32(0), F32(0)
            for gy in range(first_y, last_y + 1):
                for gx in range(first_x, last_x + 1):
                    u, v = patches[gy, gx, 0] * shrink, patches[gy, gx, 1] * shrink
                    difference = abs(sample_linear(b, F32(col) + u, F32(row) + v) - a[row, col])
                    weight = F32(1) / max(difference, F32(LEAST_DIFFERENCE))
                    total += weight
                    along_x += weight * u
                    along_y += weight * v
            result[row, col, 0], result[row, col, 1] = along_x / total, along_y / total
    return result
