"""Crops of triples: augmentation changes frames and field alike."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import save_file

from vidsr.errors import InputError
from vidsr.models.frame_network import blend
from vidsr.train.data.triples import MARGIN, augment, random_crop, read_triples, stack


def squared_error(frame: torch.Tensor, truth: torch.Tensor) -> float:
    return float((frame - truth).square().mean()) * 255**2


def test_the_field_of_a_triple_interpolates_its_true_frame(triples_shard: Path) -> None:
    (validation,) = read_triples(triples_shard, validation=True)
    assert len(read_triples(triples_shard, validation=False)) == 7
    gains = []
    for triple in (validation, *read_triples(triples_shard, validation=False)):
        rng = np.random.default_rng(0)
        for _ in range(6):
            part = augment(random_crop(triple, 96, rng), rng)
            scene, prior, truth = stack([part], MARGIN, torch.device("cpu"))
            assert truth.shape[-2:] == (96, 96)
            interpolated, blended = blend(scene, prior), torch.lerp(*scene.unwarped, scene.phase)
            gains.append(squared_error(interpolated, truth) / squared_error(blended, truth))
    assert np.median(gains) < 0.5


def test_augmentation_covers_all_flips_and_moves_frames_and_field_together(triples_shard: Path) -> None:
    triple = read_triples(triples_shard, validation=False)[0]
    part = random_crop(triple, 64, np.random.default_rng(2))

    def error(seed: int) -> tuple[float, npt.NDArray[np.uint8]]:
        scene, prior, truth = stack([augment(part, np.random.default_rng(seed))], MARGIN, torch.device("cpu"))
        return squared_error(blend(scene, prior), truth), truth[0, 0].numpy()

    errors, truths = zip(*(error(seed) for seed in range(48)), strict=True)
    assert max(errors) == pytest.approx(min(errors), rel=0.02)
    assert len({truth.tobytes() for truth in truths}) == 8  # two flips and a transposition


def test_a_shard_of_other_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no shard")
    with pytest.raises(InputError, match="not a readable shard"):
        read_triples(tmp_path / "text.safetensors", validation=False)
    save_file({"pixels": torch.zeros(3)}, tmp_path / "images.safetensors")
    with pytest.raises(InputError, match="not a shard of triples"):
        read_triples(tmp_path / "images.safetensors", validation=False)
