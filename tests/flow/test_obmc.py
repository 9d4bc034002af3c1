"""Motion refined at a moment between two frames, and frames expected along several motions."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vidsr.flow.obmc import NEIGHBOURHOOD, _mismatches, obmc_predict, obmc_weights
from vidsr.flow.search import refine_displacements, resize_displacements
from vidsr.flow.warp import spline_coefficients

Array = npt.NDArray[Any]


def texture(height: int, width: int, seed: int = 0) -> Array:
    """A soft picture, 8-bit code values."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height // 4 + 2, width // 4 + 2)).astype(np.float32)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)).clip(0, 255)


def apart(shift: float) -> tuple[Array, Array]:
    """Two frames of a picture that moves to the right by ``shift`` pixels."""
    wide = texture(64, 160)
    rows = np.broadcast_to(np.arange(64, dtype=np.float32)[:, None], (64, 96))
    first, second = (
        cv2.remap(wide, np.float32(32 - x) + np.arange(96, dtype=np.float32) + 0 * rows, rows, cv2.INTER_CUBIC)
        for x in (0.0, shift)
    )
    return np.asarray(first), np.asarray(second)


def straight(shift: float, phase: float, size: tuple[int, int] = (32, 48)) -> Array:
    """The displacements of a picture that moves so, at half of its size."""
    return np.full((*size, 4), [-phase * shift / 2, 0, (1 - phase) * shift / 2, 0], np.float32)


def random_ways(seed: int) -> Array:
    return np.random.default_rng(seed).uniform(-3, 3, (8, 10, 4)).astype(np.float32)


def linear(plane: Array, x: float, y: float) -> Array:
    """The slow twin: the value at (x, y) between pixels, held inside."""
    h, w = plane.shape[:2]
    x, y = min(max(x, 0), w - 1), min(max(y, 0), h - 1)
    x0, y0 = min(int(x), w - 2), min(int(y), h - 2)
    fx, fy = x - x0, y - y0
    upper = plane[y0, x0] * (1 - fx) + plane[y0, x0 + 1] * fx
    lower = plane[y0 + 1, x0] * (1 - fx) + plane[y0 + 1, x0 + 1] * fx
    return np.asarray(upper * (1 - fy) + lower * fy)


def test_frames_are_compared_along_the_motion_found_around_each_pixel() -> None:
    a, b, displacements = texture(16, 20, 1), texture(16, 20, 2), random_ways(0)
    missed = _mismatches(a, b, displacements, NEIGHBOURHOOD)
    for n, (dx, dy) in enumerate(NEIGHBOURHOOD):
        for row, col in ((0, 0), (7, 3), (15, 19), (8, 12)):
            au, av, bu, bv = 2 * linear(displacements, (col + 0.5) / 2 - 0.5 + dx, (row + 0.5) / 2 - 0.5 + dy)
            there = abs(linear(a, col + au, row + av) - linear(b, col + bu, row + bv))
            assert missed[n, row, col] == pytest.approx(float(there), abs=1e-3)


def test_planes_are_averaged_by_the_chances_of_the_motions() -> None:
    rng = np.random.default_rng(3)
    weights = rng.random((8, 10, len(NEIGHBOURHOOD)), np.float32)
    displacements = np.rint(random_ways(1))  # at whole pixels a spline is known: it goes through the plane's
    planes = [texture(8, 10, seed) for seed in (1, 2)]
    sides = obmc_predict(*(spline_coefficients(plane) for plane in planes), displacements, weights, NEIGHBOURHOOD)
    for row, col in np.ndindex(8, 10):
        for side, plane in enumerate(planes):
            total = 0.0
            for n, (dx, dy) in enumerate(NEIGHBOURHOOD):
                at = displacements[np.clip(row + int(dy), 0, 7), np.clip(col + int(dx), 0, 9)]
                x, y = (np.clip((col, row)[i] + int(at[2 * side + i]), 0, (9, 7)[i]) for i in (0, 1))
                total += weights[row, col, n] * plane[y, x]
            assert sides[side, row, col] == pytest.approx(total, abs=1)


def test_motion_that_explains_the_pair_counts_almost_alone() -> None:
    a, b = apart(6)
    displacements = straight(6, 0.5)
    displacements[:, 24:] = straight(-8, 0.5)[:, 24:]
    weights = obmc_weights(a, b, displacements)
    assert np.allclose(weights.sum(-1), 1, atol=1e-5)
    right = (NEIGHBOURHOOD[:, 0] < 0) @ np.moveaxis(weights[8:24, 24], -1, 0)  # beside the border, on the wrong side
    assert right.mean() > 0.9


def test_motions_that_explain_nothing_count_alike() -> None:
    weights = obmc_weights(
        np.zeros((32, 48), np.float32), np.full((32, 48), 90, np.float32), straight(4, 0.5, (16, 24))
    )
    assert np.allclose(weights, 1 / len(NEIGHBOURHOOD), atol=1e-5)


def test_brightness_that_is_constant_stays() -> None:
    flat = np.full((32, 48), 77, np.float32)
    displacements = np.random.default_rng(0).uniform(-5, 5, (16, 24, 4)).astype(np.float32)
    sides = obmc_predict(
        spline_coefficients(flat),
        spline_coefficients(flat),
        displacements,
        obmc_weights(flat, flat, displacements),
        NEIGHBOURHOOD,
    )
    assert np.abs(sides - 77).max() < 1e-3


@pytest.mark.parametrize("phase", [0.5, 0.2])
def test_motion_that_was_missed_by_a_pixel_is_found(phase: float) -> None:
    a, b = apart(7)
    better = refine_displacements(a, b, straight(5.5, phase), phase)
    inner = (better - straight(7, phase))[6:-6, 8:-8]
    assert np.abs(inner).mean() < 0.05


def test_frames_that_are_alike_move_no_further() -> None:
    a, _ = apart(0)
    assert np.abs(refine_displacements(a, a, straight(0, 0.5), 0.5)).max() < 1e-3


def test_refined_motion_is_the_same_backward_in_time() -> None:
    a, b = apart(3)
    displacements = straight(2, 0.25) + np.random.default_rng(0).normal(0, 0.2, (32, 48, 4)).astype(np.float32)
    there, back = (
        refine_displacements(a, b, displacements, 0.25),
        refine_displacements(b, a, displacements[..., [2, 3, 0, 1]], 0.75),
    )
    assert np.allclose(there, back[..., [2, 3, 0, 1]], atol=1e-4)


def test_ways_are_in_pixels_of_their_own_size() -> None:
    displacements = straight(8, 0.5)
    assert np.allclose(resize_displacements(displacements, (64, 96)), 2 * displacements[0, 0], atol=1e-5)
    assert np.allclose(
        resize_displacements(resize_displacements(displacements, (64, 96)), (32, 48)), displacements, atol=1e-5
    )
