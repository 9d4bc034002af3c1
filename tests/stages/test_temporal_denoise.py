"""Temporal denoising: less noise, nothing across a scene cut, no ghosts, repeats stay equal, any batches."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from vidsr.frames import FrameBatch, Origin, VideoInfo, concat
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import make_plan
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.specs import TemporalDenoiseSpec
from vidsr.stages.temporal_denoise import LONGEST_WAIT, TemporalDenoise

Plane = npt.NDArray[np.float32]
FPS = Fraction(24000, 1001)


def scene(seed: int = 0, height: int = 96, width: int = 128) -> Plane:
    """Return texture of two sizes, 8-bit code values."""
    rng = np.random.default_rng(seed)
    cells = [(rng.random((height // n, width // n), np.float32), share) for n, share in ((16, 0.6), (4, 0.4))]
    mixed = sum(share * cv2.resize(c, (width, height), interpolation=cv2.INTER_CUBIC) for c, share in cells)
    return (16 + 219 * np.clip(np.asarray(mixed), 0, 1)).astype(np.float32)


def noisy(planes: Sequence[Plane], sigma: float = 4.0, seed: int = 1) -> list[Plane]:
    rng = np.random.default_rng(seed)
    return [plane + sigma * rng.standard_normal(plane.shape, np.float32) for plane in planes]


def stream(planes: Sequence[Plane], unit: float = 1.0) -> list[FrameBatch]:
    """Return frames whose chroma changes with the luma: a repeated frame repeats both."""
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


def denoise(planes: Sequence[Plane], depth: int = 8, edges: Sequence[int] = (), strength: float = 1.0) -> list[Plane]:
    """Return the denoised planes; batches end at ``edges``."""
    unit = ((1 << depth) - 1) / 255
    frames = stream(planes, unit)
    batches = [concat(frames[a:b]) for a, b in pairwise([0, *edges, len(frames)])]
    result = concat(list(TemporalDenoise(depth, strength)(mark_repeats(iter(batches)))))
    assert result.times == tuple(frame.times[0] for frame in frames)
    assert [origin.index for origin in result.origins] == list(range(len(frames)))
    assert result.uv is not None and torch.equal(
        result.uv, torch.cat([frame.uv for frame in frames if frame.uv is not None])
    )
    assert result.uv.dtype == torch.uint8
    return [plane[0].numpy() / np.float32(unit) for plane in result.y]


def rmse(a: Sequence[Plane], b: Sequence[Plane]) -> float:
    return float(np.sqrt(np.mean([np.square(x - y).mean() for x, y in zip(a, b, strict=True)])))


@pytest.mark.parametrize("depth", [8, 10])
def test_noise_of_a_static_clip_is_reduced(depth: int) -> None:
    truth = [scene()] * 5
    bad = noisy(truth)
    result = denoise(bad, depth)
    assert rmse(result[1:-1], truth[1:-1]) < 0.75 * rmse(bad[1:-1], truth[1:-1])
    assert rmse(result[:1], truth[:1]) < 0.85 * rmse(bad[:1], truth[:1]), "the first frame has one neighbour"
    assert rmse(result[-1:], truth[-1:]) < 0.85 * rmse(bad[-1:], truth[-1:]), "the last frame has one neighbour"


def test_ten_bits_give_the_same_result_as_eight() -> None:
    bad = noisy([scene()] * 3)
    for eight, ten in zip(denoise(bad, 8), denoise(bad, 10), strict=True):
        np.testing.assert_allclose(eight, ten, atol=0.02)


def test_noise_of_a_pan_is_reduced() -> None:
    wide = scene(width=192)
    truth = [np.ascontiguousarray(wide[:, 3 * n : 3 * n + 128]) for n in range(5)]
    bad = noisy(truth)
    result = denoise(bad)
    inner = np.s_[8:-8, 16:-16]
    assert rmse([p[inner] for p in result], [p[inner] for p in truth]) < 0.85 * rmse(bad, truth)


def test_frames_are_not_averaged_across_a_scene_cut() -> None:
    a, b = noisy([scene(0)] * 2), noisy([scene(5)] * 2, seed=2)
    together = denoise([*a, *b])
    for joined, alone in zip(together, [*denoise(a), *denoise(b)], strict=True):
        np.testing.assert_array_equal(joined, alone)


def test_small_object_that_jumps_leaves_no_ghost() -> None:
    background = scene(3)
    planes = [background.copy() for _ in range(4)]
    objects = [np.s_[40:52, 8 + 30 * n : 20 + 30 * n] for n in range(4)]
    for n, plane in enumerate(planes):
        plane[objects[n]] = 255 if n % 2 else 0
    for n, result in enumerate(denoise(planes)):
        change = np.abs(result - planes[n])
        assert change[objects[n]].max() < 30, "at a corner, where the object differs by 150"
        assert np.percentile(change[objects[n]], 90) < 15
        change[objects[n]] = 0
        assert change.max() < 10, "where the object was and will be"
        assert change.mean() < 0.1


def test_constant_planes_stay_unchanged_and_black_and_white_are_not_averaged() -> None:
    planes = [np.full((64, 80), value, np.float32) for value in (30, 31, 200, 200, 0, 255)]
    for before, after in zip(planes[2:], denoise(planes)[2:], strict=True):
        np.testing.assert_allclose(after, before, atol=1e-3)
    assert all(np.ptp(after) < 1e-3 for after in denoise(planes))


def test_single_frame_stays_unchanged() -> None:
    (result,) = denoise([scene()])
    np.testing.assert_array_equal(result, scene())


def test_repeated_frames_count_as_one_frame() -> None:
    a, b, c = noisy([scene()] * 3)
    single, repeated = denoise([a, b, c]), denoise([a, a, b, b, b, c])
    for result, n in zip(repeated, (0, 0, 1, 1, 1, 2), strict=True):
        np.testing.assert_array_equal(result, single[n])


def test_long_still_is_passed_on_before_its_end() -> None:
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


@pytest.mark.parametrize("edges", [(1, 2, 3, 4, 5), (2, 5), (4,)])
def test_result_does_not_depend_on_the_batches(edges: tuple[int, ...]) -> None:
    planes = noisy([scene(0)] * 3 + [scene(5)] * 3)
    for one, other in zip(denoise(planes), denoise(planes, edges=edges), strict=True):
        np.testing.assert_array_equal(one, other)


def test_half_the_strength_is_half_the_change() -> None:
    planes = noisy([scene()] * 3)
    for source, half, whole in zip(planes, denoise(planes, strength=0.5), denoise(planes), strict=True):
        np.testing.assert_allclose(half - source, (whole - source) / 2, atol=1e-3)


@pytest.mark.parametrize("size", [(2, 2), (1, 40), (33, 31)])
def test_frames_of_any_size(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    frames = [
        FrameBatch(torch.from_numpy(255 * rng.random((1, 1, *size), np.float32)), None, (Fraction(n),), (Origin(n),))
        for n in range(3)
    ]
    result = concat(list(TemporalDenoise(8)(iter(frames))))
    assert result.y.shape == (3, 1, *size)
    assert torch.isfinite(result.y).all()


def test_plan_denoises_restored_clips_only() -> None:
    info = VideoInfo(64, 48, Fraction(25), "420")

    def names(info: VideoInfo, **asked: object) -> list[str]:
        options = parse_options(device="cpu", **asked)  # type: ignore[arg-type]
        return [type(spec).__name__ for spec in make_plan(options, info).stages]

    assert names(info, restore=1.0, denoise=0.5)[:3] == ["RestoreSpec", "RestoreSpec", "TemporalDenoiseSpec"]
    assert "TemporalDenoiseSpec" not in names(info, restore=1.0, temporal_denoise=False)
    assert "TemporalDenoiseSpec" not in names(info, scale=2, model="bicubic")
    assert "TemporalDenoiseSpec" not in names(VideoInfo(64, 48, None), restore=1.0), "an image has no neighbours"
    plan = make_plan(parse_options(device="cpu", restore=0.3, denoise=0.6), info, logged=True)
    assert TemporalDenoiseSpec(0.6, chroma=True) in plan.stages
    assert plan.log_columns[-3:] == ("psnr_y_restore", "psnr_y_denoise", "psnr_y_temporal_denoise")


def test_noisy_chroma_is_averaged_along_the_motion_of_luma() -> None:
    texture = scene(width=160)
    planes = [np.ascontiguousarray(texture[:, 4 * n : 4 * n + 128]) for n in range(5)]
    rng = np.random.default_rng(0)
    frames = stream(planes)
    clean = [
        torch.from_numpy(cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)) for plane in planes
    ]
    noise = [torch.from_numpy(rng.normal(0, 2, (2, *plane.shape)).astype(np.float32)) for plane in clean]
    frames = [
        frame.planes(frame.y, (plane + added)[None]) for frame, plane, added in zip(frames, clean, noise, strict=True)
    ]
    errors = []
    for chroma in (False, True):
        result = concat(list(TemporalDenoise(8, chroma=chroma)(iter(frames))))
        assert result.uv is not None
        errors.append(float((result.uv[2] - clean[2]).std()))
    assert errors[0] == pytest.approx(float(noise[2].std()), rel=1e-3)
    assert errors[1] < 0.75 * errors[0]


def test_plan_averages_chroma_only_where_it_is_denoised() -> None:
    for asked, chroma in (({"denoise": 1.0}, True), ({"restore": 1.0}, False)):
        plan = make_plan(parse_options(device="cpu", **asked), VideoInfo(64, 48, Fraction(25), "420"))  # type: ignore[arg-type]
        assert TemporalDenoiseSpec(1.0, chroma) in plan.stages
