"""Shards of pairs."""

from pathlib import Path

import pytest
import torch

from vidsr.errors import InputError
from vidsr.train.data.patches import Pair
from vidsr.train.data.shards import read_pairs
from vidsr.train.prepare import video_shard


def test_pairs_of_a_shard_keep_their_stored_lr(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    pairs = [
        Pair(
            torch.randint(0, 256, (20, 20), generator=rng, dtype=torch.uint8),
            torch.randint(0, 256, (80, 80), generator=rng, dtype=torch.uint8),
        )
        for _ in range(video_shard.VALIDATION_EVERY + 2)
    ]
    video_shard.write(pairs, tmp_path / "video.safetensors", scale=4)
    train = read_pairs(tmp_path / "video.safetensors", "train", 4)
    spare = read_pairs(tmp_path / "video.safetensors", "validation", 4)
    expected = [p for i, p in enumerate(pairs) if i % video_shard.VALIDATION_EVERY]
    assert len(train) == len(expected) and len(spare) == 2
    for pair, truth in zip(train, expected, strict=True):
        assert torch.equal(pair.lr, truth.lr) and torch.equal(pair.hr, truth.hr)
    with pytest.raises(InputError, match="holds pairs for x4: x2 is needed"):
        read_pairs(tmp_path / "video.safetensors", "train", 2)
