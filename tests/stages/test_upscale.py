"""Upscale: the choice of networks, exact sizes, chroma siting, repeated frames, several devices."""

import itertools
from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import examples
from vidsr.errors import OptionError
from vidsr.frames import SUBSAMPLING, Chroma, ColorInfo, FrameBatch, Origin, VideoInfo
from vidsr.kernels.guided_chroma import ChromaAxis
from vidsr.options.enhance import parse_options
from vidsr.options.output_size import Factor, Size
from vidsr.pipeline.plan import make_plan
from vidsr.stages.build import build_stages, build_upscale
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.rounding import Finish
from vidsr.stages.stopwatch import Stopwatch
from vidsr.stages.upscale import Upscale, network_factors

INFO = VideoInfo(width=32, height=24, fps=Fraction(25))


def batch(y: np.ndarray, uv: np.ndarray | None = None) -> FrameBatch:
    n = len(y)
    planes = torch.from_numpy(y), None if uv is None else torch.from_numpy(uv)
    return FrameBatch(*planes, tuple(Fraction(i) for i in range(n)), tuple(Origin(i) for i in range(n)))


@pytest.mark.parametrize(
    ("factor", "networks"),
    [("1", ()), ("1/2", ()), ("2", (2,)), ("1.2", (2,)), ("2.5", (3,)), ("4", (4,)), ("5", (2, 3)), ("6", (2, 3)),
     ("8", (2, 4)), ("9", (3, 3)), ("12", (3, 4)), ("16", (4, 4))],
)  # fmt: skip
def test_the_next_larger_network_runs_and_two_above_a_factor_of_4(factor: str, networks: tuple[int, ...]) -> None:
    assert sorted(network_factors(Fraction(factor), (2, 3, 4))) == sorted(networks)


def test_a_scale_beyond_two_networks_is_one_clear_error() -> None:
    with pytest.raises(OptionError, match="beyond two networks: ask for at most 16"):
        network_factors(Fraction(17), (2, 3, 4))


