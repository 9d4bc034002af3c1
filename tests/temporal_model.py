"""A small temporal network in a weights file, for tests of runs."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from vidsr.models import weight_files
from vidsr.models.architectures.recurrent import Config, Recurrent


def temporal_file(path: Path, scale: int = 2) -> Path:
    """Write a temporal network with random weights to ``path``; what earlier frames have shown counts in it."""
    torch.manual_seed(0)
    config = {"scale": scale, "channels": 8, "layers": 2, "hidden": 8}
    metadata = {"architecture": "recurrent", "config": json.dumps(config)}
    weight_files.write(path, Recurrent(Config(**config)).eval(), metadata)
    return path
