"""Large images in strips of rows: the same pixels as those of the whole image, within the memory limit."""

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr import enhance
from vidsr.device import choose_all
from vidsr.errors import DeviceError, Notes, OptionError
from vidsr.frames import VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.options.enhance import parse_options
from vidsr.pipeline.choose_restoration import choose_restores
from vidsr.pipeline.image_strips import LUMA_ROWS, enhanced_pixels, sample_luma, strips
from vidsr.pipeline.plan import Plan, make_plan
from vidsr.stages.diagnosis import ClipSamples, diagnose
from vidsr.stages.memory_budget import LEAST_ROWS, clip_need, has_strips, row_ratio
from vidsr.stages.specs import RestoreSpec
from vidsr.video.image import frame_of, image_info

GIB = 1 << 30
PHOTO = VideoInfo(16_000, 9000, None, "444", frames=1)
TARGET = Path("b.png")


@given(
    height=st.integers(1, 2000),
    ratio=st.sampled_from([(1, 1), (1, 2), (1, 4), (2, 3), (3, 2), (5, 7)]),
    most=st.integers(1, 500),
    halo=st.integers(0, 40),
    alignment=st.sampled_from([1, 2, 4]),
)
def test_strips_cover_the_output_once_and_read_what_they_need(
    height: int, ratio: tuple[int, int], most: int, halo: int, alignment: int
) -> None:
    height *= ratio[0]
    rows = height * ratio[1] // ratio[0]
    covered = 0
    for strip in strips(height, ratio, most, halo, alignment):
        assert strip.target.start == covered
        covered = strip.target.stop
        assert strip.read.start % alignment == 0 and strip.read.start * ratio[1] % ratio[0] == 0
        first, last = (Fraction(row * ratio[0], ratio[1]) for row in (strip.target.start, strip.target.stop))
        assert strip.read.start <= max(0, first - halo) and min(height, last + halo) <= strip.read.stop <= height
        assert strip.kept.stop - strip.kept.start == strip.target.stop - strip.target.start
        assert strip.kept.start == strip.target.start - strip.read.start * ratio[1] // ratio[0]
    assert covered == rows


def photo(height: int, width: int, channels: int = 3, dtype: type = np.uint8) -> Any:
    random = np.random.default_rng(height)
    small = random.integers(0, 256, (height // 3 + 1, width // 3 + 1, channels)).astype(np.uint8)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)
    pixels = large.astype(dtype) * (1 if dtype == np.uint8 else 257)
    return pixels if channels == 3 else pixels[..., 0]


def whole_and_in_strips(pixels: Any, rows: int = 40, **options: Any) -> tuple[Any, Any, Plan]:
    info = image_info(Path("a.png"), pixels)
    plan = make_plan(parse_options(device="cpu", **options), info, ClipSamples((sample_luma(pixels),)))
    assert plan.rows_per_strip is None
    kept = (replace(one, chroma_noise=0.0) if isinstance(one, RestoreSpec) else one for one in plan.stages)
    plan = replace(plan, stages=tuple(kept))  # as in strips
    parts = enhanced_pixels(pixels, info, replace(plan, rows_per_strip=rows), TARGET)
    return enhanced_pixels(pixels, info, plan, TARGET).astype(int), parts.astype(int), plan


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 2, "model": "bicubic"},
        {"scale": 1.5, "model": "lanczos"},
        {"size": "101x60", "model": "bilinear"},
        {"scale": 3, "model": "nearest"},
        {"size": "200x400", "fit": "pad", "model": "bicubic"},
        {"size": "134x160", "fit": "crop", "model": "bicubic"},
        {"size": "60x500", "fit": "crop", "model": "bicubic"},
    ],
)
@pytest.mark.parametrize("kind", [(3, np.uint8), (1, np.uint8), (3, np.uint16)])
def test_strips_equal_the_whole_image(options: dict[str, Any], kind: tuple[int, type]) -> None:
    whole, parts, _ = whole_and_in_strips(photo(150, 67, *kind), rows=30, **options)
    assert np.array_equal(whole, parts)


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 2, "model": "fast"},
        {"scale": 6, "model": "fast"},
        {"scale": 2.5, "model": "balanced"},
        pytest.param({"scale": 2, "model": "fast", "restore": 1.0, "deblur": 0.5}, marks=pytest.mark.slow),
        {"denoise": 1.0, "denoise_model": "nlm:4"},
        {"scale": 0.5, "model": "bicubic"},  # the order of rows and columns depends on the height
    ],
)
def test_networks_and_smaller_outputs_differ_by_rounding_only(options: dict[str, Any]) -> None:
    whole, parts, _ = whole_and_in_strips(photo(150, 40), rows=90, precision="fp32", **options)
    difference = np.abs(whole - parts)
    assert difference.max() <= 1 and difference.mean() < 0.01


