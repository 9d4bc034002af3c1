"""Flow search: known motion is found, and the refinement at a phase corrects it."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.flow.synthetic import texture
from vidsr.flow.patch_search import pyramid
from vidsr.flow.search import find_coarse_flow, find_flows, refine_displacements, resize_displacements

Array = npt.NDArray[Any]


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (7, -3), (-20, 5)])
def test_shift_is_found_in_both_directions(dx: int, dy: int) -> None:
    wide = texture(260, 360)
    a, b = (wide[40 - y : 220 - y, 40 - x : 320 - x].astype(np.uint8) for x, y in ((0, 0), (dx, dy)))
    for flow, sign in zip(find_flows(a, b), (1, -1), strict=True):
        median = np.median(flow[30:-30, 30:-30], axis=(0, 1))
        assert np.abs(median - [sign * dx, sign * dy]).max() < 0.1


def frames_with_a_far_moving_ball() -> tuple[Array, Array]:
    """Return two frames; a ball of 28 pixels moves by (10, 42)."""
    background, ball = texture(270, 480, finest=6), texture(28, 28, seed=3)
    a, b = background.copy(), background.copy()
    a[60:88, 200:228] = ball
    b[102:130, 210:238] = ball
    return a.astype(np.uint8), b.astype(np.uint8)


def test_small_object_that_moves_far_is_found() -> None:
    flow, _ = find_flows(*frames_with_a_far_moving_ball())
    assert np.abs(np.median(flow[68:80, 208:220], axis=(0, 1)) - [10, 42]).max() < 2


def test_coarse_search_finds_the_small_object_and_the_still_background() -> None:
    a, b = (pyramid(luma.astype(np.float32), 5)[2:] for luma in frames_with_a_far_moving_ball())
    flow = 4 * find_coarse_flow(a, b)
    assert flow.shape == (67, 120, 2)
    assert np.abs(np.median(flow[17:20, 52:55], axis=(0, 1)) - [10, 42]).max() <= 2  # half of a coarse pixel
    assert np.abs(np.median(flow, axis=(0, 1))).max() < 0.1


def test_coarse_search_of_the_smallest_frames() -> None:
    a, b = (pyramid(texture(32, 32, seed=n).astype(np.float32), 5)[2:] for n in (0, 1))
    assert np.isfinite(find_coarse_flow(a, b)).all()


def shifted_pair(shift: float) -> tuple[Array, Array]:
    """Return two soft frames with motion to the right by ``shift`` pixels, 8-bit code values."""
    noise = np.random.default_rng(0).uniform(0, 255, (64 // 4 + 2, 160 // 4 + 2)).astype(np.float32)
    wide = np.asarray(cv2.resize(noise, (160, 64), interpolation=cv2.INTER_CUBIC)).clip(0, 255)
    rows = np.broadcast_to(np.arange(64, dtype=np.float32)[:, None], (64, 96))
    first, second = (
        cv2.remap(wide, np.float32(32 - x) + np.arange(96, dtype=np.float32) + 0 * rows, rows, cv2.INTER_CUBIC)
        for x in (0.0, shift)
    )
    return np.asarray(first), np.asarray(second)


def uniform(shift: float, phase: float) -> Array:
    """Return the displacements of such a motion, at half the size of the frames."""
    return np.full((32, 48, 4), [-phase * shift / 2, 0, (1 - phase) * shift / 2, 0], np.float32)


@pytest.mark.parametrize("phase", [0.5, 0.2])
def test_refinement_corrects_an_error_of_more_than_a_pixel(phase: float) -> None:
    a, b = shifted_pair(7)
    refined = refine_displacements(a, b, uniform(5.5, phase), phase)
    assert np.abs((refined - uniform(7, phase))[6:-6, 8:-8]).mean() < 0.05


def test_refinement_of_equal_frames_finds_no_motion() -> None:
    a, _ = shifted_pair(0)
    assert np.abs(refine_displacements(a, a, uniform(0, 0.5), 0.5)).max() < 1e-3


def test_refinement_is_the_same_in_reversed_time() -> None:
    a, b = shifted_pair(3)
    displacements = uniform(2, 0.25) + np.random.default_rng(0).normal(0, 0.2, (32, 48, 4)).astype(np.float32)
    forward = refine_displacements(a, b, displacements, 0.25)
    backward = refine_displacements(b, a, displacements[..., [2, 3, 0, 1]], 0.75)
    assert np.allclose(forward, backward[..., [2, 3, 0, 1]], atol=1e-4)


def test_resized_displacements_are_in_pixels_of_the_new_size() -> None:
    displacements = uniform(8, 0.5)
    larger = resize_displacements(displacements, (64, 96))
    assert np.allclose(larger, 2 * displacements[0, 0], atol=1e-5)
    assert np.allclose(resize_displacements(larger, (32, 48)), displacements, atol=1e-5)
