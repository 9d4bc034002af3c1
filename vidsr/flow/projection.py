"""Flow projection: optical flow at two frames, moved to a phase between them.

Each pixel of both frames is splatted along its flow to the wanted phase, weighted by its confidence: Niklaus and Liu,
"Softmax splatting for video frame interpolation", CVPR 2020. Holes are filled from coarser levels (pull-push).

Between two frames alone, trajectories are straight. With the neighbouring intervals they can be parabolas (Xu et al.,
"Quadratic video interpolation", NeurIPS 2019). Where the accelerations at both ends contradict each other, they stay
straight.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from vidsr.flow.warp import F32, U64, between_corners, corners_row, sample_linear

Field = NDArray[Any]  # float32

MISMATCH_COST = 0.07  # fall of the log confidence per code value of mismatch along the flow
DISAGREEMENT_COST = 0.3  # fall of the log confidence per pixel of disagreement between forward and backward flow
VISIBLE = 0.01  # splatted weight from which on a pixel counts as visible
UNDECIDED = 0.05  # weight of the plain mean where neither frame is visible
FILL = 0.01  # weight of coarser levels against splatted weight
SMOOTH = 5  # pixels over which visibility is averaged
MEDIAN = 5  # pixels over which the median of the motion is taken
WINDOW = 9  # field pixels over which acceleration is averaged
CONTRADICTION = 4.0  # pixels of difference between both accelerations, beyond their mean, that keep 1/e of the curve


def confidence(flow: Field, back: Field, luma: Field, other: Field) -> tuple[Field, Field]:
    """Return the confidence of ``flow``, 0 to 1, and its disagreement with ``back``.

    Both are h x w, the disagreement in pixels. ``flow`` leads from ``luma`` to ``other``, ``back`` from ``other`` to
    ``luma``.
    """
    logarithm, disagreement = _log_confidence(flow, back, luma, other)
    return np.asarray(cv2.exp(logarithm, logarithm)), disagreement  # OpenCV computes exponentials on vectors, Numba not


@njit(cache=True, fastmath=True, nogil=True)
def _log_confidence(flow, back, luma, other):  # type: ignore[no-untyped-def]
    """Return the natural logarithm of `confidence`, and the disagreement."""
    h, w = luma.shape
    logarithm, disagreement = np.empty((h, w), np.float32), np.empty((h, w), np.float32)
    flat_back, flat_other = back.reshape(-1), other.reshape(-1)
    rows, shares, at = np.empty((5, w), np.float32), np.empty((2, w), np.float32), np.empty(w, np.int32)
    x, y, du, dv, there = rows[0], rows[1], rows[2], rows[3], rows[4]
    one, two, down = U64(1), U64(2), U64(w)
    for row in range(h):
        for col in range(w):
            x[col], y[col] = F32(col) + flow[row, col, 0], F32(row) + flow[row, col, 1]
        corners_row(h, w, x, y, shares, at)
        for col in range(w):
            p, fx, fy = U64(at[col]), shares[0, col], shares[1, col]
            there[col] = between_corners(flat_other, p, one, down, fx, fy)
            du[col] = between_corners(flat_back, two * p, two, two * down, fx, fy)
            dv[col] = between_corners(flat_back, two * p + one, two, two * down, fx, fy)
        for col in range(w):
            u, v = flow[row, col, 0] + du[col], flow[row, col, 1] + dv[col]
            disagreement[row, col] = np.sqrt(u * u + v * v)
            mismatch = abs(there[col] - luma[row, col])
            cost = F32(MISMATCH_COST) * mismatch + F32(DISAGREEMENT_COST) * disagreement[row, col]
            logarithm[row, col] = -min(cost, F32(20))
    return logarithm, disagreement


def project(
    forward: Field, backward: Field, confidence_a: Field, confidence_b: Field, phase: float
) -> tuple[Field, Field]:
    """Return the motion at ``phase`` and the weight of the second frame.

    Returns:
        h x w x 2 motion from the first to the second frame, in pixels of the field; h x w weight: 0 where only the
        first frame is visible, 1 where only the second is, ``phase`` where both are.
    """
    landed = _splat(forward, backward, confidence_a, confidence_b, phase)
    weight_a, weight_b = landed[0, ..., 2], landed[1, ..., 2]
    sums = cv2.addWeighted(landed[0], 1 - phase, landed[1], phase, 0)
    visible_a, visible_b = (
        scale * cv2.blur(np.minimum(weight / VISIBLE, 1), (SMOOTH, SMOOTH))
        for weight, scale in ((weight_a, 1 - phase), (weight_b, phase))
    )
    # where two motions meet, their mean is the motion of nothing: the median takes one of them
    motion = cv2.merge([cv2.medianBlur(part, MEDIAN) for part in cv2.split(_fill(sums))])
    return motion, (visible_b + UNDECIDED * phase) / (visible_a + visible_b + UNDECIDED)


@njit(cache=True, fastmath=True, nogil=True)
def _splat(forward, backward, confidence_a, confidence_b, phase):  # type: ignore[no-untyped-def]
    """Splat both flows at ``phase``, weighted by their confidence.

    Returns:
        2 x h x w x 3: for each frame, the sums of (weight * x, weight * y, weight) that land on each pixel.
    """
    h, w = confidence_a.shape
    sums = np.zeros((2, h, w, 3), np.float32)
    for frame in range(2):  # parallel over the frames only: within one, the writes would race
        flow, weight = (forward, confidence_a) if frame == 0 else (backward, confidence_b)
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
    """Return the motion from the sums, filled from coarser levels where little weight landed."""
    levels = [sums]
    while min(levels[-1].shape[:2]) > 2:
        h, w = levels[-1].shape[:2]
        levels.append(np.asarray(cv2.resize(levels[-1], (-(-w // 2), -(-h // 2)), interpolation=cv2.INTER_AREA)))
    coarsest = levels.pop()
    motion = coarsest[..., :2] / np.maximum(coarsest[..., 2:], 1e-12)
    for level in reversed(levels):
        motion = _with_filling(level, cv2.resize(motion, level.shape[1::-1], interpolation=cv2.INTER_LINEAR))
    return motion


@njit(cache=True, fastmath=True, nogil=True)
def _with_filling(sums, above):  # type: ignore[no-untyped-def]
    """Return the motion of one level: that of its ``sums``, and `FILL` of that ``above``; h x w x 2."""
    h, w = sums.shape[:2]
    result = np.empty((h, w, 2), np.float32)
    for row in range(h):
        for col in range(w):
            share = F32(1) / (sums[row, col, 2] + F32(FILL))
            for n in range(2):
                result[row, col, n] = (sums[row, col, n] + F32(FILL) * above[row, col, n]) * share
    return result


def acceleration(onward: Field, back: Field, confidence_onward: Field, confidence_back: Field, ratio: float) -> Field:
    """Return the acceleration at a frame and its confidence, h x w x 3.

    x and y are in pixels per squared interval. ``onward`` is the flow over the interval itself. ``back`` is the flow to
    the frame on the other side, over ``ratio`` times the interval.
    """
    bends = _weighted_bends(onward, back, confidence_onward, confidence_back, ratio)
    return np.asarray(_divided(cv2.blur(bends, (WINDOW, WINDOW)), 1e-3))


@njit(cache=True, fastmath=True, nogil=True)
def _weighted_bends(onward, back, confidence_onward, confidence_back, ratio):  # type: ignore[no-untyped-def]
    """Return weight * x, weight * y and weight of the acceleration, h x w x 3."""
    h, w = confidence_onward.shape
    reach, scale = F32(ratio), F32(2 / (ratio + ratio * ratio))
    result = np.empty((h, w, 3), np.float32)
    for row in range(h):
        for col in range(w):
            weight = confidence_onward[row, col] * confidence_back[row, col]
            for n in range(2):
                result[row, col, n] = weight * ((onward[row, col, n] * reach + back[row, col, n]) * scale)
            result[row, col, 2] = weight
    return result


@njit(cache=True, fastmath=True, nogil=True)
def _divided(sums, least):  # type: ignore[no-untyped-def]
    """Divide the first two of the three channels of ``sums`` by the last plus ``least``, in place; return ``sums``."""
    h, w = sums.shape[:2]
    for row in range(h):
        for col in range(w):
            share = F32(1) / (sums[row, col, 2] + F32(least))
            sums[row, col, 0] *= share
            sums[row, col, 1] *= share
    return sums


def straight_displacements(motion: Field, phase: float) -> Field:
    """Return the displacements from ``phase`` along straight lines.

    The result is h x w x 4: x and y to the first frame, x and y to the second.
    """
    return np.concatenate([-phase * motion, (1 - phase) * motion], axis=-1, dtype=np.float32)


@njit(cache=True, fastmath=True, nogil=True)
def curved_displacements(motion, phase, at_a, at_b):  # type: ignore[no-untyped-def]
    """Return the displacements from ``phase`` along parabolas, h x w x 4.

    A trajectory curves where the accelerations ``at_a`` and ``at_b`` agree.
    """
    h, w = motion.shape[:2]
    done, left = F32(phase), F32(1 - phase)
    result = np.empty((h, w, 4), np.float32)
    for row in range(h):
        for col in range(w):
            u, v = motion[row, col, 0], motion[row, col, 1]
            ax, ay = F32(col) - done * u, F32(row) - done * v
            bx, by = F32(col) + left * u, F32(row) + left * v
            au, av = sample_linear(at_a[..., 0], ax, ay), sample_linear(at_a[..., 1], ax, ay)
            ka = sample_linear(at_a[..., 2], ax, ay)
            bu, bv = sample_linear(at_b[..., 0], bx, by), sample_linear(at_b[..., 1], bx, by)
            kb = sample_linear(at_b[..., 2], bx, by)
            total = F32(1) / (ka + kb + F32(1e-3))
            mu, mv = (ka * au + kb * bu) * total, (ka * av + kb * bv) * total
            limit = F32(CONTRADICTION) + math.sqrt(mu * mu + mv * mv)
            contradiction = ((au - bu) * (au - bu) + (av - bv) * (av - bv)) / (limit * limit)
            bend = F32(0.5) * done * left * math.exp(-contradiction)
            result[row, col, 0], result[row, col, 1] = bend * mu - done * u, bend * mv - done * v
            result[row, col, 2], result[row, col, 3] = bend * mu + left * u, bend * mv + left * v
    return result
