"""Dense inverse search on one level: known shifts are found, flat and tiny frames do no harm."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.flow.synthetic import texture
from vidsr.flow.patch_search import PATCH, half, patch_search, pyramid, search_levels

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
