"""`vidsr degrade`: options from text, planes, and whole clips."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from vidsr.degrade.blur import DefocusBlur, GaussianBlur, MotionBlur, ShakeBlur
from vidsr.degrade.clip import DegradeOptions, degrade_clip, degraded, parse_degrade, subsampled
from vidsr.degrade.degradations import PoissonNoise
from vidsr.errors import OptionError, OutputError
from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.video import VideoReader


def batch(frames: int = 3, height: int = 40, width: int = 60, level: int = 100, dtype: str = "uint8") -> FrameBatch:
    y = torch.from_numpy(np.full((frames, 1, height, width), level, dtype))
    uv = torch.from_numpy(np.full((frames, 2, height // 2, width // 2), level, dtype))
    times = tuple(Fraction(t, 25) for t in range(frames))
    return FrameBatch(y, uv, times, tuple(map(Origin, range(frames))))


def degrade_one(source: FrameBatch, depth: int = 8, **options: str | int | float) -> FrameBatch:
    info = VideoInfo(source.y.shape[-1], source.y.shape[-2], Fraction(25), depth=depth)
    (result,) = degraded(iter([source]), info, parse_degrade(**options))  # type: ignore[arg-type]
    return result


def test_options_are_parsed_from_text() -> None:
    options = parse_degrade(blur="gaussian:1.6", noise="2", scale="1/4", crf=28)
    assert options.factor == Fraction(1, 4)
    assert options.blur == GaussianBlur((1.6, 1.6))
    assert options.encoding.crf == 28
    assert parse_degrade() == DegradeOptions()
    assert parse_degrade(noise="poisson:.5").noise == PoissonNoise((0.5, 0.5))
    assert [parse_degrade(blur=text).blur for text in ("disk:2", "motion:9", "shake:12")] == [
        DefocusBlur((2, 2)),
        MotionBlur((9, 9)),
        ShakeBlur((12, 12)),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"blur": "gaussian"},
        {"blur": "box:2"},
        {"blur": "gaussian:0"},
        {"noise": "-2"},
        {"noise": "loud"},
        {"scale": "4"},
        {"scale": "1/0"},
        {"scale": "small"},
        {"kernel": "cubic"},
        {"crf": 99},
    ],
    ids=str,
)
def test_unknown_values_give_one_line_errors(wrong: dict[str, str]) -> None:
    with pytest.raises(OptionError) as error:
        parse_degrade(**wrong)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert str(next(iter(wrong.values()))) in str(error.value)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.5])
def test_the_chroma_kernel_is_the_same_blur_on_the_chroma_grid(sigma: float) -> None:
    kernel = GaussianBlur((sigma, sigma)).kernel(np.random.default_rng(0))
    small = subsampled(kernel, 2, 1)
    x, y = (np.arange(n) - n // 2 for n in small.shape[::-1])
    assert small.sum() == pytest.approx(1, abs=1e-5)
    assert small.sum(0) @ x == pytest.approx(0, abs=1e-5)
    assert np.sqrt(small.sum(1) @ y**2) == pytest.approx(sigma, rel=0.05)
    # spreading a weight over two samples adds at most a quarter of a sample to the variance
    assert sigma**2 / 4 * 0.95 <= small.sum(0) @ x**2 <= sigma**2 / 4 + 0.25


def test_a_kernel_of_one_pixel_stays_one_on_chroma() -> None:
    assert (subsampled(np.ones((1, 1), np.float32), 2, 2) == 1).all()


def test_the_size_is_rounded_and_that_of_chroma_rounded_up() -> None:
    result = degrade_one(batch(height=38, width=58), scale="1/4")
    assert result.y.shape == (3, 1, 10, 14)
    assert result.uv is not None
    assert result.uv.shape == (3, 2, 5, 7)


@pytest.mark.parametrize(("depth", "level"), [(8, 100), (10, 400)])
def test_noise_is_in_8_bit_code_values(depth: int, level: int) -> None:
    source = batch(height=200, width=200, level=level, dtype="uint8" if depth == 8 else "uint16")
    result = degrade_one(source, depth, noise="3")
    for plane in (result.y, result.uv):
        assert plane is not None
        assert float((plane - level).std()) == pytest.approx(3 * level / 100, rel=0.03)


def test_shot_noise_does_not_change_chroma() -> None:
    result = degrade_one(batch(), noise="poisson:1")
    assert result.uv is not None
    assert (result.uv == 100).all()
    assert float(result.y.std()) == pytest.approx(10, rel=0.1)


def test_the_output_does_not_depend_on_the_batches() -> None:
    info = VideoInfo(60, 40, Fraction(25))
    options = parse_degrade(blur="shake:9", noise="poisson:1", seed=4)
    whole = batch(4)
    first = torch.cat([b.y for b in degraded(iter([whole]), info, options)])
    again = torch.cat([b.y for b in degraded(iter([whole[:1], whole[1:]]), info, options)])
    assert torch.equal(first, again)


def test_a_degraded_phone_clip_keeps_its_times(samples: Path, tmp_path: Path) -> None:
    source, target = samples / "phone_dog.mp4", tmp_path / "small.mp4"
    options = parse_degrade(blur="gaussian:1.6", noise="2", scale="1/3", crf=28, preset="ultrafast")
    assert degrade_clip(source, target, options) == 41
    with VideoReader(source) as before, VideoReader(target) as after:
        assert (after.info.width, after.info.height) == (160, 90)
        assert [t for b in after.batches(8) for t in b.times] == [t for b in before.batches(8) for t in b.times]
    with pytest.raises(OutputError, match="exists"):
        degrade_clip(source, target, options)
    with pytest.raises(OutputError, match="is the input itself"):
        degrade_clip(target, target, options, overwrite=True)
