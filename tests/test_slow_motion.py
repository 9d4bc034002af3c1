"""Slow motion: time stretched exactly, nothing beside the picture out of step."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.clips import make_clip
from vidsr import enhance
from vidsr.errors import OptionError
from vidsr.options import parse_options
from vidsr.video.tempo import speeds


def slowed(source: Path, target: Path, **options: object) -> list[str]:
    """The notes of a run."""
    notes: list[str] = []
    enhance(source, target, on_note=notes.append, interpolation="blend", log=False, **options)
    return notes


def picture_times(path: Path) -> list[Fraction]:
    with av.open(path) as file:
        stamps = [(frame.pts, frame.time_base) for frame in file.decode(video=0)]
    return [Fraction(stamp or 0) * Fraction(base or 0) for stamp, base in stamps]


def sound(path: Path) -> tuple[float, float]:
    """When the sound begins to be heard, and when it ends, seconds."""
    heard: list[tuple[float, float]] = []
    with av.open(path) as file:
        for frame in file.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray().astype(np.float64)).max(0) > 0.02)
            if len(loud):
                heard += [(float(frame.time or 0) + n / frame.sample_rate) for n in (loud[0], loud[-1])]  # type: ignore[misc]
    return min(heard), max(heard)  # type: ignore[return-value]


def test_eight_times_slower_is_eight_times_as_many_frames_at_exact_times(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=5, fps=Fraction(25), audio=2, subtitles="ass", chapters=True)
    notes = slowed(source, tmp_path / "b.mp4", slow_motion="8x")
    assert picture_times(tmp_path / "b.mp4") == [Fraction(n, 25) for n in range(40)]
    with av.open(tmp_path / "b.mp4") as file:
        assert [stream.type for stream in file.streams] == ["video"]
    assert sum("left out of slow motion" in note for note in notes) == 4  # two sounds, subtitles, chapters


def test_the_rate_asked_for_is_that_of_the_slow_clip(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=5, fps=Fraction(24))
    slowed(source, tmp_path / "b.mp4", slow_motion="2", fps="60")
    times = picture_times(tmp_path / "b.mp4")
    assert times == [Fraction(n, 60) for n in range(len(times))]
    assert len(times) == 25


@pytest.mark.parametrize(("factor", "suffix"), [(3, ".mp4"), (8, ".mkv"), (2, ".webm")])
def test_slowed_sound_keeps_in_step(tmp_path: Path, factor: int, suffix: str) -> None:
    late = Fraction(1, 2)
    source = make_clip(tmp_path / "a.mp4", frames=30, fps=Fraction(25), audio=1, audio_start=late)
    notes = slowed(
        source, tmp_path / f"b{suffix}", slow_motion=f"{factor}x", slow_audio=True,
        codec="libvpx-vp9" if suffix == ".webm" else "libx264",
    )  # fmt: skip
    assert any("slowed, and encoded anew" in note for note in notes)
    began, ended = sound(source)
    after = sound(tmp_path / f"b{suffix}")
    assert after[0] == pytest.approx(began * factor, abs=0.04 * factor)
    assert after[1] == pytest.approx(ended * factor, abs=0.06 * factor)


def test_one_filter_at_most_halves_the_speed() -> None:
    for factor in (Fraction(3, 2), Fraction(2), Fraction(5), Fraction(8), Fraction(100)):
        steps = speeds(1 / factor)
        assert np.prod([float(step) for step in steps]) == pytest.approx(1 / float(factor))
        assert min(steps) >= Fraction(1, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slow_motion": "0.5x"}, "is faster"),
        ({"slow_motion": "slow"}, "not a number"),
        ({"fps": "2x", "slow_audio": True}, "--slow-audio goes with --slow-motion"),
        ({"fps": "2x", "duplicates": "drop"}, "choose keep, smooth"),
        ({"fps": "2x", "interpolation": "rife"}, "choose auto, flow, net"),
    ],
)
def test_what_makes_no_sense_is_said(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_options(**options)  # type: ignore[arg-type]
