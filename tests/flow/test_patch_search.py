"""Dense inverse search on one level: known shifts are found, flat and tiny frames do no harm."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.flow.synthetic import texture
from vidsr.flow.patch_search import (
    DAMPING,
    DESCENTS,
    LEAST_DIFFERENCE,
    PATCH,
    _densify,
    _search,
    half,
    patch_search,
    pyramid,
    search_levels,
    with_border,
)

Array = npt.NDArray[Any]
AT_REST = np.zeros((4, 4, 2), np.float32)


def moved(dx: float, dy: float) -> tuple[Array, Array]:
    """Return two soft frames of 100 x 140 pixels, the second moved by ``dx`` and ``dy``."""
    wide = cv2.GaussianBlur(texture(160, 200), (0, 0), 1.5).astype(np.float32)
    columns, rows = np.meshgrid(np.arange(140, dtype=np.float32), np.arange(100, dtype=np.float32))
    first, second = (
        cv2.remap(wide, columns + np.float32(30 - x), rows + np.float32(30 - y), cv2.INTER_CUBIC)
        for x, y in ((0, 0), (dx, dy))
    )
    return np.asarray(first), np.asarray(second)


@pytest.mark.parametrize(("dx", "dy"), [(0.3, -0.7), (1.5, 1), (0, 0)])
def test_shift_below_two_pixels_is_found_on_one_level(dx: float, dy: float) -> None:
    a, b = moved(dx, dy)
    flow = patch_search(a, b, AT_REST, (a, b), 5)
    assert np.abs(flow[10:-10, 10:-10] - [dx, dy]).mean() < 0.05


def test_result_on_a_smaller_grid_is_in_pixels_of_the_grid() -> None:
    a, b = moved(1.5, -1)
    flow = patch_search(a, b, AT_REST, (half(a), half(b)), 4)
    assert flow.shape == (50, 70, 2)
    assert np.abs(flow[6:-6, 6:-6] - [0.75, -0.5]).mean() < 0.05


def test_larger_shift_is_found_from_the_smallest_level() -> None:
    a, b = (pyramid(luma, 3) for luma in moved(7, -4))
    flow = search_levels(a, b, AT_REST, 4)
    assert np.abs(np.median(flow[16:-16, 16:-16], axis=(0, 1)) - [7, -4]).max() < 0.1


def test_good_start_is_kept_where_the_frame_is_flat() -> None:
    flat = np.full((40, 56), 90, np.float32)
    start = np.full((10, 14, 2), (1, -2), np.float32)  # a quarter of the size: 4 times as many pixels of the frame
    assert np.allclose(patch_search(flat, flat, start, (flat, flat), 5), (4, -8), atol=1e-4)


def test_brighter_frame_moves_alike() -> None:
    a, b = moved(1, 0.5)
    assert np.abs(patch_search(a, b + 20, AT_REST, (a, b), 5)[10:-10, 10:-10] - [1, 0.5]).mean() < 0.05


def test_frame_of_a_single_patch_and_start_far_outside() -> None:
    a = texture(PATCH, PATCH).astype(np.float32)
    flow = patch_search(a, a, np.full((1, 1, 2), 1000, np.float32), (a, a), 5)
    assert np.isfinite(flow).all()


def linear(plane: Array, x: float, y: float) -> float:
    """Return the bilinear value of ``plane`` at a position, its outermost pixels repeated beyond it."""
    top, left = int(np.floor(y)), int(np.floor(x))
    rows, columns = ([min(max(n, 0), s - 1) for n in (p, p + 1)] for p, s in ((top, len(plane)), (left, len(plane[0]))))
    return float(np.array([top + 1 - y, y - top]) @ plane[np.ix_(rows, columns)] @ np.array([left + 1 - x, x - left]))


def mean_of_patches(a: Array, b: Array, patches: Array, stride: int, side: int) -> Array:
    """Return the flow of `_densify`, pixel by pixel; ``side`` and ``stride`` of the patches are in pixels of ``a``."""
    h, w = a.shape
    sums = np.zeros((h, w, 3))
    for gy, gx in np.ndindex(*patches.shape[:2]):
        u, v = patches[gy, gx]
        for row, col in np.ndindex(side, side):
            y, x = min(gy * stride, h - side) + row, min(gx * stride, w - side) + col
            value = linear(b, x + u, y + v)
            sums[y, x] += np.array([u, v, 1]) / max(abs(value - a[y, x]), LEAST_DIFFERENCE)
    return sums[..., :2] / sums[..., 2:]


@pytest.mark.parametrize("is_half", [False, True])
def test_mean_of_patches_is_that_pixel_by_pixel(is_half: bool) -> None:
    a, b = (plane[:33, :43] for plane in moved(1.5, -1))
    unit, side = (2, PATCH // 2) if is_half else (1, PATCH)
    size = (a.shape[0] * unit, a.shape[1] * unit)
    rows, columns = (-(-(length - PATCH) // 4) + 1 for length in size)
    patches = np.random.default_rng(0).uniform(-3, 3, (rows, columns, 2)).astype(np.float32)
    flow = _densify(np.ascontiguousarray(a), with_border(np.ascontiguousarray(b)), patches, 4, *size)
    expected = mean_of_patches(np.ascontiguousarray(a), np.ascontiguousarray(b), patches / unit, 4 // unit, side)
    assert np.abs(flow - expected).max() < 2e-3


def searched_patch_by_patch(a: Array, b: Array, start: Array, stride: int) -> Array:
    """Return the displacements of `_search` by two whole passes, each of which tries and descends from everything."""
    h, w = a.shape
    across, down = (cv2.Sobel(a, cv2.CV_32F, *order, ksize=1, scale=0.5) for order in ((1, 0), (0, 1)))
    tops, lefts = ([min(n, side - PATCH) for n in range(0, side - PATCH + stride, stride)] for side in (h, w))
    found = np.array([[start[min(y + 4, h - 1), min(x + 4, w - 1)] for x in lefts] for y in tops])

    def compared(top: int, left: int, at: Array) -> tuple[float, Array]:
        patch = np.s_[top : top + PATCH, left : left + PATCH]
        centre = (float(left + at[0]) + (PATCH - 1) / 2, float(top + at[1]) + (PATCH - 1) / 2)
        difference = cv2.getRectSubPix(b, (PATCH, PATCH), centre) - a[patch]
        slopes = np.stack([side[patch] - side[patch].mean() for side in (across, down)]).reshape(2, -1)
        step = np.linalg.solve(slopes @ slopes.T + DAMPING * np.eye(2), slopes @ difference.reshape(-1))
        return float(difference.var()), step

    places = [(gy, gx) for gy in range(len(tops)) for gx in range(len(lefts))]
    for turn, order in ((1, places), (-1, places[::-1])):
        for gy, gx in order:
            tried = [(gy, gx), (gy, gx - turn), (gy - turn, gx)]
            near = [found[y, x] for y, x in tried if 0 <= y < len(tops) and 0 <= x < len(lefts)]
            best, (error, step) = min(
                ((one, compared(tops[gy], lefts[gx], one)) for one in near), key=lambda pair: pair[1][0]
            )
            for _ in range(DESCENTS):
                further = compared(tops[gy], lefts[gx], best - step)
                if further[0] >= error:
                    break
                best, (error, step) = best - step, further
            found[gy, gx] = best
    return found


def test_search_that_skips_what_cannot_help_finds_what_a_whole_one_finds() -> None:
    a, b = (np.ascontiguousarray(plane[20:60, 20:70]) for plane in moved(1.5, -1))
    start = np.zeros((40, 50, 2), np.float32)
    across, down = (cv2.Sobel(a, cv2.CV_32F, *order, ksize=1, scale=0.5) for order in ((1, 0), (0, 1)))
    found = _search(a, across, down, with_border(b), start, 5)
    expected = searched_patch_by_patch(a, b, start, 5)
    difference = np.abs(found - expected)[1:-1, 1:-1]
    assert np.median(difference) < 0.01
    assert difference.max() < 0.1