@pytest.mark.parametrize("options", [{"scale": 2}, {"scale": 3, "restore": 1.0}])
def test_chroma_that_follows_luma_is_the_same_in_strips(options: dict[str, Any]) -> None:
    """Only the upper half of the image follows its luma, so that strips alone would measure other shares."""
    pixels = photo(620, 40)
    pixels[:310] = pixels[:310, :, :1] // np.array([1, 2, 3], np.uint8)
    whole, parts, plan = whole_and_in_strips(pixels, rows=90, model="fast", precision="fp32", **options)
    assert plan.upscale is not None and plan.upscale.chroma_from == "guided"
    difference = np.abs(whole - parts)
    assert difference.max() <= 1 and difference.mean() < 0.01


def test_noisy_images_lose_the_noise_of_their_chroma_unless_they_run_in_strips() -> None:
    """The oddity: stills kept coloured noise that clips lose."""
    flat = np.full((120, 160, 3), (90, 120, 150), np.uint8)
    noisy = np.clip(np.random.default_rng(0).normal(flat, 12), 0, 255).astype(np.uint8)
    info = image_info(Path("a.png"), noisy)
    options = parse_options(scale=1, denoise=1, denoise_model="nlm:12", device="cpu")
    plan = make_plan(options, info, ClipSamples((sample_luma(noisy),)))

    def chroma_error(pixels: Any) -> float:
        uv, true = frame_of(pixels).uv, frame_of(flat).uv
        assert uv is not None and true is not None
        return float((uv - true).abs().mean())

    assert chroma_error(enhanced_pixels(noisy, info, plan, TARGET)) < chroma_error(noisy) / 4
    notes, compute = Notes(), choose_all("cpu", "auto")[0]
    (spec,) = choose_restores(
        options, info, compute, ClipSamples(), diagnose(ClipSamples(), info), notes, in_strips=True
    )
    assert spec.chroma_noise == 0.0 and "its chroma is not denoised" in notes.texts[-1]


def test_luma_computed_in_strips_equals_that_of_the_whole_image() -> None:
    pixels = photo(LUMA_ROWS + 50, 33)
    whole = frame_of(pixels).y
    assert np.array_equal(whole[:, :, LUMA_ROWS:], frame_of(pixels[LUMA_ROWS:]).y)
    assert sample_luma(pixels).shape == whole.shape


def test_of_a_large_image_the_middle_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidsr.pipeline.image_strips.SAMPLE_PIXELS", 30 * 20)
    pixels = photo(60, 40)
    assert np.array_equal(sample_luma(pixels), frame_of(pixels[15:45, 10:30]).y)


def test_an_image_that_exceeds_the_limit_runs_in_strips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), photo(900, 400))
    whole = enhance(tmp_path / "a.png", tmp_path / "whole.png", scale=2, model="bicubic")
    monkeypatch.setattr("vidsr.stages.memory_budget.SOURCE_BYTES", 20_000)
    monkeypatch.setattr("vidsr.stages.memory_budget.default_limit", lambda: 6 * GIB)
    notes = Notes()
    report = enhance(tmp_path / "a.png", tmp_path / "strips.png", scale=2, model="bicubic", on_note=notes.add)
    assert whole.plan.rows_per_strip is None
    assert report.plan.rows_per_strip is not None and LEAST_ROWS <= report.plan.rows_per_strip < 900
    assert (tmp_path / "strips.png").read_bytes() == (tmp_path / "whole.png").read_bytes()
    assert notes.texts == ["memory limited to 6144M, 80 % of what is free (--memory sets another)"]


