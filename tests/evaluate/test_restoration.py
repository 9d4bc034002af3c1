"""`vidsr compare --deblur` and its kin: damage that is known, methods that are not told, pictures in step."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.clips import make_clip
from tests.kernels.test_noise_estimate import shapes
from vidsr.degrade.clip import degrade_clip, parse_degrade
from vidsr.errors import OptionError
from vidsr.evaluate.compare import compare_all
from vidsr.evaluate.restoration import INPUT, compare_restoration, parse_damage
from vidsr.evaluate.upscaling import Comparison
from vidsr.metrics import psnr
from vidsr.options.enhance import parse_options
from vidsr.options.paths import Job
from vidsr.pipeline.run import enhance_file
from vidsr.video import VideoReader


def compared(source: Path, methods: tuple[str, ...], damage: dict[str, object], **options: object) -> Comparison:
    wanted = parse_options(device="cpu", **options)  # type: ignore[arg-type]
    return compare_restoration(
        source, parse_damage(**{"blur": None, "noise": None, "crf": None, **damage}), methods, wanted
    )  # type: ignore[arg-type]


def scores(comparison: Comparison) -> dict[str, float]:
    return {score.method: score.psnr_y for score in comparison.scores}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "shapes.png"
    cv2.imwrite(str(path), np.rint(shapes()).astype(np.uint8))
    return path


def test_a_blurred_photo_gains_by_methods_that_find_the_sigma_themselves(photo: Path) -> None:
    found = scores(
        compared(photo, ("wiener", "wiener:1.6", "unsharp"), {"blur": "gaussian:1.6", "noise": "1"}, deblur=1)
    )
    assert found["wiener"] > found[INPUT] + 1.2
    assert abs(found["wiener"] - found["wiener:1.6"]) < 1
    assert found["unsharp"] > found[INPUT]


def test_a_noisy_photo_gains_by_denoising_and_half_the_strength_gains_less(photo: Path) -> None:
    full, half = (scores(compared(photo, ("nlm",), {"noise": "10"}, denoise=strength)) for strength in (1, 0.3))
    assert full["nlm"] > half["nlm"] + 2 > half[INPUT] + 4


def test_a_clip_is_compared_frame_by_frame_through_a_real_encoder(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=6, size=(65, 47), pix_fmt="yuv444p", codec="ffv1")
    comparison = compared(clip, ("nlm:3",), {"crf": 40}, restore=1, start="0.08", frames=3)
    found = scores(comparison)
    assert comparison.frames == 3
    assert 20 < found[INPUT] < 60  # of another frame it would be far less
    assert comparison.pictures["truth"].y.shape == comparison.pictures[INPUT].y.shape == (1, 1, 47, 65)


@pytest.mark.parametrize("steady", [True, False])
def test_a_clip_is_measured_as_a_run_makes_it_along_the_motion_or_not(
    tmp_path: Path, samples: Path, steady: bool
) -> None:
    clip, asked = samples / "city_cut.mp4", {"denoise": 1, "temporal_denoise": steady}
    comparison = compared(clip, ("bilateral:5",), {"noise": "5"}, frames=4, **asked)
    damage = parse_degrade(noise="5", codec="ffv1")
    degrade_clip(clip, tmp_path / "damaged.mkv", damage, part=(None, None, 4))
    options = parse_options(codec="ffv1", device="cpu", denoise_model="bilateral:5", log=False, **asked)  # type: ignore[arg-type]
    enhance_file(Job(tmp_path / "damaged.mkv", tmp_path / "restored.mkv"), options)
    with VideoReader(clip, frames=4) as truth, VideoReader(tmp_path / "restored.mkv") as restored:
        pairs = zip(next(truth.batches(4)).y, next(restored.batches(4)).y, strict=True)
        expected = np.mean([psnr(made[0].numpy(), true[0].numpy()) for true, made in pairs])
    assert scores(comparison)["bilateral:5"] == pytest.approx(expected, abs=1e-6)
    assert comparison.change == f"noise 5, then denoise, {'steadied' if steady else 'frame by frame'}"


def test_the_csv_and_the_picture_are_named_after_the_task(tmp_path: Path, photo: Path, capsys) -> None:
    options = parse_options(deblur=1, device="cpu")
    damage = parse_damage("gaussian:1.2", None, None)
    compare_all([photo], 4, ("wiener",), tmp_path / "out", options, True, damage)
    assert json.loads(capsys.readouterr().out)["scores"][1]["method"] == "wiener"
    rows = list(csv.DictReader((tmp_path / "out" / "compare.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == [INPUT, "wiener"]
    assert cv2.imread(str(tmp_path / "out" / "shapes.compare.deblur.png")).shape[2] == 3


def test_what_cannot_be_compared_is_one_clear_line(photo: Path) -> None:
    with pytest.raises(OptionError, match="damage the clip with --blur"):
        compared(photo, ("nlm",), {}, denoise=1)
    with pytest.raises(OptionError, match="give one of --deblur, --denoise and --restore"):
        compared(photo, ("nlm",), {"noise": "3"}, denoise=1, deblur=1)
    with pytest.raises(OptionError, match="is an image, and --crf encodes clips"):
        compared(photo, ("nlm",), {"crf": 30}, denoise=1)
