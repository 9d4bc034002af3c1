"""Flow projection: kernels against slow twins, occlusion, and accelerated motion."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.flow.synthetic import Plane, bilinear
from tests.tiers import examples
from vidsr.flow.projection import (
    _fill,
    _splat,
    acceleration,
    confidence,
    curved_displacements,
    project,
    straight_displacements,
)


def random_flow(seed: int, h: int = 11, w: int = 14, reach: float = 4) -> Plane:
    return np.random.default_rng(seed).uniform(-reach, reach, (h, w, 2)).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_confidence_falls_with_the_mismatch_and_the_disagreement_of_both_flows(seed: int) -> None:
    flow, back = random_flow(seed), random_flow(seed + 9)
    luma, other = (np.random.default_rng(n).uniform(0, 255, (11, 14)).astype(np.float32) for n in (seed, seed + 1))
    weight, disagreement = confidence(flow, back, luma, other)
    for row in range(11):
        for col in range(14):
            u, v = flow[row, col]
            x, y = col + u, row + v
            du, dv = (flow[row, col, n] + float(bilinear(back[..., n], x, y)) for n in (0, 1))
            distance = math.hypot(du, dv)
            mismatch = abs(float(bilinear(other, x, y)) - luma[row, col])
            assert disagreement[row, col] == pytest.approx(distance, abs=1e-4)
            assert weight[row, col] == pytest.approx(math.exp(-min(0.07 * mismatch + 0.3 * distance, 20)), abs=1e-5)


@examples(15)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_splatting_adds_to_four_weighted_neighbours(seed: int, phase: float) -> None:
    forward, backward = random_flow(seed), random_flow(seed + 1)
    weights = np.random.default_rng(seed).random((2, 11, 14), np.float32)
    expected = np.zeros((2, 11, 14, 3))
    for n, (flow, reach, sign) in enumerate(((forward, phase, 1), (backward, 1 - phase, -1))):
        for row in range(11):
            for col in range(14):
                u, v = flow[row, col].astype(np.float64)
                x, y = col + reach * u, row + reach * v
                for ty in range(math.floor(y), math.floor(y) + 2):
                    for tx in range(math.floor(x), math.floor(x) + 2):
                        if 0 <= tx < 14 and 0 <= ty < 11:
                            share = weights[n, row, col] * (1 - abs(tx - x)) * (1 - abs(ty - y))
                            expected[n, ty, tx] += share * np.array([sign * u, sign * v, 1])
    assert np.allclose(_splat(forward, backward, *weights, phase), expected, atol=1e-4)


def test_projection_of_uniform_motion_is_that_motion_everywhere() -> None:
    forward = np.broadcast_to(np.float32([5, -2]), (40, 60, 2)).copy()
    ones = np.ones((40, 60), np.float32)
    motion, weight = project(forward, -forward, ones, ones, 0.25)
    assert np.allclose(motion, forward, atol=1e-3)
    assert np.allclose(weight[8:-8, 8:-8], 0.25, atol=1e-3)


def test_weight_of_the_second_frame_follows_occlusion() -> None:
    forward, backward = np.zeros((2, 40, 80, 2), np.float32)
    forward[:, 20:40, 0], backward[:, 32:52, 0] = 12, -12  # an object 20 pixels wide that moves by 12
    confidence_a, confidence_b = np.ones((2, 40, 80), np.float32)
    confidence_a[:, 40:52] = confidence_b[:, 20:32] = 1e-3  # background that is occluded in the other frame
    _, weight = project(forward, backward, confidence_a, confidence_b, 0.5)
    middle = weight[10:30]
    assert middle[:, 22:24].min() > 0.6  # uncovered background behind the object: visible in the second frame
    assert middle[:, 48:50].max() < 0.4  # background in front of it, soon covered: visible in the first frame
    assert np.allclose(middle[:, 60:70], 0.5, atol=0.01)


@pytest.mark.parametrize("ratio", [1.0, 0.5, 2.0])
def test_acceleration_of_a_parabola_is_found_at_both_ends(ratio: float) -> None:
    ones = np.ones((20, 30), np.float32)

    def displacement(start: float, end: float) -> Plane:  # along x(s) = 3 s + 2 s^2, y(s) = -s^2: acceleration (4, -2)
        x, y = 3 * (end - start) + 2 * (end**2 - start**2), -(end**2 - start**2)
        return np.broadcast_to(np.float32([x, y]), (20, 30, 2)).copy()

    at_a = acceleration(displacement(0, 1), displacement(0, -ratio), ones, ones, ratio)
    at_b = acceleration(displacement(1, 0), displacement(1, 1 + ratio), ones, ones, ratio)
    for found in (at_a, at_b):
        assert np.allclose(found, [4, -2, 1], atol=0.02)
    for phase in (0.25, 0.5):
        displacements = curved_displacements(displacement(0, 1), phase, at_a, at_b)
        assert np.allclose(displacements[..., :2], displacement(phase, 0), atol=0.02)
        assert np.allclose(displacements[..., 2:], displacement(phase, 1), atol=0.02)


def test_contradicting_accelerations_leave_the_trajectory_straight() -> None:
    motion = np.broadcast_to(np.float32([5, 0]), (20, 30, 2)).copy()
    at_a = np.broadcast_to(np.float32([30, 0, 1]), (20, 30, 3)).copy()
    at_b = at_a * np.float32([-1, 1, 1])
    assert np.allclose(curved_displacements(motion, 0.5, at_a, at_b), straight_displacements(motion, 0.5), atol=1e-3)


def test_holes_take_the_motion_of_coarser_levels() -> None:
    sums = np.random.default_rng(3).random((9, 12, 3), np.float32)
    sums[3:7, 4:9] = 0  # a hole

    def filled(level: Plane) -> Plane:
        h, w = level.shape[:2]
        if min(h, w) <= 2:
            return np.asarray(level[..., :2] / level[..., 2:])
        coarser = cv2.resize(level, (-(-w // 2), -(-h // 2)), interpolation=cv2.INTER_AREA)
        above = cv2.resize(filled(coarser), (w, h), interpolation=cv2.INTER_LINEAR)
        return np.asarray((level[..., :2] + 0.01 * above) / (level[..., 2:] + 0.01))

    assert np.allclose(_fill(sums), filled(sums), atol=1e-4)
