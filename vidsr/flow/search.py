"""Motion between two luma pictures, both ways."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from vidsr.flow.warp import F32, U64, linear

Luma = NDArray[Any]  # uint8, h x w
Plane = NDArray[Any]  # h x w
Small = NDArray[Any]  # float32, a reduced luma picture
Flow = NDArray[Any]  # float32, h x w x 2, pixels (x, y): where a pixel of the first picture is in the second

FLOW_PIXELS = 640 * 360  # a larger picture is reduced for the search of motion until it fits
SMALLEST_SIDE = 32  # dense inverse search needs room for its patches
REDUCTION = 4  # the search runs on a picture this much smaller
BLOCK, STRIDE, REACH = 6, 3, 12  # of the search, in its reduced pixels
UNEXPLAINED = 8.0  # mean mismatch, in code values, above which a block is searched
BETTER = 0.6  # a found block must leave less than this share of the mismatch
DISTANCE_COST = 4.0  # code values of mismatch that a reduced pixel of displacement must save


def searched(y: Plane, depth: int) -> Plane:
    """A luma plane (code values of ``depth`` bits, any type) as motion is searched in it: 8-bit codes, float32."""
    return resized(y.astype(np.float32), _search_size(*y.shape)) * np.float32(255 / ((1 << depth) - 1))


def _search_size(h: int, w: int) -> tuple[int, int]:
    """Height and width, even, of the picture in which motion is searched."""
    step = max(1, math.ceil(math.sqrt(h * w / FLOW_PIXELS)))
    return max(SMALLEST_SIDE, -(-h // step) // 2 * 2), max(SMALLEST_SIDE, -(-w // step) // 2 * 2)


def resized(plane: Plane, size: tuple[int, ...]) -> Plane:
    """``plane`` at ``size`` (height, width): by area where that is smaller, else linear."""
    if plane.shape == size:
        return plane
    smaller = size < plane.shape
    return np.asarray(cv2.resize(plane, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR))


def find_flows(a: Luma, b: Luma, thorough: bool = False) -> tuple[Flow, Flow]:
    """Where the pixels of ``a`` are in ``b``, and those of ``b`` in ``a``.

    A first, coarse flow; then, where it explains the picture badly (small things that move far), a search; then a
    finer flow that keeps of both what fits best, ``thorough`` or quick.
    """
    h, w = a.shape
    size = (max(BLOCK, w // REDUCTION), max(BLOCK, h // REDUCTION))
    small_a, small_b = (cv2.resize(p, size, interpolation=cv2.INTER_AREA).astype(np.float32) for p in (a, b))
    coarse = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    # measured on real clips: the quick one loses 0.01 dB to the preset's 1, 3, 25 and 5, in half of the time
    fine = dense_search(finest=0, stride=4, descents=16) if thorough else dense_search(1, 5, 12)

    def one_way(a: Luma, b: Luma, small_a: Small, small_b: Small) -> Flow:
        flow = coarse.calc(a, b, np.empty(0, np.float32))
        return fine.calc(a, b, with_distant_matches(flow, small_a, small_b))

    return one_way(a, b, small_a, small_b), one_way(b, a, small_b, small_a)


def dense_search(finest: int, stride: int, descents: int) -> cv2.DISOpticalFlow:
    """Dense inverse search, without what makes it smooth.

    ``finest``: of its scales, 0 for whole pixels, 1 for squares of two; ``stride`` from patch to patch, ``descents`` of
    each.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(finest)
    search.setPatchStride(stride)
    search.setGradientDescentIterations(descents)
    search.setVariationalRefinementIterations(0)
    return search


def with_distant_matches(flow: Flow, small_a: Small, small_b: Small) -> Flow:
    """``flow``, with blocks that it explains badly replaced by the match that a full search found for them."""
    size = small_a.shape[::-1]
    scale = np.array([flow.shape[1] / size[0], flow.shape[0] / size[1]], np.float32)
    small_flow = cv2.resize(flow, size, interpolation=cv2.INTER_NEAREST) / scale
    found, moves = _search(small_a, small_b, small_flow)
    result = flow.copy()
    for top, left in np.argwhere(found):
        # a block speaks for the pixels nearer to its middle than to that of its neighbours
        y, x = ((n * STRIDE + (BLOCK - STRIDE) / 2) * scale[axis] for n, axis in ((top, 1), (left, 0)))
        rows, columns = (slice(round(n), round(n + STRIDE * scale[axis])) for n, axis in ((y, 1), (x, 0)))
        result[rows, columns] = moves[top, left] * scale
    return result


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def _search(a, b, flow):  # type: ignore[no-untyped-def]
    """For each block of ``a``: whether a match in ``b`` beats ``flow`` clearly, and the displacement of the best."""
    h, w = a.shape
    gh, gw = (h - BLOCK) // STRIDE + 1, (w - BLOCK) // STRIDE + 1
    found, moves = np.zeros((gh, gw), np.bool_), np.zeros((gh, gw, 2), np.float32)
    for gy in prange(gh):
        for gx in range(gw):
            top, left = gy * STRIDE, gx * STRIDE
            mismatch = _warped_mismatch(a, b, flow, top, left)
            if mismatch < F32(UNEXPLAINED * BLOCK * BLOCK):
                continue
            best = mismatch * F32(BETTER)
            for dy in range(-min(REACH, top), min(REACH, h - BLOCK - top) + 1):
                for dx in range(-min(REACH, left), min(REACH, w - BLOCK - left) + 1):
                    cost = F32(DISTANCE_COST * math.sqrt(dx * dx + dy * dy))
                    for row in range(top, top + BLOCK):
                        for col in range(left, left + BLOCK):
                            cost += abs(a[U64(row), U64(col)] - b[U64(row + dy), U64(col + dx)])
                        if cost > best:
                            break
                    if cost < best:
                        best = cost
                        found[gy, gx] = True
                        moves[gy, gx, 0], moves[gy, gx, 1] = dx, dy
    return found, moves


@njit(cache=True, fastmath=True, nogil=True)
def _warped_mismatch(a, b, flow, top, left):  # type: ignore[no-untyped-def]
    """Sum of absolute differences of one block of ``a`` and ``b`` sampled along ``flow``."""
    total = F32(0)
    for row in range(top, top + BLOCK):
        for col in range(left, left + BLOCK):
            there = linear(b, F32(col) + flow[row, col, 0], F32(row) + flow[row, col, 1])
            total += abs(a[row, col] - there)
    return total
