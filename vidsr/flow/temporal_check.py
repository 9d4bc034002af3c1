"""Which of two moved frames shows what is there, as the frames beyond them tell.

Where the two differ, one follows a wrong motion, or shows what hides the rest. What is really there is most often
there a frame further on as well, along that frame's own motion.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from vidsr.flow.warp import F32, linear

Luma = NDArray[Any]  # float32, 8-bit code values, h x w
Field = NDArray[Any]  # float32

# Chosen on clips of the training set (train/LOG.md).
WINDOW = 5  # pixels of the field over which frames are compared
NOISE = 10.0  # code values of mismatch that mean nothing
CLEAR = 3.0  # times that the frames must be as far apart as the better one from the frame beyond, to be told half
FAINT = 4.0  # code values apart that are next to nothing


def witnessed(share: Field, apart: Luma, missed_a: Luma, missed_b: Luma) -> Field:
    """The share of the second frame, that frame and the first counting less by what those beyond miss of them.

    All are h x w; ``share`` 0 to 1, the others in code values: how far both moved frames are ``apart``, and what
    `missed` gives for each. Who differs from the other less than from the frame beyond is not told by that.
    """
    apart, missed_a, missed_b = (cv2.blur(part, (WINDOW, WINDOW)) for part in (apart, missed_a, missed_b))
    doubt_a, doubt_b = (np.square(part + np.float32(NOISE)) for part in (missed_a, missed_b))
    told = np.square(apart)
    told /= told + np.square(np.float32(CLEAR) * cv2.min(missed_a, missed_b)) + np.float32(FAINT**2)
    return np.asarray(share + told * (share * doubt_a / (share * doubt_a + (1 - share) * doubt_b) - share))


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def missed(near, beyond, ways, motion):  # type: ignore[no-untyped-def]
    """Absolute difference of the frames ``near`` and ``beyond`` at the moment to make, h x w.

    ``ways`` leads from there to ``near`` (x and y), ``motion`` on from ``near`` to ``beyond``; all are of one size.
    """
    h, w = near.shape
    result = np.empty((h, w), np.float32)
    for row in prange(h):
        for col in range(w):
            x, y = F32(col) + ways[row, col, 0], F32(row) + ways[row, col, 1]
            u, v = linear(motion[..., 0], x, y), linear(motion[..., 1], x, y)
            result[row, col] = abs(linear(beyond, x + u, y + v) - linear(near, x, y))
    return result
