"""Sample frames: spread over the wanted range, and some for every readable clip."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from tests.clips import make_clip, read_number
from vidsr.options.enhance import parse_options
from vidsr.stages.diagnosis import PLACES, ClipSamples, sample_clip
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


def test_the_quantizer_is_read_if_compression_matters(tmp_path: Path) -> None:
    fine, coarse = (make_clip(tmp_path / f"{crf}.mp4", frames=5, crf=crf) for crf in (12, 40))
    with VideoReader(fine) as reader:
        info = reader.info
    values = [sample_clip(clip, parse_options(restore="auto"), info).quantizer for clip in (fine, coarse)]
    assert values[0] is not None and values[1] is not None and values[0] < 18 < 35 < values[1] <= 51
    assert sample_clip(fine, parse_options(deblur="auto"), info).quantizer is None
    assert sample_clip(fine, parse_options(deblur="0.5"), info).quantizer == values[0]
    assert sample_clip(fine, parse_options(scale=2), info) == ClipSamples((), values[0])
    for options in ({"model": "bicubic"}, {"domain": "clean"}):
        assert sample_clip(fine, parse_options(scale=2, **options), info) == ClipSamples()  # type: ignore[arg-type]
    assert sample_clip(fine, parse_options(fps="2x"), info) == ClipSamples()
    lossless = make_clip(tmp_path / "a.mkv", frames=3, codec="ffv1")
    assert mean_quantizer(lossless) is None