@examples(20)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]))
def test_any_size_is_reached_exactly_and_a_constant_stays_constant(width: int, height: int, kernel: str) -> None:
    upscale = Upscale(Size(width, height), INFO, (), kernel)
    y, uv = np.full((2, 1, 24, 32), 77, np.uint8), np.full((2, 2, 12, 16), 140, np.uint8)
    (result,) = upscale(iter([batch(y, uv)]))
    assert result.y.shape == (2, 1, height, width)
    assert result.uv is not None
    assert result.uv.shape == (2, 2, -(-height // 2), -(-width // 2))
    assert (result.y.float() - 77).abs().max() < 1e-3
    assert (result.uv.float() - 140).abs().max() < 1e-3


def test_a_stretched_frame_keeps_its_shape_on_screen() -> None:
    def shape(info: VideoInfo) -> Fraction:
        return info.sar * info.width / info.height

    stretched = Upscale(Size(64, 24), INFO, (), "bicubic").output(INFO)
    assert shape(stretched) == shape(INFO)
    assert Upscale(Factor(Fraction(2)), INFO, (), "bicubic").output(INFO).sar == 1


@pytest.mark.parametrize("location", ["left", "center", "topleft", None])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_chroma_keeps_its_siting(location: str | None, scale: int) -> None:
    """A chroma ramp in luma coordinates comes back as the same ramp: no drift of colour against luma."""
    color = ColorInfo(chroma_location=location)
    info = replace(INFO, width=64, height=48, color=color)
    x_offset = 0.0 if location in ("left", "topleft", None) else 0.5
    y_offset = 0.0 if location == "topleft" else 0.5

    def ramp(width: int, height: int, step: float) -> np.ndarray:
        """Values of 40 + x + y/2 at each chroma sample, x and y in input luma pixels; ``step`` output pixels in one."""
        x = ((2 * np.arange(width) + x_offset + 0.5) / step) - 0.5
        y = ((2 * np.arange(height) + y_offset + 0.5) / step) - 0.5
        return (40 + x[None] + y[:, None] / 2).astype(np.float32)

    low = np.stack([ramp(32, 24, 1)] * 2)[None]
    upscale = Upscale(Factor(Fraction(scale)), info, (), "bicubic")
    (result,) = upscale(iter([batch(np.zeros((1, 1, 48, 64), np.uint8), low)]))
    assert result.uv is not None
    inner = (slice(4 * scale, -4 * scale), slice(4 * scale, -4 * scale))
    expected = ramp(32 * scale, 24 * scale, scale)
    assert np.abs(result.uv[0, 0].numpy()[inner] - expected[inner]).max() < 0.01


def test_centred_chroma_needs_no_shift() -> None:
    assert ChromaAxis(2, 0.5, 32, 128).shift == 0
    assert ChromaAxis(1, 0.0, 32, 128).shift == 0
    assert ChromaAxis(2, 0.0, 32, 32).shift == 0
    assert ChromaAxis(2, 0.0, 32, 64).shift == 0.125
    assert ChromaAxis(2, 1.0, 32, 64).shift == -0.125


@examples(40)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.data())
def test_a_repeated_frame_is_resized_once(shown: list[int], data: st.DataObject) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 1, 24, 32), np.uint8)
    chroma = rng.integers(0, 256, (3, 2, 12, 16), np.uint8)
    whole = batch(images[shown], chroma[shown])
    cuts = sorted(data.draw(st.sets(st.integers(1, len(shown)), max_size=4)) | {0, len(shown)})
    upscale = Upscale(Factor(Fraction(2)), INFO, (), "bicubic")
    parts = [whole[a:b] for a, b in itertools.pairwise(cuts)]
    results = list(upscale(mark_repeats(iter(parts))))
    once = Upscale(Factor(Fraction(2)), INFO, (), "bicubic")
    for result, part in zip(results, parts, strict=True):
        assert result.times == part.times and result.origins == part.origins
        for i in range(len(part)):
            (expected,) = once(iter([part[i : i + 1]]))
            assert torch.equal(result.y[i : i + 1], expected.y)
            assert result.uv is not None and expected.uv is not None
            assert torch.equal(result.uv[i : i + 1], expected.uv)
    assert upscale.repeated == sum(a == b for a, b in itertools.pairwise(shown))


@pytest.mark.parametrize("chroma_and_depth", [("420", 8), ("444", 10), ("gray", 8)])
@pytest.mark.parametrize(("model", "scale"), [("fast", 2), ("fast", 3), ("fast", 2.5), ("fast", 8), ("bicubic", 2)])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_rounding_in_the_stage_equals_rounding_later(
    model: str, scale: float, precision: str, chroma_and_depth: tuple[Chroma, int]
) -> None:
    chroma, depth = chroma_and_depth
    info = VideoInfo(48, 32, Fraction(25), chroma, depth)
    rng = np.random.default_rng(0)
    luma = torch.from_numpy(rng.integers(0, 1 << depth, (3, 1, 32, 48)).astype(np.uint8 if depth == 8 else np.uint16))
    colour = {"420": luma[:, :, ::2, ::2], "444": luma, "gray": None}[chroma]
    whole = FrameBatch(
        luma,
        None if colour is None else torch.cat([colour, colour], 1),
        tuple(Fraction(i) for i in range(3)),
        tuple(Origin(i) for i in range(3)),
    )
    plan = make_plan(parse_options(scale=scale, model=model, precision=precision, tile=32), info)
    assert plan.upscale is not None and plan.upscale.rounds
    finish = Finish(depth)
    (exact,) = build_upscale(replace(plan.upscale, rounds=False), info)(iter([whole]))
    (later,) = finish(iter([exact]))
    (at_once,) = finish(build_upscale(plan.upscale, info)(iter([whole])))
    assert at_once.y.dtype == later.y.dtype
    assert (at_once.uv is None) == (later.uv is None)
    assert_equal_but_for_ties(at_once.y, later.y, exact.y)
    if at_once.uv is not None and later.uv is not None and exact.uv is not None:
        if torch.equal(at_once.y, later.y):  # else the guides differ by the tie
            assert_equal_but_for_ties(at_once.uv, later.uv, exact.uv)
        else:
            assert (at_once.uv.int() - later.uv.int()).abs().max() <= 1


