"""Shards of encoded pairs, and models measured on compressed clips."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vidsr.evaluate import compressed_clips as evaluate_video
from vidsr.models import build_network
from vidsr.models.model import Model
from vidsr.train.data.shards import read_pairs
from vidsr.train.prepare import video_shard
from vidsr.train.prepare.dataset import downscale
from vidsr.video.luma import read_luma


@pytest.fixture
def clip(samples: Path) -> Path:
    return samples / "city_cut.mp4"


def test_pairs_of_photos_and_clips_become_a_shard(clip: Path, tmp_path: Path) -> None:
    photo = torch.randint(0, 256, (180, 200), dtype=torch.uint8)
    save_file({"pixels": photo.reshape(-1), "table": torch.tensor([(0, 180, 200, 0)])}, tmp_path / "photos.safetensors")
    shard = tmp_path / "video.safetensors"
    summary = video_shard.build([tmp_path / "photos.safetensors"], [clip], shard, scale=2, count=6, size=80)
    assert summary.images == {"train": 5, "validation": 1, "test": 0}
    pairs = read_pairs(shard, "train", 2)
    assert all(p.lr.shape == (80, 80) and p.hr.shape == (160, 160) for p in pairs)
    small = [downscale(p.hr[:, :, None], 2)[:, :, 0] for p in pairs]
    errors = [(s - p.lr.float()).abs().mean().item() for s, p in zip(small, pairs, strict=True)]
    assert max(errors) > 0.1, "encoders change pixels"


def test_frames_of_a_clip_are_read_and_downscaled(clip: Path) -> None:
    full = next(read_luma(clip))
    frames = video_shard.read_clip(clip)
    assert frames.shape == (video_shard.FRAMES, full.shape[0] // 2, full.shape[1] // 2)
    assert frames.dtype == np.uint8


def test_a_network_of_zero_weights_is_nearest_neighbour_and_scores_below_bicubic(clip: Path, tmp_path: Path) -> None:
    network = build_network("plain", {"scale": 4}).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.zero_()
    model = Model("nearest", "clean", tmp_path, network, {})
    scores = evaluate_video.measure_clip(clip, {"nearest": model}, 4)
    for crf in evaluate_video.CRFS:
        assert 15 < scores["nearest"][crf] < scores["bicubic"][crf]
    assert scores["bicubic"][32] < scores["bicubic"][23]
