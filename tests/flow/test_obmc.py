"""Overlapped block motion compensation: kernels against slow twins, and weights that follow the mismatch."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.flow.synthetic import bilinear
from vidsr.flow.obmc import NEIGHBOURHOOD, NOISE, _mismatches, _weights, obmc_predict, obmc_weights
from vidsr.flow.patch_search import half
from vidsr.flow.search import resize_displacements
from vidsr.flow.warp import spline_coefficients

Array = npt.NDArray[Any]


def soft_texture(height: int, width: int, seed: int = 0) -> Array:
    """Return smooth luma, 8-bit code values."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height // 4 + 2, width // 4 + 2)).astype(np.float32)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)).clip(0, 255)


def shifted_pair(shift: int) -> tuple[Array, Array]:
    """Return two frames with motion to the right by ``shift`` pixels."""
    wide = soft_texture(64, 160)
    return wide[:, 32:128].copy(), wide[:, 32 - shift : 128 - shift].copy()


def uniform(shift: float, phase: float, size: tuple[int, int] = (32, 48)) -> Array:
    """Return the displacements of such a motion, at half the size of the frames."""
    return np.full((*size, 4), [-phase * shift / 2, 0, (1 - phase) * shift / 2, 0], np.float32)


def random_displacements(seed: int) -> Array:
    return np.random.default_rng(seed).uniform(-3, 3, (8, 10, 4)).astype(np.float32)


def test_mismatch_is_measured_along_the_displacement_at_each_offset() -> None:
    a, b, displacements = soft_texture(16, 20, 1), soft_texture(16, 20, 2), random_displacements(0)
    result = _mismatches(a, b, resize_displacements(displacements, a.shape), (2 * NEIGHBOURHOOD).astype(np.int32))
    for n, (dx, dy) in enumerate(NEIGHBOURHOOD):
        for row, col in ((0, 0), (7, 3), (15, 19), (8, 12)):
            au, av, bu, bv = 2 * bilinear(displacements, (col + 0.5) / 2 - 0.5 + dx, (row + 0.5) / 2 - 0.5 + dy)
            expected = abs(bilinear(a, col + au, row + av) - bilinear(b, col + bu, row + bv))
            assert result[n, row, col] == pytest.approx(float(expected), abs=1e-3)


def test_prediction_is_the_weighted_mean_over_all_offsets() -> None:
    rng = np.random.default_rng(3)
    weights = rng.random((8, 10, len(NEIGHBOURHOOD)), np.float32)
    displacements = np.rint(random_displacements(1))  # at whole pixels the spline equals the plane
    planes = [soft_texture(8, 10, seed) for seed in (1, 2)]
    result = obmc_predict(*(spline_coefficients(plane) for plane in planes), displacements, weights, NEIGHBOURHOOD)
    for row, col in np.ndindex(8, 10):
        for side, plane in enumerate(planes):
            total = 0.0
            for n, (dx, dy) in enumerate(NEIGHBOURHOOD):
                at = displacements[np.clip(row + int(dy), 0, 7), np.clip(col + int(dx), 0, 9)]
                x, y = (np.clip((col, row)[i] + int(at[2 * side + i]), 0, (9, 7)[i]) for i in (0, 1))
                total += weights[row, col, n] * plane[y, x]
            assert result[side, row, col] == pytest.approx(total, abs=1)


def test_weights_fall_with_the_fourth_power_of_the_mismatch() -> None:
    mismatches = np.random.default_rng(0).uniform(0, 30, (5, 6, 7)).astype(np.float32)
    weights = np.moveaxis((mismatches + NOISE) ** -4.0, 0, -1)
    assert np.allclose(_weights(mismatches), weights / weights.sum(-1, keepdims=True), atol=1e-5)


def test_displacement_that_matches_gets_almost_all_weight() -> None:
    a, b = (half(frame) for frame in shifted_pair(6))
    displacements = uniform(6, 0.5)
    displacements[:, 24:] = uniform(-8, 0.5)[:, 24:]
    weights = obmc_weights(a, b, displacements)
    assert np.allclose(weights.sum(-1), 1, atol=1e-5)
    # next to the border between both, on the side of the wrong displacement
    right = (NEIGHBOURHOOD[:, 0] < 0) @ np.moveaxis(weights[8:24, 24], -1, 0)
    assert right.mean() > 0.9


def test_displacements_that_match_equally_badly_get_equal_weights() -> None:
    dark, bright = np.zeros((16, 24), np.float32), np.full((16, 24), 90, np.float32)
    weights = obmc_weights(dark, bright, uniform(4, 0.5, (16, 24)))
    assert np.allclose(weights, 1 / len(NEIGHBOURHOOD), atol=1e-5)


def test_constant_plane_stays_constant() -> None:
    flat = np.full((32, 48), 77, np.float32)
    displacements = np.random.default_rng(0).uniform(-5, 5, (16, 24, 4)).astype(np.float32)
    coefficients = spline_coefficients(flat)
    weights = obmc_weights(half(flat), half(flat), displacements)
    result = obmc_predict(coefficients, coefficients, displacements, weights, NEIGHBOURHOOD)
    assert np.abs(result - 77).max() < 1e-3
