"""Frames beyond a pair, asked which of its two moved frames shows what is there."""

from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidsr.flow.flow_engine import FlowEngine
from vidsr.flow.temporal_check import checked_share, mismatch_beyond
from vidsr.frames import FrameBatch, Origin

Plane = npt.NDArray[np.float32]
PHASE = Fraction(1, 2)


def linear(plane: Plane, x: float, y: float) -> float:
    """The value at (x, y), held inside the picture."""
    h, w = plane.shape
    x, y = min(max(x, 0), w - 1), min(max(y, 0), h - 1)
    x0, y0 = int(x), int(y)
    x1, y1, fx, fy = min(x0 + 1, w - 1), min(y0 + 1, h - 1), x - x0, y - y0
    upper, lower = (plane[row, x0] * (1 - fx) + plane[row, x1] * fx for row in (y0, y1))
    return float(upper * (1 - fy) + lower * fy)


def random(seed: int, *size: int, reach: float = 3) -> Plane:
    return np.random.default_rng(seed).uniform(-reach, reach, size).astype(np.float32)


def test_the_frame_beyond_is_seen_along_both_ways() -> None:
    h, w = 7, 9
    near, far = (128 + random(seed, h, w, reach=100) for seed in (0, 1))
    displacements, motion = random(2, h, w, 2), random(3, h, w, 2)
    expected = np.empty_like(near)
    for row in range(h):
        for col in range(w):
            x, y = col + displacements[row, col, 0], row + displacements[row, col, 1]
            u, v = (linear(motion[..., n], x, y) for n in (0, 1))
            expected[row, col] = abs(linear(far, x + u, y + v) - linear(near, x, y))
    assert np.abs(mismatch_beyond(near, far, displacements, motion) - expected).max() < 0.05


def test_the_frame_that_is_borne_out_counts_more() -> None:
    share, nothing, much = (np.full((8, 8), value, np.float32) for value in (0.5, 0, 40))
    assert np.allclose(checked_share(share, much, nothing, nothing), share)
    assert np.allclose(checked_share(share, much, much, much), share)
    assert checked_share(share, much, nothing, much).max() < 0.05
    assert checked_share(share, much, much, nothing).min() > 0.95


def test_frames_that_agree_or_differ_less_than_those_beyond_are_left_alone() -> None:
    share, nothing, little, much = (np.full((8, 8), value, np.float32) for value in (0.5, 0, 10, 40))
    assert np.array_equal(checked_share(share, nothing, nothing, much), share)
    assert np.abs(checked_share(share, little, little, much) - share).max() < 0.05


def test_what_only_one_frame_sees_stays_so_and_time_runs_backward_the_same() -> None:
    share = np.abs(random(0, 12, 12, reach=1))
    apart, missed_a, missed_b = (np.abs(random(seed, 12, 12, reach=60)) for seed in (1, 2, 3))
    share[:3], share[-3:] = 0, 1
    result = checked_share(share, apart, missed_a, missed_b)
    assert (result[:3] == 0).all() and (result[-3:] == 1).all()
    assert np.allclose(result, 1 - checked_share(1 - share, apart, missed_b, missed_a), atol=1e-5)


def scene(time: int, speck: bool = False) -> FrameBatch:
    """A texture that moves to the right by 4 pixels a frame; ``speck``: dust on this frame of the film."""
    noise = np.random.default_rng(0).uniform(16, 200, (60, 80)).astype(np.float32)
    wide = cv2.resize(noise, (480, 360), interpolation=cv2.INTER_CUBIC)
    luma = wide[100:228, 100 - 4 * time : 260 - 4 * time].round().clip(0, 255).astype(np.uint8)
    if speck:
        luma[60:68, 76:86] = 255
    return FrameBatch(torch.from_numpy(luma)[None, None], None, (Fraction(time),), (Origin(0),))


def test_a_speck_on_one_frame_hardly_shows_between_frames() -> None:
    alone, asked = shares_of_the_second([scene(0), scene(1), scene(2, speck=True), scene(3)])
    assert asked[30:34, 39:44].mean() < 0.5 * alone[30:34, 39:44].mean()


def test_a_frame_long_before_is_no_witness() -> None:
    alone, asked = shares_of_the_second([scene(-4), scene(1), scene(2, speck=True), scene(3)])
    assert np.array_equal(alone, asked)


def shares_of_the_second(frames: list[FrameBatch]) -> tuple[Plane, Plane]:
    """The share of the third of four frames between the middle two; the others unknown, and known."""
    before, pair, after = (FlowEngine().prepare(a, b) for a, b in pairwise(frames))
    return pair.field(PHASE)[..., 4], pair.field(PHASE, before.motion, after.motion)[..., 4]
