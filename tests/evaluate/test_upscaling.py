"""compare: bicubic is the papers', every method is measured on every frame, and the picture shows it."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.clips import make_clip
from vidsr.errors import ModelError, OptionError, OutputError
from vidsr.evaluate.compare import compare_all, sheet
from vidsr.evaluate.contact_sheet import busiest_crops, side_by_side
from vidsr.evaluate.upscaling import Score, compare_file, default_methods
from vidsr.kernels.resample import resize
from vidsr.metrics import psnr
from vidsr.options.enhance import parse_options
from vidsr.video import VideoReader

OPTIONS = parse_options(scale=2)


def test_a_real_clip_through_classical_methods_and_a_network(samples: Path) -> None:
    rows: list[dict[str, str | int | float]] = []
    options = parse_options(scale=2, frames=3)
    comparison = compare_file(samples / "city_cut.mp4", 2, ("nearest", "bicubic", "fast"), options, rows.append)
    assert [score.method for score in comparison.scores] == ["nearest", "bicubic", "fast"]
    assert all(score.frames == 3 and score.fps > 0 for score in comparison.scores)
    assert len(rows) == 9
    nearest, bicubic, fast = (score.psnr_y for score in comparison.scores)
    assert nearest < bicubic < fast
    for score in comparison.scores:
        mean = np.mean([row["psnr_y"] for row in rows if row["method"] == score.method])
        assert score.psnr_y == pytest.approx(mean)


def test_an_odd_size_is_cropped_to_a_multiple_and_its_picture_is_whole(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=2, size=(131, 99), codec="ffv1")
    comparison = compare_file(clip, 3, ("bicubic",), OPTIONS)
    assert (comparison.info.width, comparison.info.height) == (129, 99)
    assert sheet(comparison).shape[2] == 3


def test_an_odd_reduced_size_is_not_padded_before_it_is_put_back(tmp_path: Path, samples: Path) -> None:
    """270 rows reduced by 4 are 67: a row added for an encoder's sake would shift the whole picture."""
    options = parse_options(scale=4, frames=1)
    comparison = compare_file(samples / "phone_dog.mp4", 4, ("bicubic", "fast"), options)
    with VideoReader(samples / "phone_dog.mp4") as reader:
        truth = next(reader.batches(1)).y[0, 0, :268].numpy()
    low = resize(truth, 120, 67, "bicubic")
    expected = psnr(resize(low, 480, 268, "bicubic"), truth, crop=4)
    bicubic, fast = (score.psnr_y for score in comparison.scores)
    assert bicubic == pytest.approx(expected, abs=1e-3)
    assert fast > bicubic + 0.5


def test_a_folder_of_images_writes_csv_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for name, shape in (("a.png", (80, 96, 3)), ("grey.png", (90, 96))):
        smooth = cv2.GaussianBlur(rng.integers(0, 256, shape, np.uint8), (0, 0), 2)
        cv2.imwrite(str(tmp_path / "in" / name), smooth)
    compare_all([tmp_path / "in"], 2, ("bilinear", "bicubic"), tmp_path / "out", OPTIONS, as_json=False)
    printed = capsys.readouterr().out
    assert "PSNR-Y" in printed and "a.png" in printed and "grey.png" in printed
    with (tmp_path / "out" / "compare.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"a.compare.x2.png", "grey.compare.x2.png"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "compare.csv").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="out cannot be written: No space left on device"):
        compare_all([clip], 2, ("nearest",), tmp_path / "out", OPTIONS, as_json=True)


def test_a_frame_that_is_put_back_exactly_has_no_part_in_the_mean_psnr() -> None:
    score = Score("flow")
    for psnr_y, mse_y in ((40.0, 2.0), (float("inf"), 0.0), (50.0, 1.0), (float("inf"), 0.0)):
        score.add({"psnr_y": psnr_y, "ssim_y": 1.0, "mse_y": mse_y}, 1.0)
    assert (score.psnr_y, score.mse_y, score.frames) == (45.0, 0.75, 4)
    same = Score("same")
    same.add({"psnr_y": float("inf"), "ssim_y": 1.0, "mse_y": 0.0}, 1.0)
    assert same.psnr_y == float("inf")


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    compare_all([clip], 2, ("nearest",), None, OPTIONS, as_json=True)
    assert json.loads(capsys.readouterr().out)["scores"][0]["method"] == "nearest"


def test_unknown_methods_and_tiny_clips_are_one_clear_line(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    with pytest.raises(ModelError, match="no_such"):
        compare_file(clip, 2, ("no_such",), OPTIONS)
    with pytest.raises(OptionError, match="too small to reduce by 8"):
        compare_file(clip, 8, ("bicubic",), OPTIONS)
    with pytest.raises(OptionError, match="leaves nothing to compare"):
        compare_file(clip, 1, ("bicubic",), OPTIONS)


def test_the_crop_is_where_the_detail_is() -> None:
    luma = np.zeros((100, 120), np.uint8)
    luma[60:80, 90:110] = np.random.default_rng(0).integers(0, 256, (20, 20))
    ((rows, columns),) = busiest_crops(luma, 32, 1)
    assert rows.start <= 60 and rows.stop >= 80 and columns.start <= 90 and columns.stop >= 110
    assert (rows.stop - rows.start, columns.stop - columns.start) == (32, 32)


def test_several_crops_show_different_places() -> None:
    luma = np.random.default_rng(0).integers(0, 256, (100, 120), np.uint8)
    seen = np.zeros(luma.shape, int)
    for place in busiest_crops(luma, 32, 6):
        seen[place] += 1
    assert seen.sum() == 6 * 32 * 32 and seen.max() == 1


def test_default_methods_are_the_kernels_and_the_networks_that_have_weights(tmp_path: Path) -> None:
    for name in ("best-clean-x4", "fast-clean-x4", "fast-clean-x2", "balanced-video-x4"):
        (tmp_path / f"{name}.safetensors").touch()
    assert default_methods(4, tmp_path)[-2:] == ("fast", "best")
    assert default_methods(2, tmp_path)[-1] == "fast"


def test_side_by_side_fills_its_last_row() -> None:
    pictures = [(str(i), np.full((8, 10, 3), i, np.uint8)) for i in range(5)]
    result = side_by_side(pictures, columns=3, zoom=2)
    assert result.shape[0] == 2 * (16 + 28 + 4)
    assert result.shape[1] == 3 * (20 + 8)
