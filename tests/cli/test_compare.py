"""`vidsr compare`: what it prints and writes, and which errors it blames on the output folder."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.clips import make_clip
from vidsr.cli import compare
from vidsr.cli.compare import compare_files
from vidsr.errors import InputError, OutputError
from vidsr.evaluate.restoration import INPUT, parse_damage
from vidsr.options.enhance import parse_options
from vidsr.options.frame_rate import parse_fps

OPTIONS = parse_options(scale=2)


def test_a_folder_of_images_gives_a_csv_file_and_a_contact_sheet_for_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for name, shape in (("a.png", (80, 96, 3)), ("grey.png", (90, 96))):
        smooth = cv2.GaussianBlur(rng.integers(0, 256, shape, np.uint8), (0, 0), 2)
        cv2.imwrite(str(tmp_path / "in" / name), smooth)
    compare_files([tmp_path / "in"], 2, ("bilinear", "bicubic"), tmp_path / "out", OPTIONS, as_json=False)
    printed = capsys.readouterr().out
    assert "PSNR-Y" in printed and "a.png" in printed and "grey.png" in printed
    with (tmp_path / "out" / "compare.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"a.compare.x2.png", "grey.compare.x2.png"}


def test_json_output_has_a_score_for_each_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    compare_files([clip], 2, ("nearest",), None, OPTIONS, as_json=True)
    assert json.loads(capsys.readouterr().out)["scores"][0]["method"] == "nearest"


def test_interpolation_gives_a_table_and_a_contact_sheet(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = parse_options(fps="2x", frames=5)
    compare_files([samples / "city_cut.mp4"], 4, ("blend", "flow"), tmp_path, options, True, clock=parse_fps("2x"))
    assert [score["method"] for score in json.loads(capsys.readouterr().out)["scores"]] == ["blend", "flow"]
    assert len((tmp_path / "compare.csv").read_text().splitlines()) == 1 + 2 * 2
    sheet = cv2.imread(str(tmp_path / "city_cut.compare.2x.png"))
    assert sheet is not None and sheet.shape[0] > 256


def test_restoration_files_are_named_after_the_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "shapes.png"
    cv2.imwrite(str(photo), np.random.default_rng(0).integers(0, 256, (64, 80), np.uint8))
    options = parse_options(deblur=1, device="cpu")
    damage = parse_damage("gaussian:1.2", None, None)
    compare_files([photo], 4, ("wiener",), tmp_path / "out", options, True, damage)
    assert json.loads(capsys.readouterr().out)["scores"][1]["method"] == "wiener"
    rows = list(csv.DictReader((tmp_path / "out" / "compare.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == [INPUT, "wiener"]
    sheet = cv2.imread(str(tmp_path / "out" / "shapes.compare.deblur.png"))
    assert sheet is not None and sheet.shape[2] == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_a_full_disk_gives_a_one_line_error(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "compare.csv").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="out cannot be written: No space left on device"):
        compare_files([clip], 2, ("nearest",), tmp_path / "out", OPTIONS, as_json=True)


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), InputError("a.mp4: Input/output error")])
def test_an_error_of_the_comparison_is_not_blamed_on_the_output_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    monkeypatch.setattr(compare, "compare_upscaling", fail)
    with pytest.raises(type(error)) as raised:
        compare_files([clip], 2, ("nearest",), tmp_path / "out", OPTIONS, as_json=True)
    assert raised.value is error
    assert (tmp_path / "out" / "compare.csv").read_text().startswith("source,frame,method")


def test_an_output_folder_that_is_a_file_gives_a_one_line_error(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="out cannot be written: File exists; choose another folder"):
        compare_files([clip], 2, ("nearest",), tmp_path / "out", OPTIONS, as_json=True)
