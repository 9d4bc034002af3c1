"""A small temporal network in a weights file, and a clip whose content moves, for tests of runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch

import tests.clips
from vidsr.models import weight_files
from vidsr.models.architectures.recurrent import Config, Recurrent


def temporal_file(path: Path, scale: int = 2, **settings: Any) -> Path:
    """Write a temporal network with random weights to ``path``; what earlier frames have shown counts in it."""
    torch.manual_seed(0)
    config = {"scale": scale, "channels": 8, "layers": 2, "hidden": 8} | settings
    metadata = {"architecture": "recurrent", "config": json.dumps(config)}
    weight_files.write(path, Recurrent(Config(**config)).eval(), metadata)
    return path


def panning_clip(
    path: Path, monkeypatch: pytest.MonkeyPatch, shown: Sequence[float], size: tuple[int, int] = (64, 48), **how: Any
) -> Path:
    """Write a lossless clip of a texture; frame i is ``shown[i]`` pixels to the left; below 0, of another."""

    def frame(number: int, size: tuple[int, int], pix_fmt: str) -> av.VideoFrame:
        result = av.VideoFrame(*size, pix_fmt)
        peak = (1 << result.format.components[0].bits) - 1
        for plane in result.planes:
            values = panned(shown[number], (plane.width, plane.height)) * peak
            dtype = np.uint8 if peak == 255 else np.uint16
            lines = np.frombuffer(plane, dtype).reshape(plane.height, -1)
            lines[:, : plane.width] = values.astype(dtype)
        return result

    monkeypatch.setattr(tests.clips, "make_frame", frame)
    return tests.clips.make_clip(path, len(shown), size, codec="ffv1", **how)


def panned(shift: float, size: tuple[int, int]) -> Any:
    """Return a texture moved to the left by ``shift`` pixels, 0 to 1, h x w; another one if negative."""
    width, height = size
    rng = np.random.default_rng(int(shift < 0))
    coarse = rng.random((height // 2 + 4, width // 2 + 64), np.float32)
    whole = cv2.resize(coarse, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    move = np.array([[1, 0, -abs(shift) - 8], [0, 1, -4]], np.float32)
    moved = cv2.warpAffine(whole, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return moved.clip(0.05, 0.95)
