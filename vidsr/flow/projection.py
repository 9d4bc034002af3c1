"""Motion fields at a moment between two frames, from the motion at both ends.

Each pixel of both frames is pushed along its own motion to the wanted moment and lands there with the weight of its
trust (Niklaus and Liu, "Softmax splatting for video frame interpolation", CVPR 2020). Where nothing lands, coarser
levels fill in (pull-push).
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from vidsr.flow.warp import F32, U64, linear

Field = NDArray[Any]  # float32

MISMATCH_COST = 0.07  # fall of trust per code value of mismatch along the motion
DISAGREEMENT_COST = 0.3  # fall of trust per pixel by which the two motions disagree
SEEN = 0.01  # weight that has to land on a pixel for it to count as seen
UNDECIDED = 0.05  # weight of the plain mean where neither frame is seen
FILL = 0.01  # weight of coarser levels against what landed
SMOOTH = 5  # pixels over which visibility is averaged
MEDIAN = 5  # pixels over which the motion's median is taken


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def trust(flow, back, luma, other):  # type: ignore[no-untyped-def]
    """How far each pixel's motion can be trusted, 0 to 1, and by how many pixels the way back misses."""
    h, w = luma.shape
    weight, astray = np.empty((h, w), np.float32), np.empty((h, w), np.float32)
    for row in prange(h):
        for col in range(w):
            u, v = flow[row, col, 0], flow[row, col, 1]
            x, y = F32(col) + u, F32(row) + v
            du, dv = u + linear(back[..., 0], x, y), v + linear(back[..., 1], x, y)
            missed = abs(linear(other, x, y) - luma[row, col])
            astray[row, col] = math.sqrt(du * du + dv * dv)
            cost = F32(MISMATCH_COST) * missed + F32(DISAGREEMENT_COST) * astray[row, col]
            weight[row, col] = math.exp(-min(cost, F32(20)))
    return weight, astray


def project(forward: Field, backward: Field, weight_a: Field, weight_b: Field, phase: float) -> tuple[Field, Field]:
    """The motion from the first to the second frame as it lies at ``phase``, and the share of the second frame.

    Returns:
        h x w x 2 motion over the whole interval, in pixels of the field; h x w share, 0 where only the first frame
        shows what is there, 1 where only the second does, ``phase`` where both do.
    """
    landed = _splat(forward, backward, weight_a, weight_b, phase)
    seen_a, seen_b = landed[0, ..., 2], landed[1, ..., 2]
    sums = (1 - phase) * landed[0] + phase * landed[1]
    say_a, say_b = (
        scale * cv2.blur(np.minimum(seen / SEEN, 1), (SMOOTH, SMOOTH))
        for seen, scale in ((seen_a, 1 - phase), (seen_b, phase))
    )
    # where motions meet, their mean is that of nothing in the picture: the median takes a side
    motion = [cv2.medianBlur(np.ascontiguousarray(part), MEDIAN) for part in np.moveaxis(_fill(sums), -1, 0)]
    return np.dstack(motion), (say_b + UNDECIDED * phase) / (say_a + say_b + UNDECIDED)


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def _splat(forward, backward, weight_a, weight_b, phase):  # type: ignore[no-untyped-def]
    """For either frame: sums of (weight x motion x, weight x motion y, weight) that land on each pixel at ``phase``."""
    h, w = weight_a.shape
    sums = np.zeros((2, h, w, 3), np.float32)
    for frame in prange(2):  # writers would race within a frame, never between the two
        flow, weight = (forward, weight_a) if frame == 0 else (backward, weight_b)
        reach, sign = (F32(phase), F32(1)) if frame == 0 else (F32(1 - phase), F32(-1))
        for row in range(h):
            for col in range(w):
                u, v, k = flow[row, col, 0], flow[row, col, 1], weight[row, col]
                x, y = F32(col) + reach * u, F32(row) + reach * v
                x0, y0 = math.floor(x), math.floor(y)
                fx, fy = x - F32(x0), y - F32(y0)
                for dy in range(2):
                    for dx in range(2):
                        tx, ty = x0 + dx, y0 + dy
                        if 0 <= tx < w and 0 <= ty < h:
                            share = k * (fx if dx else F32(1) - fx) * (fy if dy else F32(1) - fy)
                            at = sums[frame, U64(ty), U64(tx)]
                            at[0] += sign * share * u
                            at[1] += sign * share * v
                            at[2] += share
    return sums


def _fill(sums: Field) -> Field:
    """Motion from the sums; where little landed, that of coarser levels."""
    levels = [sums]
    while min(levels[-1].shape[:2]) > 2:
        h, w = levels[-1].shape[:2]
        levels.append(np.asarray(cv2.resize(levels[-1], (-(-w // 2), -(-h // 2)), interpolation=cv2.INTER_AREA)))
    coarsest = levels.pop()
    motion = coarsest[..., :2] / np.maximum(coarsest[..., 2:], 1e-12)
    for level in reversed(levels):
        above = cv2.resize(motion, level.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        motion = (level[..., :2] + FILL * above) / (level[..., 2:] + FILL)
    return motion
