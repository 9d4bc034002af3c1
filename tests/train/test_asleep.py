"""Channels that never wake are found, layer by layer."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vidsr.errors import ModelError
from vidsr.models import build_network
from vidsr.models import weights as store
from vidsr.models.architectures.plain import Config, Plain
from vidsr.train import asleep


def drowsy() -> Plain:
    torch.manual_seed(0)
    network = Plain(Config(2, 6, 2))
    network.for_training(keep=False, branches=False)  # whose fresh channels are all awake
    network(torch.rand(1, 1, 32, 32))
    for layer, channels in ((0, 2), (4, 3)):
        network.body[layer].bias.data[:channels] = -1e3
    return network.eval()


def test_channels_that_no_picture_wakes_are_counted_by_layer() -> None:
    assert asleep.asleep(drowsy(), [torch.rand(1, 1, 20, 24), torch.rand(1, 1, 9, 30)]) == [2, 0, 3]
    with pytest.raises(ModelError, match="Espcn"):
        asleep.asleep(build_network("espcn", {"scale": 2}), [])


def test_the_command_names_each_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (33, 40, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    weights = tmp_path / "tiny-clean-x2.safetensors"
    store.write(weights, Plain(Config(2, 6, 2)), store.describe("plain", Config(2, 6, 2)))
    monkeypatch.setattr("sys.argv", ["asleep", str(weights), "--pictures", str(tmp_path)])
    asleep.main()
    words = capsys.readouterr().out.split()
    assert words[0] == weights.name and len(words) == 4
