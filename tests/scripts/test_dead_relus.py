"""scripts/dead_relus counts the channels that are zero on every image."""

from __future__ import annotations

import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import vidsr
from tests.weights import metadata
from vidsr.errors import ModelError
from vidsr.models import build_network, weight_files
from vidsr.models.architectures.plain import Config, Plain

SCRIPT = runpy.run_path(str(Path(vidsr.__file__).parents[1] / "scripts" / "dead_relus"))


def network_with_dead_channels() -> Plain:
    torch.manual_seed(0)
    network = Plain(Config(2, 6, 2))
    network.for_training(keep=False, branches=False)  # whose fresh channels are all alive
    network(torch.rand(1, 1, 32, 32))
    for layer, channels in ((0, 2), (4, 3)):
        network.body[layer].bias.data[:channels] = -1e3
    return network.eval()


def test_channels_that_are_zero_on_every_image_are_counted_by_layer() -> None:
    count_dead = SCRIPT["count_dead"]
    assert count_dead(network_with_dead_channels(), [torch.rand(1, 1, 20, 24), torch.rand(1, 1, 9, 30)]) == [2, 0, 3]
    with pytest.raises(ModelError, match="Espcn"):
        count_dead(build_network("espcn", {"scale": 2}), [])


def test_the_command_prints_a_line_for_each_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (33, 40, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    weights = tmp_path / "tiny-clean-x2.safetensors"
    weight_files.write(weights, Plain(Config(2, 6, 2)), metadata("plain", Config(2, 6, 2)))
    monkeypatch.setattr("sys.argv", ["dead_relus", str(weights), "--images", str(tmp_path)])
    SCRIPT["main"]()
    words = capsys.readouterr().out.split()
    assert words[0] == weights.name and len(words) == 4
