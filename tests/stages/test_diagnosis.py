"""Sample frames: spread over the wanted range, and some for every readable clip."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.clips import make_clip, read_number
from vidsr.frames import VideoInfo
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import make_plan
from vidsr.stages.diagnosis import PLACES, ClipSamples, diagnose, sample_clip, suits_compressed_weights
from vidsr.video import VideoReader, mean_quantizer


def numbers(clip: Path, **options: object) -> list[int]:
    with VideoReader(clip) as reader:
        info = reader.info
    frames = sample_clip(clip, parse_options(deblur="auto", **options), info).frames  # type: ignore[arg-type]
    return [read_number(frame[0, 0].numpy()) for frame in frames]


def test_sample_frames_are_spread_over_the_clip(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=50)
    found = numbers(clip)
    assert len(found) == PLACES and found == sorted(set(found))
    assert found[0] < 10 and found[-1] > 40


def test_sample_frames_lie_in_the_wanted_range(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=50)
    assert all(25 <= number < 35 for number in numbers(clip, start="1", frames=10))
    assert all(25 <= number <= 30 for number in numbers(clip, start="1", end="1.2"))


def test_a_clip_of_one_frame_gives_that_frame(tmp_path: Path) -> None:
    assert set(numbers(make_clip(tmp_path / "a.mp4", frames=1))) == {0}


def test_a_clip_of_unknown_duration_gives_its_first_frames(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=20)
    with VideoReader(clip) as reader:
        info = reader.info
    frames = sample_clip(clip, parse_options(deblur="auto"), replace(info, duration=None, frames=None)).frames
    assert [read_number(frame[0, 0].numpy()) for frame in frames] == list(range(PLACES))
    assert info.fps == Fraction(25)


@pytest.mark.parametrize(("codec", "usual"), [("h264", 22), ("mpeg4", 6)])
def test_clips_of_less_detail_get_weights_for_compressed_clips_from_finer_steps_on(codec: str, usual: float) -> None:
    info = VideoInfo(64, 48, Fraction(25), codec=codec)

    def least(detail: float) -> float:
        return next(float(q) for q in np.arange(0, 100, 0.1) if suits_compressed_weights(info, q, detail))

    assert least(2) == least(50) == pytest.approx(usual, abs=0.1)
    for detail in (1.5, 1, 0.5):
        step = (lambda q: 2 ** (q / 6)) if codec == "h264" else (lambda q: q)
        assert step(least(detail)) / step(usual) == pytest.approx(detail / 2, rel=0.08)
    assert least(0) == least(0.4) > 0


def test_the_detail_of_a_clip_is_that_of_its_frames(tmp_path: Path) -> None:
    ramp = torch.arange(0, 240, 3, dtype=torch.uint8).expand(1, 1, 60, 80)
    info = VideoInfo(80, 60, Fraction(25), codec="h264")
    assert diagnose(ClipSamples((ramp,)), info).detail == pytest.approx(3)
    deep = (ramp.to(torch.int32) * 4).to(torch.uint16)
    assert diagnose(ClipSamples((deep,)), replace(info, depth=10)).detail == pytest.approx(3, rel=0.01)
    options = parse_options(scale=2, temporal=False)
    words = [make_plan(options, info, ClipSamples((frame,), 16)).words[0] for frame in (ramp, ramp // 9)]
    assert [one.split(" x2")[0] for one in words] == ["balanced (clean)", "balanced (video)"]


def test_the_quantizer_is_read_if_compression_matters(tmp_path: Path) -> None:
    fine, coarse = (make_clip(tmp_path / f"{crf}.mp4", frames=5, crf=crf) for crf in (12, 40))
    with VideoReader(fine) as reader:
        info = reader.info
    values = [sample_clip(clip, parse_options(restore="auto"), info).quantizer for clip in (fine, coarse)]
    assert values[0] is not None and values[1] is not None and values[0] < 18 < 35 < values[1] <= 51
    assert sample_clip(fine, parse_options(deblur="auto"), info).quantizer is None
    assert sample_clip(fine, parse_options(deblur="0.5"), info).quantizer == values[0]
    samples = sample_clip(fine, parse_options(scale=2), info)
    assert samples.quantizer == values[0] and samples.frames
    for options in ({"model": "bicubic"}, {"domain": "clean"}):
        assert sample_clip(fine, parse_options(scale=2, **options), info) == ClipSamples()  # type: ignore[arg-type]
    assert sample_clip(fine, parse_options(fps="2x"), info) == ClipSamples()
    lossless = make_clip(tmp_path / "a.mkv", frames=3, codec="ffv1")
    assert mean_quantizer(lossless) is None
