"""Fixtures that several test files of training share."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vidsr.train.prepare import sequences, windows


@pytest.fixture(scope="session")
def triples_shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard of eight scenes of layers of smooth noise, one of them for validation."""
    rng = np.random.default_rng(1)
    photos = [
        cv2.resize(rng.integers(0, 256, (60, 80), np.uint8), (600, 450), interpolation=cv2.INTER_CUBIC)
        for _ in range(3)
    ]
    path = tmp_path_factory.mktemp("triples") / "scenes.safetensors"
    assert windows.write_shard(windows.synthetic_triples(photos, 8, 3), path) == 8
    return path


@pytest.fixture(scope="session")
def sequences_shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard for x2 of sixteen sequences of smooth noise that moves, one of them for validation."""
    rng = np.random.default_rng(2)

    def sequence(number: int) -> npt.NDArray[np.uint8]:
        noise = rng.integers(0, 256, (40, 40), np.uint8)
        whole = cv2.resize(noise, (240, 240), interpolation=cv2.INTER_CUBIC)
        across, down = rng.integers(-5, 6, 2)
        places = [(80 + int(across) * n, 80 + int(down) * n) for n in range(7)]
        return np.stack([whole[top : top + 96, left : left + 112] for left, top in places])

    path = tmp_path_factory.mktemp("sequences") / "sequences.safetensors"
    assert sequences.write_shard(map(sequence, range(16)), 2, None, 0, path) == 16
    return path
