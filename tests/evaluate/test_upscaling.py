"""Upscaling methods compared: bicubic is that of the papers, and every method is measured on every frame."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.clips import make_clip
from tests.temporal_model import panning_clip, temporal_file
from vidsr.device import Compute
from vidsr.errors import ModelError, OptionError
from vidsr.evaluate.contact_sheet import contact_sheet
from vidsr.evaluate.upscaling import compare_upscaling, default_methods
from vidsr.kernels.resample import resize
from vidsr.metrics import psnr
from vidsr.models import from_file
from vidsr.options.enhance import parse_options
from vidsr.stages.network_runner import Runner
from vidsr.stages.rounding import rounded
from vidsr.stages.temporal_upscale import TemporalUpscaler
from vidsr.stages.upscale import resize_planes
from vidsr.video import VideoReader

OPTIONS = parse_options(scale=2)


def test_networks_score_better_than_bicubic_on_a_real_clip(samples: Path) -> None:
    rows: list[dict[str, str | int | float]] = []
    options = parse_options(scale=2, frames=3)
    comparison = compare_upscaling(samples / "city_cut.mp4", 2, ("nearest", "bicubic", "fast"), options, rows.append)
    assert [score.method for score in comparison.scores] == ["nearest", "bicubic", "fast"]
    assert all(score.frames == 3 and score.fps > 0 for score in comparison.scores)
    assert len(rows) == 9
    nearest, bicubic, fast = (score.psnr_y for score in comparison.scores)
    assert nearest < bicubic < fast
    for score in comparison.scores:
        mean = np.mean([row["psnr_y"] for row in rows if row["method"] == score.method])
        assert score.psnr_y == pytest.approx(mean)


def test_a_temporal_network_is_compared_with_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared on (a, b, b, c) it has the scores of its stage on (a, b, c): methods see frames one by one."""
    clip = panning_clip(tmp_path / "a.mkv", monkeypatch, (0, 3, 3, 7), size=(128, 96))
    model = temporal_file(tmp_path / "mine.safetensors")
    rows: list[dict[str, str | int | float]] = []
    compare_upscaling(clip, 2, (str(model),), parse_options(scale=2, precision="fp32", device="cpu"), rows.append)
    with VideoReader(clip) as reader:
        originals = torch.cat([batch.y for batch in reader.batches(4)])[[0, 1, 3]]
    low = rounded(resize_planes(originals, 64, 48, "bicubic"), 8)
    stage = TemporalUpscaler(Runner(from_file(model).fused(), Compute(torch.device("cpu"), torch.float32)))
    outputs = stage(low, 255, following=[]).round().clamp(0, 255)
    pairs = zip(outputs[:, 0].numpy(), originals[:, 0].numpy(), strict=True)
    expected = [psnr(output, original, crop=2) for output, original in pairs]
    measured = [row["psnr_y"] for row in rows]
    assert measured == pytest.approx([expected[n] for n in (0, 1, 1, 2)], abs=0.01)
    alone = TemporalUpscaler(stage.runner)(low[2:], 255).round().clamp(0, 255)
    assert abs(psnr(alone[0, 0].numpy(), originals[2, 0].numpy(), crop=2) - expected[2]) > 0.05


def test_an_odd_size_is_cropped_to_a_multiple_of_the_scale(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=2, size=(131, 99), codec="ffv1")
    comparison = compare_upscaling(clip, 3, ("bicubic",), OPTIONS)
    assert (comparison.info.width, comparison.info.height) == (129, 99)
    assert contact_sheet(comparison).shape[2] == 3


def test_an_odd_downscaled_size_is_not_padded_before_upscaling(tmp_path: Path, samples: Path) -> None:
    """270 rows downscaled by 4 are 67: a row added for the sake of an encoder would shift the whole image."""
    options = parse_options(scale=4, frames=1)
    comparison = compare_upscaling(samples / "phone_dog.mp4", 4, ("bicubic", "fast"), options)
    with VideoReader(samples / "phone_dog.mp4") as reader:
        original = next(reader.batches(1)).y[0, 0, :268].numpy()
    low = resize(original, 120, 67, "bicubic")
    expected = psnr(resize(low, 480, 268, "bicubic"), original, crop=4)
    bicubic, fast = (score.psnr_y for score in comparison.scores)
    assert bicubic == pytest.approx(expected, abs=1e-3)
    assert fast > bicubic + 0.5


def test_unknown_methods_and_tiny_clips_give_one_line_errors(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    with pytest.raises(ModelError, match="no_such"):
        compare_upscaling(clip, 2, ("no_such",), OPTIONS)
    with pytest.raises(OptionError, match="too small to downscale by 8"):
        compare_upscaling(clip, 8, ("bicubic",), OPTIONS)
    with pytest.raises(OptionError, match="leaves nothing to compare"):
        compare_upscaling(clip, 1, ("bicubic",), OPTIONS)


def test_default_methods_are_the_kernels_and_the_networks_with_weights(tmp_path: Path) -> None:
    for name in ("best-clean-x4", "fast-clean-x4", "fast-clean-x2", "balanced-video-x4"):
        (tmp_path / f"{name}.safetensors").touch()
    assert default_methods(4, tmp_path)[-2:] == ("fast", "best")
    assert default_methods(2, tmp_path)[-1] == "fast"
