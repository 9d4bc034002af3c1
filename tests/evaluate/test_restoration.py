"""Restoration methods compared: known damage, methods that do not know it, and frames that match the original's."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.clips import make_clip
from tests.kernels.test_blur_noise_estimate import shapes
from vidsr.degrade.clip import degrade_clip, parse_degrade
from vidsr.errors import OptionError
from vidsr.evaluate.compare import Comparison
from vidsr.evaluate.restoration import INPUT, compare_restoration, parse_damage
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


def test_methods_that_estimate_the_blur_improve_a_blurred_photo(photo: Path) -> None:
    found = scores(
        compared(photo, ("wiener", "wiener:1.6", "unsharp"), {"blur": "gaussian:1.6", "noise": "1"}, deblur=1)
    )
    assert found["wiener"] > found[INPUT] + 1.2
    assert abs(found["wiener"] - found["wiener:1.6"]) < 1
    assert found["unsharp"] > found[INPUT]


def test_denoising_improves_a_noisy_photo_and_more_at_full_strength(photo: Path) -> None:
    full, half = (scores(compared(photo, ("nlm",), {"noise": "10"}, denoise=strength)) for strength in (1, 0.3))
    assert full["nlm"] > half["nlm"] + 2 > half[INPUT] + 4


def test_an_encoded_clip_is_compared_with_the_right_frames(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=6, size=(65, 47), pix_fmt="yuv444p", codec="ffv1")
    comparison = compared(clip, ("nlm:3",), {"crf": 40}, restore=1, start="0.08", frames=3)
    found = scores(comparison)
    assert comparison.frames == 3
    assert 20 < found[INPUT] < 60  # of another frame it would be far less
    assert comparison.samples["original"].y.shape == comparison.samples[INPUT].y.shape == (1, 1, 47, 65)


@pytest.mark.parametrize("temporal", [True, False])
def test_scores_are_those_of_a_run_with_and_without_temporal_denoising(
    tmp_path: Path, samples: Path, temporal: bool
) -> None:
    clip, wanted = samples / "city_cut.mp4", {"denoise": 1, "temporal_denoise": temporal}
    comparison = compared(clip, ("bilateral:5",), {"noise": "5"}, frames=4, **wanted)
    damage = parse_degrade(noise="5", codec="ffv1")
    degrade_clip(clip, tmp_path / "damaged.mkv", damage, part=(None, None, 4))
    options = parse_options(codec="ffv1", device="cpu", denoise_model="bilateral:5", log=False, **wanted)  # type: ignore[arg-type]
    enhance_file(Job(tmp_path / "damaged.mkv", tmp_path / "restored.mkv"), options)
    with VideoReader(clip, frames=4) as original, VideoReader(tmp_path / "restored.mkv") as restored:
        pairs = zip(next(original.batches(4)).y, next(restored.batches(4)).y, strict=True)
        expected = np.mean([psnr(made[0].numpy(), true[0].numpy()) for true, made in pairs])
    assert scores(comparison)["bilateral:5"] == pytest.approx(expected, abs=1e-6)
    assert comparison.change == f"noise 5, then denoise, {'temporal denoising' if temporal else 'frame by frame'}"


def test_unsuitable_options_give_one_line_errors(photo: Path) -> None:
    with pytest.raises(OptionError, match="degrade the clip with --blur"):
        compared(photo, ("nlm",), {}, denoise=1)
    with pytest.raises(OptionError, match="give one of --deblur, --denoise and --restore"):
        compared(photo, ("nlm",), {"noise": "3"}, denoise=1, deblur=1)
    with pytest.raises(OptionError, match="is an image, and --crf encodes clips"):
        compared(photo, ("nlm",), {"crf": 30}, denoise=1)
