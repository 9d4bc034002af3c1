"""Optical flow search between two luma planes, and refinement at a phase.

The refinement warps both frames to the phase and searches between them. They differ by little, so a search down to
single pixels finds what the search between the frames missed (bilateral motion estimation: Park et al., "BMBC:
bilateral motion estimation with bilateral cost volume for video interpolation", ECCV 2020).
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from vidsr.flow.patch_search import PATCH, Pyramid, patch_search, pyramid, search_levels
from vidsr.flow.state_warp import warp_cubic
from vidsr.flow.warp import F32, U64, sample_linear

Luma = NDArray[Any]  # uint8, h x w
Plane = NDArray[Any]  # h x w
SmallLuma = NDArray[Any]  # float32, luma at 1 / `REDUCTION` of the size
Flow = NDArray[Any]  # float32, h x w x 2, x and y in pixels: displacement of a pixel of the first frame to the second
Displacements = NDArray[Any]  # float32, h x w x 4, in its own pixels: x, y to the first frame; x, y to the second

MAX_PIXELS = 640 * 360  # larger frames are downscaled for the search until they fit
MIN_SIDE = 32  # dense inverse search needs room for its patches
# Block search for small objects that move far
REDUCTION = 4  # it runs on frames this much smaller
BLOCK, STRIDE, REACH = 6, 3, 12  # side, step and range, in downscaled pixels
UNEXPLAINED = 8.0  # mean mismatch of a block, in code values, from which on it is searched
BETTER = 0.6  # a match must leave less than this share of the mismatch
DISTANCE_COST = 4.0  # code values of mismatch that a match must save per downscaled pixel of displacement
COARSE_STRIDE = 4  # pixels between patches of the coarse search
REFINED_LEVELS, REFINED_STRIDE = 3, 5  # of the refinement at a phase: sizes, and pixels between patches


def search_luma(y: Plane, depth: int) -> Plane:
    """Return luma for the motion search, 8-bit code values in float32.

    ``y``: a plane of ``depth`` bits, of any type.
    """
    return resize_plane(y.astype(np.float32), _search_size(*y.shape)) * np.float32(255 / ((1 << depth) - 1))


def _search_size(h: int, w: int) -> tuple[int, int]:
    """Return the height and width, both even, of the motion search."""
    step = max(1, math.ceil(math.sqrt(h * w / MAX_PIXELS)))
    return max(MIN_SIDE, -(-h // step) // 2 * 2), max(MIN_SIDE, -(-w // step) // 2 * 2)


def resize_plane(plane: Plane, size: tuple[int, ...]) -> Plane:
    """Return ``plane`` at ``size`` (height, width): downscaled by area, else upscaled bilinearly."""
    if plane.shape == size:
        return plane
    smaller = size < plane.shape
    return np.asarray(cv2.resize(plane, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR))


def find_flows(a: Luma, b: Luma) -> tuple[Flow, Flow]:
    """Return the flow from ``a`` to ``b`` and from ``b`` to ``a``.

    Blocks that the coarse search explains badly (small objects that move far) get a full search.
    """
    h, w = a.shape
    size = (max(BLOCK, w // REDUCTION), max(BLOCK, h // REDUCTION))
    small_a, small_b = (cv2.resize(p, size, interpolation=cv2.INTER_AREA).astype(np.float32) for p in (a, b))
    coarse = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    there = with_distant_matches(coarse.calc(a, b, np.empty(0, np.float32)), small_a, small_b)
    back = with_distant_matches(coarse.calc(b, a, np.empty(0, np.float32)), small_b, small_a)
    # measured on real clips: half the time of the preset (1, 3, 25 and 5), 0.01 dB less
    fine = dense_search(finest=1, stride=5, descents=12)
    return fine.calc(a, b, there), fine.calc(b, a, back)


def find_coarse_flow(a: Pyramid, b: Pyramid) -> Flow:
    """Return the flow from ``a`` to ``b``, at the size of the first of their levels.

    That is a `REDUCTION`-th of the size of the search. Blocks that it explains badly (small objects that move far) get
    a full search.
    """
    levels = sum(min(luma.shape) >= PATCH for luma in a)
    flow = search_levels(a[:levels], b[:levels], np.zeros((*a[-1].shape, 2), np.float32), COARSE_STRIDE)
    return with_distant_matches(flow, a[0], b[0])


def find_fine_flow(a: Luma, b: Luma) -> Flow:
    """Return the flow from ``a`` to ``b``, exact to a few hundredths of a pixel where there is texture.

    On known shifts of photographs its median error is 0.04 pixels, that of the preset MEDIUM 0.06. Twice the descents,
    smaller steps and a second refinement reach 0.035, take half as long again, and gain 0.01 dB at most in temporal
    upscaling.
    """
    return np.asarray(dense_search(0, 5, 8, refinements=1).calc(a, b, np.empty(0, np.float32)))


def dense_search(finest: int, stride: int, descents: int, refinements: int = 0) -> cv2.DISOpticalFlow:
    """Return OpenCV's dense inverse search.

    ``finest``: finest scale, 0 for single pixels, 1 for half the resolution. ``stride``: pixels between patches.
    ``descents``: gradient descent steps of each patch. ``refinements``: steps of variational refinement.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(finest)
    search.setPatchStride(stride)
    search.setGradientDescentIterations(descents)
    search.setVariationalRefinementIterations(refinements)
    return search


