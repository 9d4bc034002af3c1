"""compare --fps: frames that were left out are the truth of those that are made."""

import json
import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.clips import make_clip
from vidsr.errors import OptionError
from vidsr.evaluate.compare import compare_all, sheet
from vidsr.evaluate.contact_sheet import densest_crops
from vidsr.evaluate.interpolation import compare_rate, default_engines
from vidsr.evaluate.minterpolate import minterpolate
from vidsr.frames import VideoInfo
from vidsr.options.enhance import parse_options
from vidsr.options.frame_rate import parse_fps

OPTIONS = parse_options(fps="2x", frames=7, device="cpu")
TWICE = parse_fps("2x")
ENGINES = ("duplicate", "blend", "flow", "net")


def test_engines_against_the_frames_left_out(samples: Path) -> None:
    rows: list[dict[str, str | int | float]] = []
    comparison = compare_rate(samples / "city_cut.mp4", TWICE, ENGINES, OPTIONS, rows.append)
    assert [score.method for score in comparison.scores] == list(ENGINES)
    assert {row["frame"] for row in rows} == {1, 3, 5}
    duplicate, blend, flow, net = (score.psnr_y for score in comparison.scores)
    assert duplicate < blend < flow
    assert net > blend
    assert list(comparison.pictures) == [*ENGINES, "truth"]
    assert comparison.tag == "2x" and all(score.fps > 0 for score in comparison.scores)
    assert sheet(comparison, 2).ndim == 3


def test_a_factor_of_three_makes_two_of_three(samples: Path) -> None:
    rows: list[dict[str, str | int | float]] = []
    compare_rate(samples / "city_cut.mp4", parse_fps("3x"), ("blend",), OPTIONS, rows.append)
    assert [row["frame"] for row in rows] == [1, 2, 4, 5]


def test_the_picture_shows_where_the_error_is() -> None:
    error = np.zeros((60, 80), np.float32)
    error[40:44, 70:74] = 9
    ((rows, columns),) = densest_crops(error, 16, 1)
    assert rows.start <= 40 and rows.stop >= 44
    assert columns.start <= 70 and columns.stop >= 74


def test_the_command_writes_a_table_and_a_picture(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = parse_options(fps="2x", frames=5)
    compare_all([samples / "city_cut.mp4"], 4, ("blend", "flow"), tmp_path, options, True, clock=TWICE)
    assert [score["method"] for score in json.loads(capsys.readouterr().out)["scores"]] == ["blend", "flow"]
    assert len((tmp_path / "compare.csv").read_text().splitlines()) == 1 + 2 * 2
    picture = cv2.imread(str(tmp_path / "city_cut.compare.2x.png"))
    assert picture is not None and picture.shape[0] > 256


@pytest.mark.parametrize(
    ("clock", "engines", "frames", "message"),
    [
        ("60", None, 9, "leaves out whole frames"),
        ("2.5x", None, 9, "leaves out whole frames"),
        ("2x", ("rife",), 9, "--models rife: no such engine; there are duplicate, blend, flow, net"),
        ("2x", None, 3, "3 frames are too few"),
    ],
)
def test_what_cannot_be_compared_is_said(
    tmp_path: Path, clock: str, engines: tuple[str, ...] | None, frames: int, message: str
) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=frames)
    with pytest.raises(OptionError, match=message):
        compare_rate(source, parse_fps(clock), engines, parse_options(fps="2x"))


def test_minterpolate_is_there_only_where_ffmpeg_is_and_for_8_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    info = VideoInfo(64, 48, Fraction(25))
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/ffmpeg")
    assert "minterpolate" in default_engines(info)
    assert "minterpolate" not in default_engines(VideoInfo(64, 48, Fraction(25), depth=10))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "minterpolate" not in default_engines(info)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed")
def test_minterpolate_makes_frames_in_between(samples: Path) -> None:
    comparison = compare_rate(samples / "city_cut.mp4", TWICE, ("blend", "minterpolate"), OPTIONS)
    blend, ffmpeg = comparison.scores
    assert ffmpeg.psnr_y > blend.psnr_y - 1
    assert minterpolate.__doc__