@examples(15)
@given(
    shown=st.lists(st.integers(0, 3), min_size=1, max_size=14),
    cuts=st.sets(st.integers(1, 13), max_size=6),
    devices=st.integers(2, 3),
)
def test_several_devices_give_the_frames_of_one_in_order(shown: list[int], cuts: set[int], devices: int) -> None:
    rng = np.random.default_rng(0)
    images, chroma = rng.integers(0, 256, (4, 1, 24, 32), np.uint8), rng.integers(0, 256, (4, 2, 12, 16), np.uint8)
    whole = batch(images[shown], chroma[shown])
    ends = sorted({cut for cut in cuts if cut < len(shown)} | {0, len(shown)})
    parts = [whole[a:b] for a, b in itertools.pairwise(ends)]
    results = []
    for device in ("cpu", ",".join(["cpu"] * devices)):
        plan = make_plan(parse_options(scale=2, model="fast", device=device), INFO)
        assert plan.upscale is not None
        stages = build_stages((replace(plan.upscale, rounds=False),), INFO)
        assert stages.upscale is not None
        assert len(stages.upscale.devices) == device.count("cpu")
        results.append((list(stages.upscale(mark_repeats(iter(parts)))), stages.counts["repeated_frames"]))
    (alone, repeated), (together, repeated_together) = results
    assert repeated == repeated_together
    for a, b in zip(alone, together, strict=True):
        assert a.times == b.times and a.origins == b.origins
        assert a.uv is not None and b.uv is not None
        torch.testing.assert_close(a.y, b.y, atol=0.01, rtol=0)  # sums of float32 may be split over threads otherwise
        assert torch.equal(a.uv, b.uv)


@pytest.mark.gpu
def test_a_gpu_named_twice_gives_the_frames_of_one() -> None:
    rng = np.random.default_rng(0)
    parts = [batch(rng.integers(0, 256, (4, 1, 48, 64), np.uint8)) for _ in range(12)]
    info = replace(INFO, width=64, height=48, chroma="gray")
    results = []
    for device in ("cuda:0", "cuda:0,cuda:0"):
        stages = build_stages(make_plan(parse_options(scale=2, model="fast", device=device), info).stages, info)
        results.append(list(stages(iter(parts), Stopwatch())))
        assert not stages.counts["cuda_graph_failures"]
    for part, alone, together in zip(parts, *results, strict=True):
        assert alone.times == together.times == part.times
        assert (alone.y.int() - together.y.int()).abs().max() <= 1


def test_a_closed_stream_of_several_devices_leaves_no_thread() -> None:
    plan = make_plan(parse_options(scale=2, model="fast", device="cpu,cpu"), INFO)
    assert plan.upscale is not None
    upscale = build_upscale(plan.upscale, INFO)
    one = batch(np.random.default_rng(0).integers(0, 256, (1, 1, 24, 32), np.uint8))
    results = upscale(iter([one] * 20))
    assert isinstance(results, Generator)
    next(results)
    results.close()  # the fixture looks for threads


def assert_equal_but_for_ties(a: torch.Tensor, b: torch.Tensor, exact: torch.Tensor) -> None:
    """Floats in another order differ in their last digit, which a value midway between two codes may show."""
    difference = (a.int() - b.int()).abs()
    assert difference.max() <= 1 and (difference > 0).float().mean() < 2e-4
    from_a_tie = (exact.double() - exact.double().floor() - 0.5).abs()
    assert (from_a_tie[difference > 0] < 1e-4).all()