def test_a_still_that_was_killed_by_the_kernel_fits_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """16000x9000 at x2 took more than 20 GB."""
    monkeypatch.setattr("vidsr.stages.memory_budget.default_limit", lambda: 16 * GIB)
    plan = make_plan(parse_options(scale=2, model="bicubic", device="cpu"), PHOTO)
    assert plan.rows_per_strip is not None and plan.rows_per_strip < 9000


def test_a_still_that_cannot_fit_is_refused_with_the_memory_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidsr.stages.memory_budget.default_limit", lambda: 4 * GIB)
    options = parse_options(scale=2, model="bicubic", device="cpu")
    with pytest.raises(
        DeviceError, match=r"32000x18000 needs 7\d\d\dM of memory and 4096M are free: .* --memory 7\d\d\dM"
    ):
        make_plan(options, PHOTO)
    with pytest.raises(OptionError, match=r"--memory 3072M is too little for this run: give 7\d\d\dM or more"):
        make_plan(replace(options, memory=3 * GIB), PHOTO)


def test_d14_the_memory_of_a_still_is_limited_like_that_of_a_clip() -> None:
    """7000x7000 at half the size, with `--memory 800M`, took 2328 MB and said nothing."""
    photo = replace(PHOTO, width=7000, height=7000)
    options = parse_options(scale="1/2", model="bicubic", device="cpu", memory="800M")
    with pytest.raises(OptionError, match=r"--memory 800M is too little for this run: give 1\d\d\dM or more"):
        make_plan(options, photo)
    assert make_plan(replace(options, memory=3 * GIB // 2), photo).rows_per_strip is not None
    assert make_plan(replace(options, memory=8 * GIB), photo).rows_per_strip is None


@pytest.mark.slow
@pytest.mark.parametrize(("size", "scale", "memory"), [((4000, 3000), "2", 1400), ((7000, 7000), "1/2", 1500)])
def test_d14_an_image_in_strips_takes_no_more_memory_than_it_may(
    tmp_path: Path, size: tuple[int, int], scale: str, memory: int
) -> None:
    """Whole, these images take more than 2 GB."""
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC))
    options = ("--scale", scale, "--model", "bicubic", "--memory", f"{memory}M", "--device", "cpu", "--no-verify")
    command = [sys.executable, "-m", "vidsr", "enhance", tmp_path / "a.png", *options, "-o", tmp_path / "b.png"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_maxrss / 1024 <= memory  # it is in KiB


def test_an_odd_ratio_of_heights_has_no_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    assert row_ratio(9000, 2160) == (25, 6) and has_strips(9000, 2160)
    assert row_ratio(9001, 2160) == (9001, 2160) and not has_strips(9001, 2160)
    monkeypatch.setattr("vidsr.stages.memory_budget.default_limit", lambda: 16 * GIB)
    with pytest.raises(DeviceError, match="choose a smaller output"):
        make_plan(parse_options(height=17_999, model="bicubic", device="cpu"), PHOTO)


def test_a_clip_that_cannot_fit_is_refused_and_one_that_nearly_does_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = VideoInfo(3840, 2160, Fraction(24))
    options = parse_options(scale=2, model="bicubic", device="cpu")
    monkeypatch.setattr("vidsr.stages.memory_budget.default_limit", lambda: None)
    free = make_plan(options, clip)
    monkeypatch.setattr("vidsr.stages.memory_budget.default_limit", lambda: 64 * GIB)
    assert make_plan(options, clip) == free, "a run that fits does not depend on the free memory"
    monkeypatch.setattr("vidsr.stages.memory_budget.default_limit", lambda: 4 * GIB)
    notes = Notes()
    limited = make_plan(options, clip, notes=notes)
    assert limited.memory == make_plan(replace(options, memory=4 * GIB), clip).memory
    assert "memory limited to 4096M" in notes.texts[0]
    monkeypatch.setattr("vidsr.stages.memory_budget.default_limit", lambda: 2 * GIB)
    with pytest.raises(DeviceError, match=r"7680x4320 needs \d+M of memory and 2048M are free"):
        make_plan(options, clip)


def test_a_short_clip_needs_less_than_a_long_one() -> None:
    clip = VideoInfo(3840, 2160, Fraction(24), frames=2)
    short, long = (clip_need(replace(clip, frames=frames), clip, Encoding(), 0) for frames in (2, 500))
    assert short.least < long.least and short.whole < long.whole
