"""Fixtures that several test files of training share."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from vidsr.train.prepare import windows


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
