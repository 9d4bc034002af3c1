"""Whole runs with a temporal network."""

from pathlib import Path

import pytest

from tests.clips import make_clip
from tests.temporal_model import temporal_file
from vidsr import enhance
from vidsr.models import checkpoints
from vidsr.stages import Context
from vidsr.stages.build import context_of


def test_a_network_from_a_file_with_any_name_is_temporal_and_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    reading = checkpoints._read_network
    monkeypatch.setattr(checkpoints, "_read_network", lambda path: read.append(path) or reading(path))
    model = temporal_file(tmp_path / "mine.safetensors")
    clip = make_clip(tmp_path / "a.mkv", frames=2, codec="ffv1")
    report = enhance(clip, tmp_path / "out.mkv", scale=2, model=str(model), codec="ffv1", device="cpu")
    upscale = report.plan.upscale
    assert upscale is not None and upscale.is_temporal
    assert context_of(upscale) == Context(before=12)
    assert read == [model]
