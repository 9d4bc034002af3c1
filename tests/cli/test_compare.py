"""`vidsr compare`: what it prints and writes, and which errors it blames on the output folder."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.clips import make_clip
from tests.commands import run_vidsr
from tests.limits import no_more_than
from vidsr.cli.compare import compare
from vidsr.errors import ExitCode, InputError, OptionError, OutputError
from vidsr.evaluate.restoration import INPUT
from vidsr.models.architectures import rife
from vidsr.models.architectures.compact import Compact, Config
from vidsr.options.commands import BY_NAME
from vidsr.options.community import find_models
from vidsr.runtime.interrupt import Interrupted

DEFAULTS = {option.name: option.default for option in BY_NAME["compare"].options} | {"scale": 2, "device": "cpu"}


def run_compare(source: Path, **given: object) -> None:
    """`vidsr compare` on one file or folder."""
    compare(**DEFAULTS | {"inputs": [source], "json": True} | given)  # type: ignore[arg-type]


def test_a_folder_of_images_gives_a_csv_file_and_a_contact_sheet_for_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for name, shape in (("a.png", (80, 96, 3)), ("grey.png", (90, 96))):
        smooth = cv2.GaussianBlur(rng.integers(0, 256, shape, np.uint8), (0, 0), 2)
        cv2.imwrite(str(tmp_path / "in" / name), smooth)
    run_compare(tmp_path / "in", models="bilinear,bicubic", output=tmp_path / "out", json=False)
    printed = capsys.readouterr().out
    assert "PSNR-Y" in printed and "a.png" in printed and "grey.png" in printed
    with (tmp_path / "out" / "compare.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"a.compare.x2.png", "grey.compare.x2.png"}


def test_a_file_that_cannot_be_compared_does_not_end_the_comparison_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "c"):
        make_clip(tmp_path / f"{name}.mp4", frames=1, size=(64, 48))
    (tmp_path / "b.mp4").write_bytes(b"not a clip" * 99)
    clips = [tmp_path / f"{name}.mp4" for name in "abc"]
    done = run_vidsr("compare", *clips, "--models", "nearest", "--scale", "2", "-o", tmp_path / "out")
    assert done.returncode == ExitCode.SOME_FAILED
    assert "a.mp4: 64x48" in done.stdout and "c.mp4: 64x48" in done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert "b.mp4 cannot be read" in line
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("compare.csv", "a.compare.x2.png", "c.compare.x2.png")
    }
    none = run_vidsr("compare", clips[1], clips[1], "--models", "nearest", "--scale", "2", "-o", tmp_path / "none")
    assert none.returncode == ExitCode.BAD_REQUEST and "none of the 2 files could be compared" in none.stderr
    assert not (tmp_path / "none").exists()


def test_json_output_has_a_score_for_each_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    run_compare(clip, models="nearest")
    assert json.loads(capsys.readouterr().out)["scores"][0]["method"] == "nearest"


def test_interpolation_gives_a_table_and_a_contact_sheet(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_compare(samples / "city_cut.mp4", fps="2x", frames=5, models="duplicate,blend", output=tmp_path)
    assert [score["method"] for score in json.loads(capsys.readouterr().out)["scores"]] == ["duplicate", "blend"]
    assert len((tmp_path / "compare.csv").read_text().splitlines()) == 1 + 2 * 2
    sheet = cv2.imread(str(tmp_path / "city_cut.compare.2x.png"))
    assert sheet is not None and sheet.shape[0] > 256


def test_restoration_files_are_named_after_the_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "shapes.png"
    cv2.imwrite(str(photo), np.random.default_rng(0).integers(0, 256, (64, 80), np.uint8))
    run_compare(photo, deblur="1", blur="gaussian:1.2", models="wiener", output=tmp_path / "out")
    assert json.loads(capsys.readouterr().out)["scores"][1]["method"] == "wiener"
    rows = list(csv.DictReader((tmp_path / "out" / "compare.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == [INPUT, "wiener"]
    sheet = cv2.imread(str(tmp_path / "out" / "shapes.compare.deblur.png"))
    assert sheet is not None and sheet.shape[2] == 3


def test_a_full_disk_gives_a_one_line_error_and_leaves_nothing(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    with pytest.raises(OutputError, match=r"compare\.csv cannot be written \(File too large\)"), no_more_than(16):
        run_compare(clip, models="nearest", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), InputError("a.mp4: Input/output error"), Interrupted()]
)
def test_d12_a_comparison_that_ends_early_leaves_nothing_and_does_not_blame_the_output_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    monkeypatch.setattr("vidsr.api.compare_upscaling", fail)
    with pytest.raises(type(error)) as raised:
        run_compare(clip, models="nearest", output=tmp_path / "out")
    assert raised.value is error
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_file_gives_a_one_line_error(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="out cannot be made: File exists; choose another --output"):
        run_compare(clip, models="nearest", output=tmp_path / "out")


def test_d3_existing_scores_are_replaced_only_with_overwrite(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "compare.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"compare\.csv exists: choose another folder, or give --overwrite"):
        run_compare(clip, models="nearest", output=tmp_path / "out")
    assert (tmp_path / "out" / "compare.csv").read_text() == "mine"
    run_compare(clip, models="nearest", output=tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "compare.csv").read_text().startswith("source,frame")


def test_d3_scores_never_replace_an_input(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48)).rename(tmp_path / "compare.csv")
    with pytest.raises(OutputError, match=r"compare\.csv is an input of this run"):
        run_compare(clip, models="nearest", output=tmp_path, overwrite=True)


def test_shipped_community_and_own_models_are_compared_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    torch.save(Compact(Config(2, 4, 0)).state_dict(), tmp_path / "my.pth")
    names = ["fast", str(tmp_path / "my.pth"), *(["waifu2x-anime"] if find_models("waifu2x-anime")[0].path else [])]
    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    run_compare(clip, models=",".join(names), output=tmp_path / "out")
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert [score["method"] for score in scores] == names
    assert (tmp_path / "out" / "a.compare.x2.png").exists()


def test_rife_from_a_file_is_compared_with_the_engines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    torch.save(rife.Rife(rife.Config((8, 8))).state_dict(), tmp_path / "flownet.pkl")
    clip = make_clip(tmp_path / "a.mp4", frames=5, size=(64, 48))
    run_compare(clip, fps="2x", models=f"blend,{tmp_path / 'flownet.pkl'}")
    assert len(json.loads(capsys.readouterr().out)["scores"]) == 2
    with pytest.raises(OptionError, match=r"--models rife: no such engine: choose .* or a file of RIFE"):
        run_compare(clip, fps="2x", models="rife")