def refine_displacements(a: Plane, b: Plane, displacements: Displacements, phase: float) -> Displacements:
    """Return ``displacements`` refined by a search between the warped frames at ``phase``.

    ``a`` and ``b`` are 8-bit luma in float32, at any size.
    """
    full = resize_displacements(displacements, a.shape)
    warped = warp_cubic(a, full[..., :2]), warp_cubic(b, full[..., 2:])
    levels_a, levels_b = (pyramid(luma, REFINED_LEVELS) for luma in warped)
    forward, backward = _search_from_rest(levels_a, levels_b), _search_from_rest(levels_b, levels_a)
    rest = (forward - backward) / 2  # the mean of both directions, so that the result is the same in reversed time
    rest = resize_displacements(rest, displacements.shape[:2])
    return displacements + np.concatenate([-phase * rest, (1 - phase) * rest], -1, dtype=np.float32)


def resize_displacements(displacements: Displacements, size: tuple[int, ...]) -> Displacements:
    """Return ``displacements`` (h x w x 2 or 4) at ``size`` (height, width), in pixels of that size.

    They are downscaled by area, else upscaled bilinearly.
    """
    h, w, channels = displacements.shape
    how = cv2.INTER_AREA if size[1] < w else cv2.INTER_LINEAR
    scaled = displacements * np.array([size[1] / w, size[0] / h] * (channels // 2), np.float32)
    return np.asarray(cv2.resize(scaled, size[1::-1], interpolation=how))


def _search_from_rest(a: Pyramid, b: Pyramid) -> Flow:
    """Return the flow from ``a`` to ``b`` at the size of the second level, searched from no motion."""
    at_rest = np.zeros((*a[-1].shape, 2), np.float32)
    flow = search_levels(a[1:], b[1:], at_rest, REFINED_STRIDE)
    return patch_search(a[0], b[0], flow, (a[1], b[1]), REFINED_STRIDE)


def with_distant_matches(flow: Flow, small_a: SmallLuma, small_b: SmallLuma) -> Flow:
    """Return ``flow`` with badly explained blocks replaced by matches of a full search."""
    size = small_a.shape[::-1]
    scale = np.array([flow.shape[1] / size[0], flow.shape[0] / size[1]], np.float32)
    small_flow = cv2.resize(flow, size, interpolation=cv2.INTER_NEAREST) / scale
    found, moves = _block_search(small_a, small_b, small_flow)
    result = flow.copy()
    for top, left in np.argwhere(found):
        # a block gives its match to the pixels nearer to its centre than to those of its neighbours
        y, x = ((n * STRIDE + (BLOCK - STRIDE) / 2) * scale[axis] for n, axis in ((top, 1), (left, 0)))
        rows, columns = (slice(round(n), round(n + STRIDE * scale[axis])) for n, axis in ((y, 1), (x, 0)))
        result[rows, columns] = moves[top, left] * scale
    return result


@njit(cache=True, fastmath=True, nogil=True)
def _block_search(a, b, flow):  # type: ignore[no-untyped-def]
    """Search ``b`` for each block of ``a`` that ``flow`` explains badly.

    Returns:
        Whether a match clearly beats ``flow``, and the best displacement, for each block.
    """
    h, w = a.shape
    gh, gw = (h - BLOCK) // STRIDE + 1, (w - BLOCK) // STRIDE + 1
    found, moves = np.zeros((gh, gw), np.bool_), np.zeros((gh, gw, 2), np.float32)
    for gy in range(gh):
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
    """Return the sum of absolute differences of one block along ``flow``."""
    total = F32(0)
    for row in range(top, top + BLOCK):
        for col in range(left, left + BLOCK):
            value = sample_linear(b, F32(col) + flow[row, col, 0], F32(row) + flow[row, col, 1])
            total += abs(a[row, col] - value)
    return total
