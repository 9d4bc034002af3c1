"""Steadying: better where pictures agree, nothing across a cut, no ghost, the same however the stream is cut."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from vidsr.flow.temporal_average import temporal_average, warp_rows
from vidsr.flow.warp import spline_coefficients
from vidsr.frames import FrameBatch, Origin, VideoInfo, concat
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import make_plan
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.specs import TemporalDenoiseSpec
from vidsr.stages.temporal_denoise import LONGEST_WAIT, TemporalDenoise

Plane = npt.NDArray[np.float32]
FPS = Fraction(24000, 1001)


def scene(seed: int = 0, height: int = 96, width: int = 128) -> Plane:
    """Texture of two sizes, 8-bit code values."""
    rng = np.random.default_rng(seed)
    cells = [(rng.random((height // n, width // n), np.float32), share) for n, share in ((16, 0.6), (4, 0.4))]
    mixed = sum(share * cv2.resize(c, (width, height), interpolation=cv2.INTER_CUBIC) for c, share in cells)
    return (16 + 219 * np.clip(np.asarray(mixed), 0, 1)).astype(np.float32)


def noisy(planes: Sequence[Plane], sigma: float = 4.0, seed: int = 1) -> list[Plane]:
    rng = np.random.default_rng(seed)
    return [plane + sigma * rng.standard_normal(plane.shape, np.float32) for plane in planes]


def stream(planes: Sequence[Plane], unit: float = 1.0) -> list[FrameBatch]:
    """Frames whose chroma changes with the luma: a repeated frame repeats both."""
    images = [next(i for i, first in enumerate(planes) if first is plane) for plane in planes]
    return [
        FrameBatch(
            torch.from_numpy(plane * np.float32(unit))[None, None],
            torch.full((1, 2, plane.shape[0] // 2, plane.shape[1] // 2), images[n], dtype=torch.uint8),
            (n / FPS,),
            (Origin(n),),
        )
        for n, plane in enumerate(planes)
    ]


def denoise(planes: Sequence[Plane], depth: int = 8, cut: Sequence[int] = (), strength: float = 1.0) -> list[Plane]:
    """The planes steadied; ``cut`` says where the batches end."""
    unit = ((1 << depth) - 1) / 255
    frames = stream(planes, unit)
    edges = [0, *cut, len(frames)]
    batches = [concat(frames[a:b]) for a, b in pairwise(edges)]
    result = concat(list(TemporalDenoise(depth, strength)(mark_repeats(iter(batches)))))
    assert result.times == tuple(frame.times[0] for frame in frames)
    assert [origin.index for origin in result.origins] == list(range(len(frames)))
    assert result.uv is not None and torch.equal(
        result.uv, torch.cat([frame.uv for frame in frames if frame.uv is not None])
    )
    assert result.uv.dtype == torch.uint8
    return [plane[0].numpy() / np.float32(unit) for plane in result.y]


def around(plane: Plane) -> Plane:
    """The mean over 7 x 7 pixels of the mean over 7 x 7 pixels, the border mirrored, pixel by pixel."""
    for _ in range(2):
        wide = np.pad(plane, 3, mode="reflect")
        rows = range(plane.shape[0])
        plane = np.array([[wide[y : y + 7, x : x + 7].mean() for x in range(plane.shape[1])] for y in rows], np.float32)
    return plane


def error(a: Sequence[Plane], b: Sequence[Plane]) -> float:
    return float(np.sqrt(np.mean([np.square(x - y).mean() for x, y in zip(a, b, strict=True)])))


@pytest.mark.parametrize("depth", [8, 10])
def test_a_noisy_clip_that_stands_still_gets_better(depth: int) -> None:
    truth = [scene()] * 5
    bad = noisy(truth)
    result = denoise(bad, depth)
    assert error(result[1:-1], truth[1:-1]) < 0.75 * error(bad[1:-1], truth[1:-1])
    assert error(result[:1], truth[:1]) < 0.85 * error(bad[:1], truth[:1]), "the first has one neighbour"
    assert error(result[-1:], truth[-1:]) < 0.85 * error(bad[-1:], truth[-1:]), "and so has the last"


def test_ten_bits_are_treated_as_eight() -> None:
    bad = noisy([scene()] * 3)
    for eight, ten in zip(denoise(bad, 8), denoise(bad, 10), strict=True):
        np.testing.assert_allclose(eight, ten, atol=0.02)


def test_what_moves_is_followed() -> None:
    wide = scene(width=192)
    truth = [np.ascontiguousarray(wide[:, 3 * n : 3 * n + 128]) for n in range(5)]
    bad = noisy(truth)
    result = denoise(bad)
    inner = np.s_[8:-8, 16:-16]
    assert error([p[inner] for p in result], [p[inner] for p in truth]) < 0.85 * error(bad, truth)


def test_a_cut_is_never_blended() -> None:
    a, b = noisy([scene(0)] * 2), noisy([scene(5)] * 2, seed=2)
    together = denoise([*a, *b])
    for joined, alone in zip(together, [*denoise(a), *denoise(b)], strict=True):
        np.testing.assert_array_equal(joined, alone)


def test_a_small_thing_that_jumps_leaves_no_ghost() -> None:
    behind = scene(3)
    planes = [behind.copy() for _ in range(4)]
    thing = [np.s_[40:52, 8 + 30 * n : 20 + 30 * n] for n in range(4)]
    for n, plane in enumerate(planes):
        plane[thing[n]] = 255 if n % 2 else 0
    for n, result in enumerate(denoise(planes)):
        change = np.abs(result - planes[n])
        assert change[thing[n]].max() < 30, "a corner of it, of 150"
        assert np.percentile(change[thing[n]], 90) < 15
        change[thing[n]] = 0
        assert change.max() < 10, "where it was and will be"
        assert change.mean() < 0.1


def test_constant_planes_stay_as_they_are_and_black_and_white_do_not_mix() -> None:
    planes = [np.full((64, 80), value, np.float32) for value in (30, 31, 200, 200, 0, 255)]
    for before, after in zip(planes[2:], denoise(planes)[2:], strict=True):
        np.testing.assert_allclose(after, before, atol=1e-3)
    assert all(np.ptp(after) < 1e-3 for after in denoise(planes))


def test_one_frame_is_the_very_same() -> None:
    (result,) = denoise([scene()])
    np.testing.assert_array_equal(result, scene())


def test_repeated_frames_stay_equal_and_the_picture_looks_at_its_neighbours() -> None:
    a, b, c = noisy([scene()] * 3)
    single, repeated = denoise([a, b, c]), denoise([a, a, b, b, b, c])
    for result, n in zip(repeated, (0, 0, 1, 1, 1, 2), strict=True):
        np.testing.assert_array_equal(result, single[n])


def test_a_still_that_lasts_is_handed_on_without_waiting_for_its_end() -> None:
    a, b = noisy([scene()] * 2)
    frames = stream([a, *[b] * (3 * LONGEST_WAIT)])
    taken = 0

    def counted():  # type: ignore[no-untyped-def]
        nonlocal taken
        for taken, frame in enumerate(frames, 1):  # noqa: B007
            yield frame

    for number, _ in enumerate(TemporalDenoise(8)._frames(mark_repeats(counted())), 1):
        assert taken - number <= LONGEST_WAIT
    results = list(TemporalDenoise(8)._frames(mark_repeats(iter(frames))))
    assert len(results) == len(frames)
    assert all(torch.equal(result.y, results[1].y) for result in results[1:])


@pytest.mark.parametrize("cut", [(1, 2, 3, 4, 5), (2, 5), (4,)])
def test_the_same_however_the_stream_is_cut_into_batches(cut: tuple[int, ...]) -> None:
    planes = noisy([scene(0)] * 3 + [scene(5)] * 3)
    for one, other in zip(denoise(planes), denoise(planes, cut=cut), strict=True):
        np.testing.assert_array_equal(one, other)


def test_half_the_strength_is_half_the_change() -> None:
    planes = noisy([scene()] * 3)
    for source, half, whole in zip(planes, denoise(planes, strength=0.5), denoise(planes), strict=True):
        np.testing.assert_allclose(half - source, (whole - source) / 2, atol=1e-3)


@pytest.mark.parametrize("size", [(2, 2), (1, 40), (33, 31)])
def test_pictures_of_any_size(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    frames = [
        FrameBatch(torch.from_numpy(255 * rng.random((1, 1, *size), np.float32)), None, (Fraction(n),), (Origin(n),))
        for n in range(3)
    ]
    result = concat(list(TemporalDenoise(8)(iter(frames))))
    assert result.y.shape == (3, 1, *size)
    assert torch.isfinite(result.y).all()


@pytest.mark.parametrize("unit", [1.0, 1023 / 255])
def test_shares_are_those_of_the_formula(unit: float) -> None:
    y, other = (unit * plane for plane in noisy([scene(height=40, width=48)] * 2, 6))
    still = np.zeros((20, 24, 2), np.float32)
    texture = np.minimum(around(y * y) - around(y) ** 2 + 4 * unit * unit, 1000 * unit * unit)
    apart = np.maximum(around((other - y) ** 2), 0.25 * (other - y) ** 2)
    share = np.maximum(0, texture - 0.5 * apart) / (texture + 5 * apart)
    expected = (y + share * other) / (1 + share)
    assert 0 < share.min() < share.max() < 1
    np.testing.assert_allclose(
        temporal_average(y, [(spline_coefficients(other), still)], unit), expected, atol=0.15 * unit
    )


def test_motion_of_a_field_of_another_size_is_scaled_and_faint_motion_is_damped() -> None:
    plane = scene(height=60, width=80)
    flow = np.full((30, 40, 2), (2.0, -1.0), np.float32)
    kept = 25 / (25 + 0.5**4)
    shifted = warp_rows(spline_coefficients(plane), flow, 10, 50)
    for row, col in ((10, 20), (33, 41), (49, 60)):
        expected = cv2.getRectSubPix(plane, (1, 1), (col + 4 * kept, row - 2 * kept))[0, 0]
        assert abs(shifted[row - 10, col] - expected) < 3
    np.testing.assert_allclose(warp_rows(spline_coefficients(plane), flow * 0.01, 0, 60), plane, atol=0.5)


def test_it_follows_what_was_restored_and_nothing_else() -> None:
    info = VideoInfo(64, 48, Fraction(25), "420")

    def names(info: VideoInfo, **asked: object) -> list[str]:
        options = parse_options(device="cpu", **asked)  # type: ignore[arg-type]
        return [type(spec).__name__ for spec in make_plan(options, info).stages]

    assert names(info, restore=1.0, denoise=0.5)[:3] == ["RestoreSpec", "RestoreSpec", "TemporalDenoiseSpec"]
    assert "TemporalDenoiseSpec" not in names(info, restore=1.0, temporal_denoise=False)
    assert "TemporalDenoiseSpec" not in names(info, scale=2, model="bicubic")
    assert "TemporalDenoiseSpec" not in names(VideoInfo(64, 48, None), restore=1.0), "a still picture has no neighbours"
    plan = make_plan(parse_options(device="cpu", restore=0.3, denoise=0.6), info, logged=True)
    assert TemporalDenoiseSpec(0.6) in plan.stages
    assert plan.log_columns[-3:] == ("psnr_y_restore", "psnr_y_denoise", "psnr_y_temporal_denoise")
