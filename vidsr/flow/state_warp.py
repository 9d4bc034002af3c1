"""Backward warping of a plane along the optical flow by cubic convolution, and where the flow leaves the frame."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidsr.flow.warp import F32

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
