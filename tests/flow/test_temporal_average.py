"""Temporal average: weights against a slow twin, and warping by a flow field of any size."""

import cv2
import numpy as np
import pytest

from tests.flow.synthetic import Plane, texture
from vidsr.flow.temporal_average import temporal_average, warp_rows
from vidsr.flow.warp import spline_coefficients


def double_box_filter(plane: Plane) -> Plane:
    """Return the mean over 7 x 7 pixels, applied twice, with a mirrored border, pixel by pixel."""
    for _ in range(2):
        wide = np.pad(plane, 3, mode="reflect")
        rows = range(plane.shape[0])
        plane = np.array([[wide[y : y + 7, x : x + 7].mean() for x in range(plane.shape[1])] for y in rows], np.float32)
    return plane


@pytest.mark.parametrize("unit", [1.0, 1023 / 255])
def test_weights_equal_the_formula(unit: float) -> None:
    rng = np.random.default_rng(1)
    plane, other = (unit * (texture(40, 48) + 6 * rng.standard_normal((40, 48), np.float32)) for _ in range(2))
    no_motion = np.zeros((20, 24, 2), np.float32)
    variance = double_box_filter(plane * plane) - double_box_filter(plane) ** 2
    texture_variance = np.minimum(variance + 4 * unit * unit, 1000 * unit * unit)
    mismatch = np.maximum(double_box_filter((other - plane) ** 2), 0.25 * (other - plane) ** 2)
    weight = np.maximum(0, texture_variance - 0.5 * mismatch) / (texture_variance + 5 * mismatch)
    expected = (plane + weight * other) / (1 + weight)
    assert 0 < weight.min() < weight.max() < 1
    result = temporal_average(plane, [(spline_coefficients(other), no_motion)], unit)
    np.testing.assert_allclose(result, expected, atol=0.15 * unit)


def test_flow_of_another_size_is_scaled_and_faint_motion_is_damped() -> None:
    plane = texture(60, 80)
    flow = np.full((30, 40, 2), (2.0, -1.0), np.float32)
    kept = 25 / (25 + 0.5**4)
    warped = warp_rows(spline_coefficients(plane), flow, 10, 50)
    for row, col in ((10, 20), (33, 41), (49, 60)):
        expected = cv2.getRectSubPix(plane, (1, 1), (col + 4 * kept, row - 2 * kept))[0, 0]
        assert abs(warped[row - 10, col] - expected) < 3
    np.testing.assert_allclose(warp_rows(spline_coefficients(plane), flow * 0.01, 0, 60), plane, atol=0.5)
