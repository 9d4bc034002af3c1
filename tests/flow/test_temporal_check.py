"""Temporal check: the frames before and after a pair decide which of its warped frames counts more."""

from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import torch

from tests.flow.synthetic import Plane, bilinear
from vidsr.flow.flow_engine import FlowEngine
from vidsr.flow.temporal_check import checked_weight, mismatch_beyond
from vidsr.frames import FrameBatch, Origin

PHASE = Fraction(1, 2)


def random(seed: int, *size: int, reach: float = 3) -> Plane:
    return np.random.default_rng(seed).uniform(-reach, reach, size).astype(np.float32)


def constants(*values: float) -> list[Plane]:
    return [np.full((8, 8), value, np.float32) for value in values]


def test_frame_beyond_is_compared_along_displacement_and_flow() -> None:
    h, w = 7, 9
    near, beyond = (128 + random(seed, h, w, reach=100) for seed in (0, 1))
    displacements, flow = random(2, h, w, 2), random(3, h, w, 2)
    expected = np.empty_like(near)
    for row in range(h):
        for col in range(w):
            x, y = col + displacements[row, col, 0], row + displacements[row, col, 1]
            u, v = (float(bilinear(flow[..., n], x, y)) for n in (0, 1))
            expected[row, col] = abs(bilinear(beyond, x + u, y + v) - bilinear(near, x, y))
    assert np.abs(mismatch_beyond(near, beyond, displacements, flow) - expected).max() < 0.05


def test_frame_that_matches_the_frame_beyond_gets_the_weight() -> None:
    weight, zero, large = constants(0.5, 0, 40)
    assert np.allclose(checked_weight(weight, large, zero, zero), weight)
    assert np.allclose(checked_weight(weight, large, large, large), weight)
    assert checked_weight(weight, large, zero, large).max() < 0.05
    assert checked_weight(weight, large, large, zero).min() > 0.95


def test_weight_is_unchanged_if_both_frames_match_or_differ_less_than_those_beyond() -> None:
    weight, zero, small, large = constants(0.5, 0, 10, 40)
    assert np.array_equal(checked_weight(weight, zero, zero, large), weight)
    assert np.abs(checked_weight(weight, small, small, large) - weight).max() < 0.05


def test_occlusion_is_kept_and_reversed_time_gives_the_same_weight() -> None:
    weight = np.abs(random(0, 12, 12, reach=1))
    mismatch, mismatch_a, mismatch_b = (np.abs(random(seed, 12, 12, reach=60)) for seed in (1, 2, 3))
    weight[:3], weight[-3:] = 0, 1
    result = checked_weight(weight, mismatch, mismatch_a, mismatch_b)
    assert (result[:3] == 0).all() and (result[-3:] == 1).all()
    assert np.allclose(result, 1 - checked_weight(1 - weight, mismatch, mismatch_b, mismatch_a), atol=1e-5)


def scene(time: int, speck: bool = False) -> FrameBatch:
    """Return a texture that moves to the right by 4 pixels a frame; ``speck``: with dust on this frame of the film."""
    noise = np.random.default_rng(0).uniform(16, 200, (60, 80)).astype(np.float32)
    wide = cv2.resize(noise, (480, 360), interpolation=cv2.INTER_CUBIC)
    luma = wide[100:228, 100 - 4 * time : 260 - 4 * time].round().clip(0, 255).astype(np.uint8)
    if speck:
        luma[60:68, 76:86] = 255
    return FrameBatch(torch.from_numpy(luma)[None, None], None, (Fraction(time),), (Origin(0),))


def second_weights(frames: list[FrameBatch]) -> tuple[Plane, Plane]:
    """Return the weight of the third of four frames between the middle two, without and with the outer frames."""
    before, pair, after = (FlowEngine().prepare(a, b) for a, b in pairwise(frames))
    return pair.field(PHASE)[..., 4], pair.field(PHASE, before.motion, after.motion)[..., 4]


def test_speck_on_one_frame_gets_less_weight() -> None:
    unchecked, checked = second_weights([scene(0), scene(1), scene(2, speck=True), scene(3)])
    assert checked[30:34, 39:44].mean() < 0.5 * unchecked[30:34, 39:44].mean()


def test_frame_long_before_the_pair_is_ignored() -> None:
    unchecked, checked = second_weights([scene(-4), scene(1), scene(2, speck=True), scene(3)])
    assert np.array_equal(unchecked, checked)
