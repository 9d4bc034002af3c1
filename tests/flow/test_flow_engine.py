"""Interpolation by optical flow: known motion, static content, and every size, depth and chroma format."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.flow.synthetic import Plane, as_frame, psnr, texture
from vidsr.flow.flow_engine import FAINT_MOTION, FlowEngine, without_faint_motion
from vidsr.frames import FrameBatch

HALF = Fraction(1, 2)


def between(a: Plane, b: Plane, phase: Fraction = HALF) -> Plane:
    """Return the luma interpolated at ``phase``."""
    y, _ = FlowEngine().prepare(as_frame(a), as_frame(b)).interpolate([phase])
    return np.asarray(y[0, 0].numpy())


@pytest.mark.parametrize("phase", [Fraction(1, 2), Fraction(1, 5), Fraction(9, 10)])
def test_pan_is_interpolated_at_any_phase(phase: Fraction) -> None:
    wide = texture(200, 400)

    def at(x: float) -> Plane:
        return np.asarray(cv2.getRectSubPix(wide, (240, 136), (140 + x, 90 + x / 2)))

    assert psnr(between(at(0), at(10), phase)[12:-12, 12:-12], at(10 * float(phase))[12:-12, 12:-12]) > 38


def test_uncovered_background_comes_from_the_frame_that_shows_it() -> None:
    background, patch = texture(144, 256), texture(48, 48, seed=3)

    def scene(x: int) -> Plane:
        luma = background.copy()
        luma[48:96, x : x + 48] = patch
        return luma

    result, blended = between(scene(90), scene(106)), (scene(90) + scene(106)) / 2
    assert psnr(result, scene(98)) > psnr(blended, scene(98)) + 6


def test_neighbouring_pairs_make_the_trajectory_curved() -> None:
    wide = texture(200, 400)

    def at(s: float) -> FrameBatch:
        view = np.asarray(cv2.getRectSubPix(wide, (240, 136), (200, 100 + 4 * s * s)))
        return replace(as_frame(view, None, torch.float32), times=(Fraction(s),))

    engine = FlowEngine()
    before, pair, after = (engine.prepare(at(s), at(s + 1)) for s in (-1, 0, 1))
    truth = at(0.5).y[0, 0].numpy()
    sides = ((before.motion, after.motion), ())
    curved, straight = (pair.interpolate([HALF], *side)[0][0, 0].numpy() for side in sides)
    inner = np.s_[12:-12, 12:-12]
    assert psnr(curved[inner], truth[inner]) > psnr(straight[inner], truth[inner]) + 6


def test_subtitle_over_a_pan_stays_sharp_and_in_place() -> None:
    wide = texture(200, 400, finest=8)

    def write(luma: npt.NDArray[np.uint8], value: int, thickness: int) -> None:
        cv2.putText(luma, "Subtitle", (40, 120), cv2.FONT_HERSHEY_SIMPLEX, 1, value, thickness, cv2.LINE_AA)

    def scene(x: int) -> Plane:
        luma = wide[20:164, 40 + x : 296 + x].astype(np.uint8)
        write(luma, 0, 5)
        write(luma, 235, 2)
        return luma.astype(np.float32)

    ink = np.zeros((144, 256), np.uint8)
    write(ink, 255, 2)
    text = ink > 200
    result, truth = between(scene(0), scene(12)), scene(6)
    assert np.abs(result - truth)[text].mean() < 4
    assert psnr(result, truth) > psnr((scene(0) + scene(12)) / 2, truth) + 3


def test_motion_that_matches_worse_than_the_unwarped_frames_is_not_used() -> None:
    smooth = cv2.GaussianBlur(texture(144, 256), (0, 0), 8)  # without structure for the static mask
    a, b = smooth, smooth + 2
    pair = FlowEngine().prepare(as_frame(a, None, torch.float32), as_frame(b, None, torch.float32))
    wrong = np.full_like(pair.motion.forward, 12)
    pair._motion = replace(pair.motion, forward=wrong, backward=-wrong)
    result = pair.interpolate([HALF])[0][0, 0].numpy()
    warped = np.abs(np.roll(a, (12, 12), axis=(0, 1)) - np.roll(a, (-12, -12), axis=(0, 1)))[30:-30, 30:-30]
    assert warped.mean() > 15
    assert np.abs(result - (a + b) / 2)[30:-30, 30:-30].mean() < 0.5


def test_equal_frames_stay_unchanged() -> None:
    luma = np.round(texture(90, 160))
    assert np.abs(between(luma, luma) - luma).max() < 0.02


def test_constant_frames_are_blended_by_phase() -> None:
    a, b = np.full((64, 96), 100, np.float32), np.full((64, 96), 120, np.float32)
    assert np.abs(between(a, b, Fraction(1, 4)) - 105).max() < 0.05


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 9), (45, 61), (33, 200)])
@pytest.mark.parametrize("chroma", [None, "420", "422", "444"])
def test_any_size_and_chroma_format(size: tuple[int, int], chroma: str | None) -> None:
    a, b = texture(*size), texture(*size, seed=1)
    y, uv = FlowEngine().prepare(as_frame(a, chroma), as_frame(b, chroma)).interpolate([Fraction(1, 3), HALF])
    assert y.shape == (2, 1, *size) and y.dtype == torch.float32
    expected = as_frame(a, chroma).uv
    assert (uv is None) if expected is None else (uv is not None and uv.shape == (2, *expected.shape[1:]))


@pytest.mark.parametrize(
    ("depth", "dtype"), [(10, torch.uint16), (12, torch.uint16), (16, torch.uint16), (8, torch.float32)]
)
def test_other_depths_give_the_same_result_as_eight_bits(depth: int, dtype: torch.dtype) -> None:
    wide = texture(90, 200)
    a, b = wide[:, :160], wide[:, 5:165]
    peak = (1 << depth) - 1
    eight, _ = FlowEngine(8).prepare(as_frame(a), as_frame(b)).interpolate([HALF])
    frames = (as_frame(plane, None, dtype, peak) for plane in (a, b))
    deep, _ = FlowEngine(depth).prepare(*frames).interpolate([HALF])
    assert psnr(deep[0, 0].numpy() * (255 / peak), eight[0, 0].numpy()) > 45


def test_chroma_moves_with_luma() -> None:
    wide = texture(120, 300)
    a, b, truth = (as_frame(wide[:, x : x + 240], "420") for x in (0, 16, 8))
    _, uv = FlowEngine().prepare(a, b).interpolate([HALF])
    assert uv is not None and truth.uv is not None
    assert psnr(uv[0, 0, 6:-6, 12:-12].numpy(), truth.uv[0, 0, 6:-6, 12:-12].numpy()) > 40


def test_reversed_time_gives_the_same_frame() -> None:
    wide = texture(90, 200)
    a, b = wide[:, :160].copy(), wide[:, 7:167].copy()
    assert psnr(between(a, b, Fraction(1, 4)), between(b, a, Fraction(3, 4))) > 55


def test_faint_motion_is_damped_and_larger_motion_is_kept() -> None:
    displacements = np.zeros((2, 3, 4), np.float32)
    displacements[..., 0], displacements[..., 2] = -0.5, 0.5  # per pixel of motion over the interval
    for motion, kept in ((FAINT_MOTION / 5, 0.0), (FAINT_MOTION, 0.5), (5 * FAINT_MOTION, 1.0), (20.0, 1.0)):
        result = without_faint_motion(displacements * np.float32(motion))
        assert result[..., 2] == pytest.approx(0.5 * motion * kept, rel=0.02, abs=0.01)


def test_noisy_static_frame_is_as_good_as_by_blending() -> None:
    rng = np.random.default_rng(3)
    still = texture(96, 128)
    a, truth, b = (np.clip(still + rng.normal(0, 2, still.shape), 0, 255).round().astype(np.float32) for _ in range(3))
    assert psnr(between(a, b), truth) > psnr((a + b) / 2, truth) - 0.1
