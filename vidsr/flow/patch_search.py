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

from vidsr.flow.warp import F32, I32, U64

Luma = NDArray[Any]  # float32, 8-bit code values, h x w
Flow = NDArray[Any]  # float32, h x w x 2, x and y in its own pixels: displacement of a pixel of the first frame
Pyramid = Sequence[Luma]  # a frame, and each level at half the size of the one before

DESCENTS = 4  # most steps of a patch in each of two passes
PATCH = 8  # pixels of its side
BORDER = 16  # pixels beyond the frame that a patch may reach
LEAST_STEP = 0.02  # pixels: a patch that moves less has arrived
SAME = 0.1  # pixels: a neighbour's displacement that differs less from a patch's own is not tried
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

    ``grid``: both frames at the size of the result, that of ``a`` or half of it. ``stride``: pixels between patches.
    """
    across, down = (cv2.Sobel(a, cv2.CV_32F, *order, ksize=1, scale=0.5) for order in ((1, 0), (0, 1)))
    wide = with_border(b)
    patches = _search(a, across, down, wide, start, stride)
    on_level = grid[1] is b
    return np.asarray(_densify(grid[0], wide if on_level else with_border(grid[1]), patches, stride, *a.shape))


def with_border(luma: Luma) -> Luma:
    """Return ``luma`` with its outermost pixels repeated `BORDER` times."""
    return np.asarray(cv2.copyMakeBorder(luma, *(BORDER,) * 4, cv2.BORDER_REPLICATE))


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


@njit(inline="always")
def _start_patches(across, down, start, stride, found, slopes):  # type: ignore[no-untyped-def]
    """Write the first displacement of each patch, clamped to the border, and what its steps need.

    ``slopes`` (patches x 5): the matrix that turns slopes into a step, and the mean slopes.
    """
    h, w = across.shape
    fh, fw = start.shape[:2]
    sx, sy = F32(w / fw), F32(h / fh)
    ny, nx = found.shape[:2]
    flat_x, flat_y, share = across.reshape(-1), down.reshape(-1), F32(1 / PATCH**2)
    for gy in range(ny):
        top = min(gy * stride, h - PATCH)
        row = min(int(F32(top + PATCH // 2) / sy), fh - 1)
        for gx in range(nx):
            left = min(gx * stride, w - PATCH)
            col = min(int(F32(left + PATCH // 2) / sx), fw - 1)
            x, y = start[row, col, 0] * sx, start[row, col, 1] * sy
            found[gy, gx, 0] = min(max(x, F32(-left - BORDER)), F32(w - PATCH + BORDER - 1 - left))
            found[gy, gx, 1] = min(max(y, F32(-top - BORDER)), F32(h - PATCH + BORDER - 1 - top))
            xx, xy, yy, x, y = F32(0), F32(0), F32(0), F32(0), F32(0)
            p = U64(top * w + left)
            for _ in range(PATCH):
                for n in range(U64(PATCH)):
                    u, v = flat_x[p + n], flat_y[p + n]
                    xx += u * u
                    xy += u * v
                    yy += v * v
                    x += u
                    y += v
                p += U64(w)
            xx, xy, yy = xx - x * x * share + F32(DAMPING), xy - x * y * share, yy - y * y * share + F32(DAMPING)
            scale, k = F32(1) / (xx * yy - xy * xy), gy * nx + gx
            slopes[k, 0], slopes[k, 1], slopes[k, 2] = xx * scale, xy * scale, yy * scale
            slopes[k, 3], slopes[k, 4] = x * share, y * share


@njit(cache=True, fastmath=True, nogil=True)
def _search(a, across, down, wide, start, stride):  # type: ignore[no-untyped-def]
    """Return the displacement of each patch, in pixels of ``a``.

    Patches are visited forwards, then backwards. Each tries its own displacement and those of the two neighbours that
    were visited before it, and descends from the best. A patch that has arrived descends again only from a better one.
    """
    h, w = a.shape
    ny, nx = -(-(h - PATCH) // stride) + 1, -(-(w - PATCH) // stride) + 1
    flat, flat_x, flat_y, flat_b = a.reshape(-1), across.reshape(-1), down.reshape(-1), wide.reshape(-1)
    found, slopes = np.empty((ny, nx, 2), np.float32), np.empty((ny * nx, 5), np.float32)
    _start_patches(across, down, start, stride, found, slopes)
    terms, arrived = np.empty((ny * nx, 4), np.float32), np.zeros(ny * nx, np.bool_)
    share = F32(1 / PATCH**2)
    least, most_x, most_y = F32(0), F32(w - PATCH + 2 * BORDER - 1), F32(h - PATCH + 2 * BORDER - 1)
    for turn in range(2):
        side = 1 - 2 * turn
        for line in range(ny):
            gy = line if turn == 0 else ny - 1 - line
            top = min(gy * stride, h - PATCH)
            for place in range(nx):
                gx = place if turn == 0 else nx - 1 - place
                k, left = gy * nx + gx, min(gx * stride, w - PATCH)
                at, ox, oy = I32(top * w + left), F32(left + BORDER), F32(top + BORDER)
                own_x, own_y = ox + found[gy, gx, 0], oy + found[gy, gx, 1]
                x, y = own_x, own_y
                if turn == 0:
                    total, best, along_x, along_y = _terms(flat, flat_x, flat_y, flat_b, at, I32(w), x, y)
                    best -= total * total * share
                else:
                    total, best, along_x, along_y = terms[k, 0], terms[k, 1], terms[k, 2], terms[k, 3]
                for candidate in range(2):
                    cy, cx = gy - side * candidate, gx - side * (1 - candidate)
                    if not (0 <= cy < ny and 0 <= cx < nx):
                        continue
                    px = min(max(ox + found[cy, cx, 0], least), most_x)
                    py = min(max(oy + found[cy, cx, 1], least), most_y)
                    if max(abs(px - own_x), abs(py - own_y)) < F32(SAME):
                        continue
                    t, s, u, v = _terms(flat, flat_x, flat_y, flat_b, at, I32(w), px, py)
                    s -= t * t * share
                    if s < best:
                        x, y, total, best, along_x, along_y, arrived[k] = px, py, t, s, u, v, False
                first_x, first_y = x, y
                for _ in range(DESCENTS):
                    if arrived[k]:
                        break
                    u, v = along_x - total * slopes[k, 3], along_y - total * slopes[k, 4]
                    step_x = slopes[k, 2] * u - slopes[k, 1] * v
                    step_y = slopes[k, 0] * v - slopes[k, 1] * u
                    px, py = min(max(x - step_x, least), most_x), min(max(y - step_y, least), most_y)
                    arrived[k] = max(abs(step_x), abs(step_y)) < F32(LEAST_STEP) or (
                        max(abs(px - first_x), abs(py - first_y)) > F32(PATCH)
                    )
                    if arrived[k]:
                        break
                    t, s, u, v = _terms(flat, flat_x, flat_y, flat_b, at, I32(w), px, py)
                    s -= t * t * share
                    arrived[k] = s >= best
                    if s < best:
                        x, y, total, best, along_x, along_y = px, py, t, s, u, v
                found[gy, gx, 0], found[gy, gx, 1] = x - ox, y - oy
                terms[k, 0], terms[k, 1], terms[k, 2], terms[k, 3] = total, best, along_x, along_y
    return found


@njit(inline="always")
def _add_patch(a, wide, sums, at, w, x, y, u, v, side):  # type: ignore[no-untyped-def]
    """Add a patch of ``side`` pixels and displacement ``u``, ``v`` to ``sums``, weighted by how each pixel matches.

    It begins at index ``at`` of ``a``, whose width is ``w``, and at column ``x`` and row ``y`` of ``wide``. All planes
    are flat. ``side`` is a constant, so that rows are vectors.
    """
    wide_w = w + I32(2 * BORDER)
    ix, iy = I32(x), I32(y)
    fx, fy = x - F32(ix), y - F32(iy)
    k00, k01, k10, k11 = (F32(1) - fx) * (F32(1) - fy), fx * (F32(1) - fy), (F32(1) - fx) * fy, fx * fy
    p, q, one, below = U64(at), U64(iy * wide_w + ix), U64(1), U64(wide_w)
    for _ in range(side):
        for col in range(U64(side)):
            m, n = q + col, p + col
            value = k00 * wide[m] + k01 * wide[m + one] + k10 * wide[m + below] + k11 * wide[m + below + one]
            weight = F32(1) / max(abs(value - a[n]), F32(LEAST_DIFFERENCE))
            sums[0, n] += weight
            sums[1, n] += weight * u
            sums[2, n] += weight * v
        p += U64(w)
        q += below


@njit(cache=True, fastmath=True, nogil=True)
def _densify(a, wide, patches, stride, height, width):  # type: ignore[no-untyped-def]
    """Return the flow at the pixels of ``a``: the mean of all patches there, by how well they match.

    Patches lie on a frame of ``height`` and ``width``, that of ``a`` or twice that. ``wide`` is the other frame.
    """
    h, w = a.shape
    ny, nx = patches.shape[:2]
    is_half = h != height
    unit, shrink = (2, F32(0.5)) if is_half else (1, F32(1))
    sums, flat, flat_b = np.zeros((3, h * w), np.float32), a.reshape(-1), wide.reshape(-1)
    for gy in range(ny):
        top = min(gy * stride, height - PATCH) // unit
        for gx in range(nx):
            left = min(gx * stride, width - PATCH) // unit
            u, v = patches[gy, gx, 0] * shrink, patches[gy, gx, 1] * shrink
            x, y, at = F32(left + BORDER) + u, F32(top + BORDER) + v, top * w + left
            if is_half:
                _add_patch(flat, flat_b, sums, at, I32(w), x, y, u, v, PATCH // 2)
            else:
                _add_patch(flat, flat_b, sums, at, I32(w), x, y, u, v, PATCH)
    result = np.empty((h * w, 2), np.float32)
    for n in range(h * w):
        share = F32(1) / sums[0, n]
        result[n, 0], result[n, 1] = sums[1, n] * share, sums[2, n] * share
    return result.reshape(h, w, 2)
