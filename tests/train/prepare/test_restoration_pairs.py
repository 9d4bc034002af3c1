"""Data of the restoration networks: pairs of one size, some of them clean."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vidsr.train.data.shards import read_pairs
from vidsr.train.prepare import restoration_pairs
from vidsr.train.prepare.drawings import drawing


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A shard of one textured image."""
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (120, 140), dtype=np.uint8))
    table = torch.tensor([[0, 120, 140, 0]])
    save_file({"pixels": image.reshape(-1), "table": table}, tmp_path / "photos.safetensors", {})
    return tmp_path / "photos.safetensors"


@pytest.mark.parametrize("kind", sorted(restoration_pairs.KINDS.keys() - {"noise-texture"}))
def test_pairs_have_one_size_and_some_are_clean(kind: str, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.safetensors"
    summary = restoration_pairs.build(kind, [photos], [], out, count=30, size=96)
    assert summary.images == {"train": 28, "validation": 2, "test": 0}
    pairs = read_pairs(out, "train", 1) + read_pairs(out, "validation", 1)
    assert all(p.lr.shape == p.hr.shape == (96, 96) for p in pairs)
    clean = sum(torch.equal(p.lr, p.hr) for p in pairs)
    assert 0 < clean < len(pairs) / 2, "a network learns from clean images to leave them unchanged"


def test_fine_texture_is_the_photos_at_half_size_and_as_drawings_without_the_clips() -> None:
    rng = np.random.default_rng(0)
    photo, clip = rng.integers(0, 256, (60, 81), np.uint8), rng.integers(0, 256, (3, 40, 40), np.uint8)
    made = restoration_pairs.fine_texture([photo, clip], rng)
    assert [plane.shape for plane in made] == [(30, 40), (30, 40)]
    assert all(plane.dtype == np.uint8 for plane in made)


def test_a_drawing_has_few_shades_and_outlines_between_them() -> None:
    ramp = np.tile(np.linspace(0, 255, 240).astype(np.uint8), (120, 1))
    for seed in range(10):
        made = drawing(ramp, np.random.default_rng(seed))
        assert made.shape == (60, 120)
        shades, counts = np.unique(made[30], return_counts=True)
        flat = shades[counts > 5]
        assert 4 <= len(flat) <= 10, "wide bands, each of one shade"
        assert counts[counts <= 5].sum() <= 4 * len(flat), "narrow outlines"


def test_half_of_the_fine_texture_is_clean(tmp_path: Path) -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (200, 210), dtype=np.uint8))
    save_file({"pixels": image.reshape(-1), "table": torch.tensor([[0, 200, 210, 0]])}, tmp_path / "p.safetensors")
    restoration_pairs.build(
        "noise-texture", [tmp_path / "p.safetensors"], [], tmp_path / "t.safetensors", count=40, size=80
    )
    pairs = read_pairs(tmp_path / "t.safetensors", "train", 1)
    assert 0.3 < np.mean([torch.equal(p.lr, p.hr) for p in pairs]) < 0.7
