"""Optical flow: kernels against slow twins, motion that is known, and what must not move."""

import math
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import examples
from vidsr.flow.flow_engine import FAINT_MOTION, FlowEngine, without_faint_motion
from vidsr.flow.projection import (
    _splat,
    acceleration,
    confidence,
    curved_displacements,
    project,
    straight_displacements,
)
from vidsr.flow.search import find_flows
from vidsr.flow.static_overlay import static_mask
from vidsr.flow.warp import mismatch, render, spline_coefficients
from vidsr.frames import FrameBatch, Origin

Plane = npt.NDArray[np.float32]
HALF = Fraction(1, 2)


def texture(height: int, width: int, seed: int = 0, finest: int = 4) -> Plane:
    """A picture with structure of several sizes, 8-bit code values."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width), np.float32)
    for cell, weight in ((32, 0.5), (12, 0.3), (finest, 0.2)):
        noise = rng.random((height // cell + 2, width // cell + 2), np.float32)
        picture += weight * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(16 + 219 * picture, 0, 255).astype(np.float32)


def frame(y: Plane, chroma: str | None = None, dtype: torch.dtype = torch.uint8, peak: int = 255) -> FrameBatch:
    def plane(values: Plane) -> torch.Tensor:
        scaled = torch.from_numpy(np.ascontiguousarray(values)) * (peak / 255)
        return scaled if dtype == torch.float32 else scaled.round().to(dtype)

    h, w = y.shape
    size = {None: None, "420": (-(-w // 2), -(-h // 2)), "422": (-(-w // 2), h), "444": (w, h)}[chroma]
    uv = None
    if size is not None:
        u = cv2.resize(y, size, interpolation=cv2.INTER_AREA)
        uv = plane(np.stack([u, 255 - u]))[None]
    return FrameBatch(plane(y)[None, None], uv, (Fraction(0),), (Origin(0),))


def between(a: Plane, b: Plane, phase: Fraction = HALF) -> Plane:
    y, _ = FlowEngine().prepare(frame(a), frame(b)).interpolate([phase])
    return np.asarray(y[0, 0].numpy())


def psnr(a: Plane, b: Plane) -> float:
    return float(10 * np.log10(255**2 / np.mean((a - b) ** 2)))


def random_flow(seed: int, h: int = 11, w: int = 14, reach: float = 4) -> Plane:
    return np.random.default_rng(seed).uniform(-reach, reach, (h, w, 2)).astype(np.float32)


# slow twins


def linear(plane: Plane, x: float, y: float) -> float:
    h, w = plane.shape
    x, y = min(max(x, 0), w - 1), min(max(y, 0), h - 1)
    x0, y0 = min(int(x), w - 2), min(int(y), h - 2)
    fx, fy = x - x0, y - y0
    square = plane[y0 : y0 + 2, x0 : x0 + 2].astype(np.float64)
    return float(np.array([1 - fy, fy]) @ square @ np.array([1 - fx, fx]))


@pytest.mark.parametrize("seed", range(3))
def test_trust_is_the_error_of_the_way_there_and_back(seed: int) -> None:
    flow, back = random_flow(seed), random_flow(seed + 9)
    luma, other = (np.random.default_rng(n).uniform(0, 255, (11, 14)).astype(np.float32) for n in (seed, seed + 1))
    weight, disagreement = confidence(flow, back, luma, other)
    for row in range(11):
        for col in range(14):
            u, v = flow[row, col]
            x, y = col + u, row + v
            du, dv = (flow[row, col, n] + linear(back[..., n], x, y) for n in (0, 1))
            away = math.hypot(du, dv)
            missed = abs(linear(other, x, y) - luma[row, col])
            assert disagreement[row, col] == pytest.approx(away, abs=1e-4)
            assert weight[row, col] == pytest.approx(math.exp(-min(0.07 * missed + 0.3 * away, 20)), abs=1e-5)


@examples(15)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_splatting_is_four_weighted_neighbours(seed: int, phase: float) -> None:
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


def spline_value(plane: Plane, x: float, y: float) -> float:
    """The cubic spline through the pixels of a mirrored plane, by solving for its coefficients."""

    def row_of(position: float, length: int) -> npt.NDArray[np.float64]:
        row = np.zeros(length)
        for k in range(math.floor(position) - 1, math.floor(position) + 3):
            d = abs(position - k)
            weight = 2 / 3 - d * d + d**3 / 2 if d < 1 else max(2 - d, 0) ** 3 / 6
            mirrored = abs(k) if abs(k) < length else 2 * (length - 1) - abs(k)
            row[mirrored] += weight
        return row

    h, w = plane.shape
    through_rows, through_columns = (np.stack([row_of(n, length) for n in range(length)]) for length in (h, w))
    coefficients = np.linalg.solve(through_rows, plane.astype(np.float64)) @ np.linalg.inv(through_columns).T
    return float(row_of(y, h) @ coefficients @ row_of(x, w))


@examples(30)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_warping_samples_the_spline_through_the_pixels(u: float, v: float) -> None:
    plane = np.random.default_rng(5).uniform(0, 255, (24, 29)).astype(np.float32)
    field = np.broadcast_to(np.float32([-u, -v, 0, 0, 0, 0]), (24, 29, 6)).copy()
    result = render(
        plane, plane, spline_coefficients(plane), spline_coefficients(plane), np.zeros_like(plane), field, 1.0
    )
    for row, col in ((12, 14), (2, 3), (21, 26), (0, 0)):
        x, y = min(max(col - u, 0), 28), min(max(row - v, 0), 23)
        assert result[row, col] == pytest.approx(spline_value(plane, x, y), abs=0.2)


def test_a_field_of_any_size_moves_a_plane_by_its_own_pixels() -> None:
    a, b = texture(48, 64), texture(48, 64, seed=1)
    field = np.zeros((24, 32, 6), np.float32)
    field[..., 0] = -1.5  # of its own pixels: three of the plane's
    result = render(a, b, spline_coefficients(a), spline_coefficients(b), np.zeros_like(a), field, 0.5)
    assert np.abs(result[:, 8:-8] - np.roll(a, 3, axis=1)[:, 8:-8]).max() < 0.1


def test_mismatch_is_nothing_along_the_true_motion() -> None:
    big = texture(60, 100)
    a, b = big[:, 10:80].copy(), big[:, 6:76].copy()
    motion = np.broadcast_to(np.float32([4, 0]), (60, 70, 2)).copy()
    assert mismatch(a, b, straight_displacements(motion, 0.5))[:, 4:-4].max() < 1e-3
    assert mismatch(a, b, straight_displacements(0 * motion, 0.5)).mean() > 5


# motion that is known


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (7, -3), (-20, 5)])
def test_a_shift_is_found(dx: int, dy: int) -> None:
    big = texture(260, 360)
    a, b = (big[40 - y : 220 - y, 40 - x : 320 - x].astype(np.uint8) for x, y in ((0, 0), (dx, dy)))
    for flow, sign in zip(find_flows(a, b), (1, -1), strict=True):
        median = np.median(flow[30:-30, 30:-30], axis=(0, 1))
        assert np.abs(median - [sign * dx, sign * dy]).max() < 0.1


def test_a_small_thing_that_moves_far_is_found() -> None:
    ground, ball = texture(270, 480, finest=6), texture(28, 28, seed=3)
    a, b = ground.copy(), ground.copy()
    a[60:88, 200:228] = ball
    b[102:130, 210:238] = ball
    flow, _ = find_flows(a.astype(np.uint8), b.astype(np.uint8))
    assert np.abs(np.median(flow[68:80, 208:220], axis=(0, 1)) - [10, 42]).max() < 2


@pytest.mark.parametrize("phase", [Fraction(1, 2), Fraction(1, 5), Fraction(9, 10)])
def test_a_moving_picture_is_right_at_any_phase(phase: Fraction) -> None:
    big = texture(200, 400)

    def at(x: float) -> Plane:
        return np.asarray(cv2.getRectSubPix(big, (240, 136), (140 + x, 90 + x / 2)))

    assert psnr(between(at(0), at(10), phase)[12:-12, 12:-12], at(10 * float(phase))[12:-12, 12:-12]) > 38


def test_uncovered_background_comes_from_the_frame_that_sees_it() -> None:
    ground, thing = texture(144, 256), texture(48, 48, seed=3)

    def scene(x: int) -> Plane:
        picture = ground.copy()
        picture[48:96, x : x + 48] = thing
        return picture

    result, blended = between(scene(90), scene(106)), (scene(90) + scene(106)) / 2
    assert psnr(result, scene(98)) > psnr(blended, scene(98)) + 6


def test_projection_of_one_motion_is_that_motion_everywhere() -> None:
    forward = np.broadcast_to(np.float32([5, -2]), (40, 60, 2)).copy()
    ones = np.ones((40, 60), np.float32)
    motion, share = project(forward, -forward, ones, ones, 0.25)
    assert np.allclose(motion, forward, atol=1e-3)
    assert np.allclose(share[8:-8, 8:-8], 0.25, atol=1e-3)


@pytest.mark.parametrize("ratio", [1.0, 0.5, 2.0])
def test_acceleration_of_a_parabola_is_found_at_both_ends(ratio: float) -> None:
    ones = np.ones((20, 30), np.float32)

    def moved(start: float, end: float) -> Plane:  # along x(s) = 3 s + 2 s^2, y(s) = -s^2: acceleration (4, -2)
        x, y = 3 * (end - start) + 2 * (end**2 - start**2), -(end**2 - start**2)
        return np.broadcast_to(np.float32([x, y]), (20, 30, 2)).copy()

    at_a = acceleration(moved(0, 1), moved(0, -ratio), ones, ones, ratio)
    at_b = acceleration(moved(1, 0), moved(1, 1 + ratio), ones, ones, ratio)
    for found in (at_a, at_b):
        assert np.allclose(found, [4, -2, 1], atol=0.02)
    for phase in (0.25, 0.5):
        displacements = curved_displacements(moved(0, 1), phase, at_a, at_b)
        assert np.allclose(displacements[..., :2], moved(phase, 0), atol=0.02)
        assert np.allclose(displacements[..., 2:], moved(phase, 1), atol=0.02)


def test_ends_that_contradict_each_other_leave_the_path_straight() -> None:
    motion = np.broadcast_to(np.float32([5, 0]), (20, 30, 2)).copy()
    one_way = np.broadcast_to(np.float32([30, 0, 1]), (20, 30, 3)).copy()
    other = one_way * np.float32([-1, 1, 1])
    assert np.allclose(
        curved_displacements(motion, 0.5, one_way, other), straight_displacements(motion, 0.5), atol=1e-3
    )


def test_neighbouring_pairs_bend_the_path() -> None:
    big = texture(200, 400)

    def at(s: float) -> FrameBatch:
        view = np.asarray(cv2.getRectSubPix(big, (240, 136), (200, 100 + 4 * s * s)))
        return replace(frame(view, None, torch.float32), times=(Fraction(s),))

    engine = FlowEngine()
    before, pair, after = (engine.prepare(at(s), at(s + 1)) for s in (-1, 0, 1))
    truth = at(0.5).y[0, 0].numpy()
    bent, plain = (pair.interpolate([HALF], *sides)[0][0, 0].numpy() for sides in ((before.motion, after.motion), ()))
    assert psnr(bent[12:-12, 12:-12], truth[12:-12, 12:-12]) > psnr(plain[12:-12, 12:-12], truth[12:-12, 12:-12]) + 6


def test_the_share_says_which_frame_sees_what() -> None:
    forward, backward = np.zeros((2, 40, 80, 2), np.float32)
    forward[:, 20:40, 0], backward[:, 32:52, 0] = 12, -12  # a thing 20 wide that moves by 12
    weight_a, weight_b = np.ones((2, 40, 80), np.float32)
    weight_a[:, 40:52] = weight_b[:, 20:32] = 1e-3  # ground that the other frame does not see
    _, share = project(forward, backward, weight_a, weight_b, 0.5)
    middle = share[10:30]
    assert middle[:, 22:24].min() > 0.6  # ground behind the thing, uncovered: the second frame sees it
    assert middle[:, 48:50].max() < 0.4  # ground before it, soon covered
    assert np.allclose(middle[:, 60:70], 0.5, atol=0.01)


# what must not move or change


def test_burnt_in_text_stays_sharp_and_in_place_over_a_moving_picture() -> None:
    big = texture(200, 400, finest=8)

    def write(picture: npt.NDArray[np.uint8], value: int, thickness: int) -> None:
        cv2.putText(picture, "Subtitle", (40, 120), cv2.FONT_HERSHEY_SIMPLEX, 1, value, thickness, cv2.LINE_AA)

    def scene(x: int) -> Plane:
        picture = big[20:164, 40 + x : 296 + x].astype(np.uint8)
        write(picture, 0, 5)
        write(picture, 235, 2)
        return picture.astype(np.float32)

    ink = np.zeros((144, 256), np.uint8)
    write(ink, 255, 2)
    text = ink > 200
    result, truth = between(scene(0), scene(12)), scene(6)
    assert np.abs(result - truth)[text].mean() < 4
    assert psnr(result, truth) > psnr((scene(0) + scene(12)) / 2, truth) + 3


def test_texture_that_moves_is_not_pinned_and_text_is() -> None:
    big = texture(200, 400)
    moving = static_mask(big[:, :256], big[:, 6:262])
    still = static_mask(big[:, :256], big[:, :256])
    assert moving.mean() < 0.1
    assert still[30:-30, 30:-30].mean() > 0.5


def test_what_moves_slowly_is_told_from_what_stands_still_by_a_third_frame() -> None:
    soft = cv2.GaussianBlur(texture(200, 400, finest=8), (0, 0), 2)
    at = [soft[:, 3 * n : 256 + 3 * n] for n in range(4)]
    alone, after_one, before_one = (static_mask(at[1], at[2], *sides) for sides in ((), (at[0],), (None, at[3])))
    still = static_mask(at[1], at[1], at[1], at[3])  # a picture that has just begun to move
    assert alone.mean() > 3 * max(after_one.mean(), before_one.mean())
    assert np.array_equal(still, static_mask(at[1], at[1]))


def test_motion_that_explains_less_than_standing_still_gives_way() -> None:
    picture = cv2.GaussianBlur(texture(144, 256), (0, 0), 8)  # too smooth for anything to be pinned
    a, b = picture, picture + 2
    pair = FlowEngine().prepare(frame(a, None, torch.float32), frame(b, None, torch.float32))
    wrong = np.full_like(pair.motion.forward, 12)
    pair._motion = replace(pair.motion, forward=wrong, backward=-wrong)
    result = pair.interpolate([HALF])[0][0, 0].numpy()
    dragged = np.abs(np.roll(a, (12, 12), axis=(0, 1)) - np.roll(a, (-12, -12), axis=(0, 1)))[30:-30, 30:-30]
    assert dragged.mean() > 15
    assert np.abs(result - (a + b) / 2)[30:-30, 30:-30].mean() < 0.5


def test_still_frames_come_back_as_they_are() -> None:
    picture = np.round(texture(90, 160))
    assert np.abs(between(picture, picture) - picture).max() < 0.02


def test_brightness_does_not_change_where_it_is_constant() -> None:
    a, b = np.full((64, 96), 100, np.float32), np.full((64, 96), 120, np.float32)
    assert np.abs(between(a, b, Fraction(1, 4)) - 105).max() < 0.05


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 9), (45, 61), (33, 200)])
@pytest.mark.parametrize("chroma", [None, "420", "422", "444"])
def test_any_size_and_chroma(size: tuple[int, int], chroma: str | None) -> None:
    a, b = texture(*size), texture(*size, seed=1)
    y, uv = FlowEngine().prepare(frame(a, chroma), frame(b, chroma)).interpolate([Fraction(1, 3), HALF])
    assert y.shape == (2, 1, *size) and y.dtype == torch.float32
    expected = frame(a, chroma).uv
    assert (uv is None) if expected is None else (uv is not None and uv.shape == (2, *expected.shape[1:]))


@pytest.mark.parametrize(
    ("depth", "dtype"), [(10, torch.uint16), (12, torch.uint16), (16, torch.uint16), (8, torch.float32)]
)
def test_depths_agree_with_eight_bits(depth: int, dtype: torch.dtype) -> None:
    big = texture(90, 200)
    a, b = big[:, :160], big[:, 5:165]
    peak = (1 << depth) - 1
    eight, _ = FlowEngine(8).prepare(frame(a), frame(b)).interpolate([HALF])
    frames = (frame(p, None, dtype, peak) for p in (a, b))
    deep, _ = FlowEngine(depth).prepare(*frames).interpolate([HALF])
    assert psnr(deep[0, 0].numpy() * (255 / peak), eight[0, 0].numpy()) > 45


def test_chroma_moves_with_luma() -> None:
    big = texture(120, 300)
    a, b, truth = (frame(big[:, x : x + 240], "420") for x in (0, 16, 8))
    _, uv = FlowEngine().prepare(a, b).interpolate([HALF])
    assert uv is not None and truth.uv is not None
    assert psnr(uv[0, 0, 6:-6, 12:-12].numpy(), truth.uv[0, 0, 6:-6, 12:-12].numpy()) > 40


def test_time_runs_backward_the_same() -> None:
    big = texture(90, 200)
    a, b = big[:, :160].copy(), big[:, 7:167].copy()
    there, back = between(a, b, Fraction(1, 4)), between(b, a, Fraction(3, 4))
    assert psnr(there, back) > 55


def test_motion_next_to_none_is_noise_and_larger_motion_stays() -> None:
    displacements = np.zeros((2, 3, 4), np.float32)
    displacements[..., 0], displacements[..., 2] = -0.5, 0.5  # per pixel of motion over the interval
    for motion, kept in ((FAINT_MOTION / 5, 0.0), (FAINT_MOTION, 0.5), (5 * FAINT_MOTION, 1.0), (20.0, 1.0)):
        assert without_faint_motion(displacements * np.float32(motion))[..., 2] == pytest.approx(
            0.5 * motion * kept, rel=0.02, abs=0.01
        )


def test_a_grainy_picture_that_stands_still_is_made_as_well_as_by_blending() -> None:
    rng = np.random.default_rng(3)
    still = texture(96, 128)
    a, truth, b = (np.clip(still + rng.normal(0, 2, still.shape), 0, 255).round().astype(np.float32) for _ in range(3))
    assert psnr(between(a, b), truth) > psnr((a + b) / 2, truth) - 0.1