def coloured(chroma: Chroma, depth: int, width: int = 48, height: int = 40) -> tuple[FrameBatch, VideoInfo]:
    """Return two frames whose chroma follows their luma."""
    info = VideoInfo(width, height, Fraction(25), chroma, depth)
    rng = np.random.default_rng(0)
    y = (rng.integers(0, 8, (2, 1, -(-height // 8), -(-width // 8))) * 30).repeat(8, 2).repeat(8, 3)
    y = y[:, :, :height, :width] << (depth - 8)
    sx, sy = SUBSAMPLING[chroma]
    near = y[:, :, ::sy, ::sx]
    uv = (
        None
        if chroma == "gray"
        else np.concatenate([near // 2 + (60 << (depth - 8)), (200 << (depth - 8)) - near // 3], 1)
    )
    dtype = np.uint8 if depth == 8 else np.uint16
    return batch(y.astype(dtype), None if uv is None else uv.astype(dtype)), info


def rounded_output(frames: FrameBatch, info: VideoInfo, **options: object) -> FrameBatch:
    plan = make_plan(parse_options(**{"model": "fast", "precision": "fp32", "device": "cpu", **options}), info)
    (result,) = build_stages(plan.stages, info)(iter([frames]), Stopwatch())
    return result


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("chroma", ["420", "422", "444", "gray"])
@pytest.mark.parametrize("scale", [2, 1.5])
def test_guided_chroma_has_the_size_and_the_type_of_every_format(scale: float, chroma: Chroma, depth: int) -> None:
    frames, info = coloured(chroma, depth)
    guided, plain = (rounded_output(frames, info, scale=scale, chroma_from=name) for name in ("guided", "kernel"))
    assert torch.equal(guided.y, plain.y)
    if chroma == "gray":
        assert guided.uv is None
        return
    assert guided.uv is not None and plain.uv is not None
    assert (guided.uv.shape, guided.uv.dtype) == (plain.uv.shape, plain.uv.dtype)
    difference = (guided.uv.int() - plain.uv.int()).abs().max() >> (depth - 8)
    assert 3 < difference < 128  # it is at work, within the range of the chroma around


@pytest.mark.parametrize("options", [{"tile": 32}, {"batch": 1}, {"memory": "700M"}])
def test_guided_chroma_does_not_depend_on_tiles_batches_or_memory(options: dict[str, object]) -> None:
    frames, info = coloured("420", 8, 96, 72)
    whole, cut = rounded_output(frames, info, scale=2), rounded_output(frames, info, scale=2, **options)
    assert whole.uv is not None and cut.uv is not None
    same = (whole.y == cut.y).all()
    assert (whole.uv.int() - cut.uv.int()).abs().max() <= (0 if same else 1)


def test_classical_kernels_and_downscales_keep_bicubic_chroma() -> None:
    for options in ({"scale": 2, "model": "bicubic"}, {"scale": 0.5}, {"scale": 2, "chroma_from": "kernel"}):
        plan = make_plan(parse_options(**options), INFO)
        assert plan.upscale is not None and plan.upscale.chroma_from == "kernel"
    plan = make_plan(parse_options(scale=2), INFO)
    assert plan.upscale is not None and plan.upscale.chroma_from == "guided"


@pytest.mark.parametrize("size", [(33, 25, 66, 50), (33, 25, 100, 76), (31, 24, 77, 61)])
def test_chroma_of_odd_sizes_keeps_its_siting(size: tuple[int, int, int, int]) -> None:
    """A ramp of chroma in luma coordinates comes back as the same ramp up to the last column."""
    width, height, out_width, out_height = size
    info = replace(INFO, width=width, height=height)

    def ramp(n: int, step: Fraction, at: float) -> np.ndarray:
        """Position of each chroma sample in source luma samples; ``step``: source samples per sample."""
        return (2 * np.arange(n) + at + 0.5) * float(step) - 0.5

    low = ramp(-(-width // 2), Fraction(1), 0)[None] + 60 + ramp(-(-height // 2), Fraction(1), 0.5)[:, None]
    frames = batch(np.zeros((1, 1, height, width), np.uint8), np.stack([low, low])[None].astype(np.float32))
    (result,) = Upscale(Size(out_width, out_height), info, (), "bicubic")(iter([frames]))
    assert result.uv is not None
    across, down = -(-out_width // 2), -(-out_height // 2)
    expected = ramp(across, Fraction(width, out_width), 0)[None] + 60
    expected = expected + ramp(down, Fraction(height, out_height), 0.5)[:, None]
    assert np.abs(result.uv[0, 0].numpy() - expected)[10:-10, 10:-10].max() < 0.01
