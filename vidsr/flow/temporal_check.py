"""A check of both warped frames against the frames before and after the pair.

Where the two warped frames differ, one follows a wrong motion or shows an occluding object. Content that is really
there is usually there one frame further on as well, along that frame's own motion.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from vidsr.flow.warp import F32, U64, between_corners, corners_row, sample_linear_row

Luma = NDArray[Any]  # float32, 8-bit code values, h x w
Field = NDArray[Any]  # float32

# Chosen on clips of the training set (train/LOG.md).
WINDOW = 5  # field pixels over which frames are compared
NOISE = 10.0  # code values of mismatch that noise explains
HALF_EFFECT = 3.0  # ratio of the mismatch of the pair to the smaller mismatch beyond at which the check has half effect
FAINT = 4.0  # code values of mismatch of the pair that are next to nothing


def checked_weight(weight: Field, mismatch: Luma, mismatch_a: Luma, mismatch_b: Luma) -> Field:
    """Return the weight of frame b after the check.

    Weight moves to the frame that differs less from the frame beyond it. All arrays are h x w. ``weight`` is 0 to 1;
    the others are code values: ``mismatch`` between both warped frames, ``mismatch_a`` and ``mismatch_b`` by
    `mismatch_beyond`. The check has no effect where the two frames differ less from each other than from the frames
    beyond.
    """
    mismatch, mismatch_a, mismatch_b = (cv2.blur(part, (WINDOW, WINDOW)) for part in (mismatch, mismatch_a, mismatch_b))
    doubt_a, doubt_b = (np.square(part + np.float32(NOISE)) for part in (mismatch_a, mismatch_b))
    effect = np.square(mismatch)
    effect /= effect + np.square(np.float32(HALF_EFFECT) * cv2.min(mismatch_a, mismatch_b)) + np.float32(FAINT**2)
    return np.asarray(weight + effect * (weight * doubt_a / (weight * doubt_a + (1 - weight) * doubt_b) - weight))


@njit(cache=True, fastmath=True, nogil=True)
def mismatch_beyond(near, beyond, displacements, flow):  # type: ignore[no-untyped-def]
    """Return the absolute difference of ``near`` and ``beyond`` along the motion.

    The result is h x w code values. ``displacements`` (h x w x 2, x and y) lead from the phase to ``near``, ``flow``
    from ``near`` to ``beyond``. All have the same size; planes and ``flow`` must be contiguous.
    """
    h, w = near.shape
    result = np.empty((h, w), np.float32)
    flat, flat_flow = near.reshape(-1), flow.reshape(-1)
    rows, shares, at = np.empty((4, w), np.float32), np.empty((2, w), np.float32), np.empty(w, np.int32)
    x, y, from_near, from_beyond = rows[0], rows[1], rows[2], rows[3]
    one, two, down = U64(1), U64(2), U64(w)
    for row in range(h):
        for col in range(w):
            x[col], y[col] = F32(col) + displacements[row, col, 0], F32(row) + displacements[row, col, 1]
        corners_row(h, w, x, y, shares, at)
        for col in range(w):
            p, fx, fy = U64(at[col]), shares[0, col], shares[1, col]
            from_near[col] = between_corners(flat, p, one, down, fx, fy)
            x[col] += between_corners(flat_flow, two * p, two, two * down, fx, fy)
            y[col] += between_corners(flat_flow, two * p + one, two, two * down, fx, fy)
        sample_linear_row(beyond, x, y, shares, at, from_beyond)
        for col in range(w):
            result[row, col] = abs(from_beyond[col] - from_near[col])
    return result
