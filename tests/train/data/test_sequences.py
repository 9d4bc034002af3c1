"""Walks through sequences: flow and frames stay together whatever is done to them."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vidsr.errors import InputError
from vidsr.models.temporal import State, warp_state
from vidsr.train.data.sequences import (
    Walk,
    augment,
    random_crop,
    read_sequences,
    stack,
    still,
    there_and_back,
    whole,
)
from vidsr.train.prepare.sequences import write_shard


def mismatch(walk: Walk) -> float:
    """Mean difference between each LR frame and the one seen before it, moved along the flow, relative to no motion."""
    walks = stack([walk], torch.device("cpu"))
    moved, kept = [], []
    for index in range(1, walks.lr.shape[1]):
        before, y = walks.lr[:, index - 1 : index], walks.lr[:, index : index + 1]
        prior = warp_state(State(before, before, before), walks.flow[:, index])
        inner = (..., slice(6, -6), slice(6, -6))
        moved.append((prior.luma - y)[inner].abs().mean().item())
        kept.append((before - y)[inner].abs().mean().item())
    return float(np.mean(moved) / max(np.mean(kept), 1e-6))


def test_a_shard_has_every_frame_in_both_sizes_and_its_flow(sequences_shard: Path) -> None:
    sequences = read_sequences(sequences_shard, 2, validation=False)
    assert (len(sequences), len(read_sequences(sequences_shard, 2, validation=True))) == (15, 1)
    for sequence in sequences:
        frames, h, w = sequence.lr.shape
        assert sequence.hr.shape == (frames, 2 * h, 2 * w)
        assert sequence.back.shape == sequence.ahead.shape == (frames, 2, h, w)
        assert not sequence.back[0].any()
        assert not sequence.ahead[-1].any()


def test_flow_leads_to_the_frame_seen_before_in_every_walk(sequences_shard: Path) -> None:
    sequence = read_sequences(sequences_shard, 2, validation=False)[0]
    rng = np.random.default_rng(0)
    for walk in (whole(sequence), there_and_back(sequence, 30, rng), there_and_back(sequence, 30, rng)):
        assert mismatch(walk) < 0.4
        assert mismatch(random_crop(walk, 40, rng)) < 0.5


def test_a_walk_turns_round_at_both_ends(sequences_shard: Path) -> None:
    sequence = read_sequences(sequences_shard, 2, validation=False)[0]
    walk = there_and_back(sequence, 40, np.random.default_rng(1))
    places = [int(np.flatnonzero((sequence.lr == frame).all((1, 2)))[0]) for frame in walk.lr]
    assert all(abs(a - b) == 1 for a, b in pairwise(places))
    assert set(places) == set(range(len(sequence.lr)))


def test_augmentation_moves_frames_and_flow_together(sequences_shard: Path) -> None:
    walk = random_crop(whole(read_sequences(sequences_shard, 2, validation=False)[0]), 40, np.random.default_rng(3))
    results = [augment(walk, np.random.default_rng(seed)) for seed in range(40)]
    assert len({result.lr.tobytes() for result in results}) == 8  # two flips and a transposition
    assert max(mismatch(result) for result in results) < 0.5


def test_a_still_walk_repeats_one_frame(sequences_shard: Path) -> None:
    walk = still(read_sequences(sequences_shard, 2, validation=False)[0], 5, np.random.default_rng(0))
    assert (walk.lr == walk.lr[0]).all()
    assert (walk.hr == walk.hr[0]).all()
    assert not walk.flow.any()


def test_a_shard_of_other_data_or_of_another_scale_is_refused(sequences_shard: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds sequences for x2: x4 is needed"):
        read_sequences(sequences_shard, 4, validation=False)
    save_file({"pixels": torch.zeros(3)}, tmp_path / "images.safetensors")
    with pytest.raises(InputError, match="not a shard of sequences"):
        read_sequences(tmp_path / "images.safetensors", 2, validation=False)
    (tmp_path / "text.safetensors").write_text("no shard")
    with pytest.raises(InputError, match="not a readable shard"):
        read_sequences(tmp_path / "text.safetensors", 2, validation=False)


def test_compressed_sequences_of_an_odd_size_are_searched_as_any(tmp_path: Path) -> None:
    clip = np.random.default_rng(0).integers(0, 256, (3, 2 * 49, 2 * 51), dtype=np.uint8)
    assert write_shard(iter([clip, clip]), 2, (20, 20), 0, tmp_path / "odd.safetensors") == 2
