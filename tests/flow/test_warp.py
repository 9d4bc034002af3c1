"""Warping: kernels against slow twins."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from tests.flow.synthetic import Plane, bilinear, texture
from tests.tiers import examples
from vidsr.flow.projection import straight_displacements
from vidsr.flow.warp import add_spline_row, mismatch, render, sample_spline, spline_coefficients


def spline_value(plane: Plane, x: float, y: float) -> float:
    """Return the value at (x, y) of the cubic spline through the pixels of a mirrored plane, by solving for it."""

    def weights(position: float, length: int) -> npt.NDArray[np.float64]:
        row = np.zeros(length)
        for k in range(math.floor(position) - 1, math.floor(position) + 3):
            d = abs(position - k)
            weight = 2 / 3 - d * d + d**3 / 2 if d < 1 else max(2 - d, 0) ** 3 / 6
            mirrored = abs(k) if abs(k) < length else 2 * (length - 1) - abs(k)
            row[mirrored] += weight
        return row

    h, w = plane.shape
    through_rows, through_columns = (np.stack([weights(n, length) for n in range(length)]) for length in (h, w))
    coefficients = np.linalg.solve(through_rows, plane.astype(np.float64)) @ np.linalg.inv(through_columns).T
    return float(weights(y, h) @ coefficients @ weights(x, w))


@examples(30)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_render_samples_the_spline_through_the_pixels(u: float, v: float) -> None:
    plane = np.random.default_rng(5).uniform(0, 255, (24, 29)).astype(np.float32)
    field = np.broadcast_to(np.float32([-u, -v, 0, 0, 0, 0]), (24, 29, 6)).copy()
    coefficients = spline_coefficients(plane)
    result = render(plane, plane, coefficients, coefficients, np.zeros_like(plane), field, 1.0)
    for row, col in ((12, 14), (2, 3), (21, 26), (0, 0)):
        x, y = min(max(col - u, 0), 28), min(max(row - v, 0), 23)
        assert result[row, col] == pytest.approx(spline_value(plane, x, y), abs=0.2)


def test_a_row_of_positions_is_added_as_each_alone() -> None:
    rng = np.random.default_rng(4)
    coefficients = rng.uniform(0, 255, (9, 11)).astype(np.float32)
    x, y = (rng.uniform(-2, length + 1, 200).astype(np.float32) for length in (11, 9))  # inside, at borders, outside
    x[:3], y[:3] = (0, 1, 8), (0, 1, 6)
    before, factors = rng.uniform(-9, 9, (2, 200)).astype(np.float32)
    factors[::3] = 0
    values = before.copy()
    add_row(coefficients, x, y, factors, values)
    alone = np.array([sampled(coefficients, *at) for at in zip(x, y, strict=True)])
    assert np.allclose(values, before + factors * alone, atol=1e-2)


@njit
def add_row(coefficients, x, y, factors, values):  # type: ignore[no-untyped-def]
    add_spline_row(coefficients, x, y, factors, np.empty((8, len(x)), np.float32), np.empty(len(x), np.int32), values)


@njit
def sampled(coefficients, x, y):  # type: ignore[no-untyped-def]
    return sample_spline(coefficients, x, y)


def test_displacements_are_in_pixels_of_the_motion_field() -> None:
    a, b = texture(48, 64), texture(48, 64, seed=1)
    field = np.zeros((24, 32, 6), np.float32)
    field[..., 0] = -1.5  # field pixels: three of the plane
    result = render(a, b, spline_coefficients(a), spline_coefficients(b), np.zeros_like(a), field, 0.5)
    assert np.abs(result[:, 8:-8] - np.roll(a, 3, axis=1)[:, 8:-8]).max() < 0.1


def test_field_of_another_size_is_interpolated_at_each_pixel() -> None:
    rng = np.random.default_rng(6)
    planes = rng.uniform(0, 255, (2, 13, 18)).astype(np.float32)
    field = rng.uniform(-2, 2, (5, 7, 6)).astype(np.float32)
    field[..., 4:] = rng.uniform(0, 1, (5, 7, 2))
    mask = rng.uniform(0, 1, (13, 18)).astype(np.float32)
    splines = [spline_coefficients(plane) for plane in planes]
    sx, sy, phase = 18 / 7, 13 / 5, 0.25
    expected = np.empty((13, 18))
    for row in range(13):
        for col in range(18):
            at = (col + 0.5) / sx - 0.5, (row + 0.5) / sy - 0.5
            ax, ay, bx, by, weight, static = (float(bilinear(field[..., n], *at)) for n in range(6))
            from_a = sampled(splines[0], np.float32(col + sx * ax), np.float32(row + sy * ay))
            from_b = sampled(splines[1], np.float32(col + sx * bx), np.float32(row + sy * by))
            static = max(static, mask[row, col])
            mean = (1 - phase) * planes[0, row, col] + phase * planes[1, row, col]
            expected[row, col] = (1 - static) * ((1 - weight) * from_a + weight * from_b) + static * mean
    assert np.allclose(render(*planes, *splines, mask, field, phase), expected, atol=0.05)


def test_mismatch_compares_both_frames_where_displacements_lead() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.uniform(0, 255, (2, 9, 11)).astype(np.float32)
    displacements = rng.uniform(-4, 4, (9, 11, 4)).astype(np.float32)
    expected = np.empty((9, 11))
    for row in range(9):
        for col in range(11):
            ax, ay, bx, by = displacements[row, col]
            expected[row, col] = abs(bilinear(a, col + ax, row + ay) - bilinear(b, col + bx, row + by))
    assert np.allclose(mismatch(a, b, displacements), expected, atol=0.01)


def test_mismatch_is_zero_along_the_true_motion() -> None:
    wide = texture(60, 100)
    a, b = wide[:, 10:80].copy(), wide[:, 6:76].copy()
    motion = np.broadcast_to(np.float32([4, 0]), (60, 70, 2)).copy()
    assert mismatch(a, b, straight_displacements(motion, 0.5))[:, 4:-4].max() < 1e-3
    assert mismatch(a, b, straight_displacements(0 * motion, 0.5)).mean() > 5
