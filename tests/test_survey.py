"""Sample frames: spread over what is asked for, and some for every clip that can be read."""

from fractions import Fraction
from pathlib import Path

from tests.clips import make_clip, read_number
from vidsr.options import parse_options
from vidsr.survey import PLACES, sample
from vidsr.video import VideoReader


def numbers(clip: Path, **options: object) -> list[int]:
    with VideoReader(clip) as reader:
        info = reader.info
    frames = sample(clip, parse_options(deblur="auto", **options), info)  # type: ignore[arg-type]
    return [read_number(frame[0, 0].numpy()) for frame in frames]


def test_they_are_spread_over_the_clip(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=50)
    found = numbers(clip)
    assert len(found) == PLACES and found == sorted(set(found))
    assert found[0] < 10 and found[-1] > 40


def test_they_lie_in_the_range_that_is_asked_for(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=50)
    assert all(25 <= number < 35 for number in numbers(clip, start="1", frames=10))
    assert all(25 <= number <= 30 for number in numbers(clip, start="1", end="1.2"))


def test_a_clip_of_one_frame_gives_it(tmp_path: Path) -> None:
    assert set(numbers(make_clip(tmp_path / "a.mp4", frames=1))) == {0}


def test_a_clip_that_does_not_know_its_length_gives_its_first_frames(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=20)
    with VideoReader(clip) as reader:
        info = reader.info
    from dataclasses import replace

    frames = sample(clip, parse_options(deblur="auto"), replace(info, duration=None, frames=None))
    assert [read_number(frame[0, 0].numpy()) for frame in frames] == list(range(PLACES))
    assert info.fps == Fraction(25)
