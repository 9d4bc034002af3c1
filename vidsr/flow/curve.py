"""Paths that bend: motion that speeds up, slows down or turns, from the motion before and after an interval.

Between two frames alone a path can only be straight. With the neighbouring intervals it can be a parabola (Xu et al.,
"Quadratic video interpolation", NeurIPS 2019); where the bends seen at both ends contradict each other, it stays
straight.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from vidsr.flow.warp import F32, linear

Field = NDArray[Any]  # float32

WINDOW = 9  # pixels of the field over which acceleration is averaged
CONTRADICTION = 4.0  # pixels by which the ends may differ, over those that they agree on, to lose 1/e of the bend


def acceleration(onward: Field, back: Field, trust_onward: Field, trust_back: Field, ratio: float) -> Field:
    """Acceleration at a frame, h x w x 3: x and y in pixels per squared interval, and how far to trust it.

    ``onward`` is the motion over the interval itself, ``back`` that to the frame on the other side, over ``ratio``
    times the interval.
    """
    weight = trust_onward * trust_back
    bend = (onward * ratio + back) * (2 / (ratio + ratio * ratio))
    window = (WINDOW, WINDOW)
    around = cv2.blur(weight, window)
    smooth = cv2.blur(bend * weight[..., None], window) / (around + 1e-3)[..., None]
    return np.dstack([smooth, around])


def straight(motion: Field, phase: float) -> Field:
    """h x w x 4: the ways back to the first frame and forth to the second, x and y each, of a pixel at ``phase``."""
    return np.concatenate([-phase * motion, (1 - phase) * motion], axis=-1, dtype=np.float32)


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def curved(motion, phase, at_a, at_b):  # type: ignore[no-untyped-def]
    """The same ways, along a parabola where the accelerations at both ends agree."""
    h, w = motion.shape[:2]
    done, left = F32(phase), F32(1 - phase)
    ways = np.empty((h, w, 4), np.float32)
    for row in prange(h):
        for col in range(w):
            u, v = motion[row, col, 0], motion[row, col, 1]
            ax, ay = F32(col) - done * u, F32(row) - done * v
            bx, by = F32(col) + left * u, F32(row) + left * v
            au, av, ka = linear(at_a[..., 0], ax, ay), linear(at_a[..., 1], ax, ay), linear(at_a[..., 2], ax, ay)
            bu, bv, kb = linear(at_b[..., 0], bx, by), linear(at_b[..., 1], bx, by), linear(at_b[..., 2], bx, by)
            total = F32(1) / (ka + kb + F32(1e-3))
            mu, mv = (ka * au + kb * bu) * total, (ka * av + kb * bv) * total
            limit = F32(CONTRADICTION) + math.sqrt(mu * mu + mv * mv)
            apart = ((au - bu) * (au - bu) + (av - bv) * (av - bv)) / (limit * limit)
            bend = F32(0.5) * done * left * math.exp(-apart)
            ways[row, col, 0], ways[row, col, 1] = bend * mu - done * u, bend * mv - done * v
            ways[row, col, 2], ways[row, col, 3] = bend * mu + left * u, bend * mv + left * v
    return ways
