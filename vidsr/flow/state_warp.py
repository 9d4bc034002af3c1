"""Backward warping of what a temporal network keeps from frame to frame, on the CPU.

`vidsr.models.temporal.warp_state` is the same in PyTorch, for training and for GPUs.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from vidsr.flow.warp import F32, between_pixels

Plane = NDArray[Any]  # float32, h x w
Flow = NDArray[Any]  # float32, h x w x 2, x and y in pixels: from a pixel of the frame to the previous frame


def warp_cubic(plane: Plane, flow: Flow) -> Plane:
    """Return ``plane``, of the size of ``flow`` or a multiple, sampled by cubic convolution (a = -0.75).

    Positions are clamped to the plane, and rounded to 1/32 of its pixels.
    """
    h, w = plane.shape
    fine = cv2.resize(flow, (w, h), interpolation=cv2.INTER_LINEAR) if flow.shape[:2] != (h, w) else flow
    columns, rows = _positions(fine, F32(w / flow.shape[1]))
    return np.asarray(cv2.remap(plane, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))


def stays_inside(flow: Flow) -> Plane:
    """Return 1 for each pixel that ``flow`` keeps within the frame, to half a pixel, else 0."""
    h, w = flow.shape[:2]
    columns, rows = _positions(flow, F32(1))
    inside = (columns >= -0.5) & (columns <= w - 0.5) & (rows >= -0.5) & (rows <= h - 0.5)
    return np.asarray(inside, np.float32)


def _positions(flow: Flow, scale: np.float32) -> tuple[Plane, Plane]:
    """Return the columns and rows to which ``flow``, enlarged by ``scale``, leads."""
    h, w = flow.shape[:2]
    columns = flow[..., 0] * scale + np.arange(w, dtype=np.float32)
    rows = flow[..., 1] * scale + np.arange(h, dtype=np.float32)[:, None]
    return columns, rows


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def warp_channels(planes, flow):  # type: ignore[no-untyped-def]
    """Return ``planes`` (h x w x C float32) sampled linearly at displaced positions, clamped to the frame."""
    h, w, channels = planes.shape
    result = np.empty((h, w, channels), np.float32)
    for row in prange(h):
        for col in range(w):
            x0, x1, fx = between_pixels(F32(col) + flow[row, col, 0], w)
            y0, y1, fy = between_pixels(F32(row) + flow[row, col, 1], h)
            k00, k01 = (F32(1) - fy) * (F32(1) - fx), (F32(1) - fy) * fx
            k10, k11 = fy * (F32(1) - fx), fy * fx
            a, b, c, d = planes[y0, x0], planes[y0, x1], planes[y1, x0], planes[y1, x1]
            target = result[row, col]
            for n in range(channels):
                target[n] = k00 * a[n] + k01 * b[n] + k10 * c[n] + k11 * d[n]
    return result
