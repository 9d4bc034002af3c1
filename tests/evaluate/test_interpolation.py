"""Interpolation engines compared: removed frames are the originals of the interpolated ones."""

import shutil
from fractions import Fraction
from pathlib import Path

import pytest

from tests.clips import make_clip
from vidsr.errors import OptionError
from vidsr.evaluate.contact_sheet import contact_sheet
from vidsr.evaluate.interpolation import compare_interpolation, default_engines
from vidsr.evaluate.minterpolate import minterpolate
from vidsr.frames import VideoInfo
from vidsr.options.enhance import parse_options
from vidsr.options.frame_rate import parse_fps

OPTIONS = parse_options(fps="2x", frames=7, device="cpu")
TWICE = parse_fps("2x")
ENGINES = ("duplicate", "blend", "flow", "net")


def test_every_engine_is_measured_on_the_removed_frames(samples: Path) -> None:
    rows: list[dict[str, str | int | float]] = []
    comparison = compare_interpolation(samples / "city_cut.mp4", TWICE, ENGINES, OPTIONS, rows.append)
    assert [score.method for score in comparison.scores] == list(ENGINES)
    assert {row["frame"] for row in rows} == {1, 3, 5}
    duplicate, blend, flow, net = (score.psnr_y for score in comparison.scores)
    assert duplicate < blend < flow
    assert net > blend
    assert list(comparison.samples) == [*ENGINES, "original"]
    assert comparison.tag == "2x" and all(score.fps > 0 for score in comparison.scores)
    assert contact_sheet(comparison, 2).ndim == 3


def test_a_factor_of_three_interpolates_two_frames_of_three(samples: Path) -> None:
    rows: list[dict[str, str | int | float]] = []
    compare_interpolation(samples / "city_cut.mp4", parse_fps("3x"), ("blend",), OPTIONS, rows.append)
    assert [row["frame"] for row in rows] == [1, 2, 4, 5]


@pytest.mark.parametrize(
    ("clock", "engines", "frames", "message"),
    [
        ("60", None, 9, "removes whole frames"),
        ("2.5x", None, 9, "removes whole frames"),
        ("2x", ("rife",), 9, "--models rife: no such engine: choose duplicate, blend, flow, net"),
        ("2x", None, 3, "3 frames are too few"),
    ],
)
def test_unsuitable_options_give_one_line_errors(
    tmp_path: Path, clock: str, engines: tuple[str, ...] | None, frames: int, message: str
) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=frames)
    with pytest.raises(OptionError, match=message):
        compare_interpolation(source, parse_fps(clock), engines, parse_options(fps="2x"))


def test_minterpolate_is_compared_only_with_ffmpeg_and_8_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    info = VideoInfo(64, 48, Fraction(25))
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/ffmpeg")
    assert "minterpolate" in default_engines(info)
    assert "minterpolate" not in default_engines(VideoInfo(64, 48, Fraction(25), depth=10))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "minterpolate" not in default_engines(info)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed")
def test_minterpolate_is_about_as_good_as_blend_or_better(samples: Path) -> None:
    comparison = compare_interpolation(samples / "city_cut.mp4", TWICE, ("blend", "minterpolate"), OPTIONS)
    blend, ffmpeg = comparison.scores
    assert ffmpeg.psnr_y > blend.psnr_y - 1
    assert minterpolate.__doc__
