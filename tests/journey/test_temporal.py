"""Whole runs with a temporal network."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.temporal_model import panning_clip, temporal_file
from tests.tiers import SLOW
from vidsr import enhance
from vidsr.device import Compute
from vidsr.models import checkpoints, from_file
from vidsr.pipeline.report import RunReport
from vidsr.stages import Context
from vidsr.stages.build import context_of
from vidsr.stages.network_runner import Runner
from vidsr.stages.temporal_upscale import LOOK_AHEAD, TemporalUpscaler
from vidsr.video import VideoReader

SHOWN = (0, 1, 2.5, 3)


def luma(path: Path) -> list[Tensor]:
    with VideoReader(path) as reader:
        return [frame[None] for batch in reader.batches(2) for frame in batch.y]


def run(clip: Path, **options: Any) -> tuple[RunReport, list[Tensor]]:
    """Run the small network; return the report and luma of every frame."""
    model, output = temporal_file(clip.with_name("mine.safetensors")), clip.with_name("out.mkv")
    given = {"scale": 2, "codec": "ffv1", "device": "cpu", "precision": "fp32", "overwrite": True} | options
    report = enhance(clip, output, model=str(model), **given)
    assert report.verification.ok
    return report, luma(output)


def upscaled(clip: Path, distinct: list[Tensor], peak: int = 255) -> Tensor:
    """Return what the stage makes of frames, as codes."""
    model = from_file(temporal_file(clip.with_name("mine.safetensors"))).fused()
    stage = TemporalUpscaler(Runner(model, Compute(torch.device("cpu"), torch.float32)))
    return stage(torch.cat(distinct), peak, following=[]).round().clamp(0, peak)


def test_a_network_from_a_file_with_any_name_is_temporal_and_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    reading = checkpoints._read_network
    monkeypatch.setattr(checkpoints, "_read_network", lambda path: read.append(path) or reading(path))
    report, _ = run(panning_clip(tmp_path / "a.mkv", monkeypatch, (0, 1)))
    upscale = report.plan.upscale
    assert upscale is not None and upscale.is_temporal
    assert context_of(upscale) == Context(before=28, after=LOOK_AHEAD)
    assert read == [tmp_path / "mine.safetensors"]
    assert str(upscale).startswith("mine x2")


@pytest.mark.parametrize(
    ("pix_fmt", "size"),
    [("yuv420p", (66, 50)), ("yuv444p", (65, 49)), ("yuv420p10le", (64, 48)), ("gray", (65, 49))],
)
def test_every_format_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pix_fmt: str, size: tuple[int, int]
) -> None:
    clip = panning_clip(tmp_path / "a.mkv", monkeypatch, SHOWN, size, pix_fmt=pix_fmt)
    report, frames = run(clip)
    peak = report.plan.source.peak
    expected = upscaled(clip, luma(clip), peak)
    difference = (torch.cat(frames).float() - expected)[..., : 2 * size[1], : 2 * size[0]].abs()
    assert difference.max() <= 1


def test_repeats_keep_the_state_and_times_may_vary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [Fraction(n, 50) for n in (0, 1, 4, 5, 9, 11)]
    clip = panning_clip(tmp_path / "a.mkv", monkeypatch, (0, 1, 1, 1, 2.5, 3), times=times)
    report, frames = run(clip)
    assert report.counts["repeated_frames"] == 2
    assert torch.equal(frames[1], frames[2]) and torch.equal(frames[1], frames[3])
    distinct = [luma(clip)[n] for n in (0, 1, 4, 5)]
    expected = upscaled(clip, distinct)
    assert (torch.cat([frames[n] for n in (0, 1, 4, 5)]) - expected).abs().max() <= 1


def test_the_state_ends_at_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = panning_clip(tmp_path / "a.mkv", monkeypatch, (0, 1, 2, -3, -4))
    _, frames = run(clip)
    alone = upscaled(clip, luma(clip)[3:])
    assert (torch.cat(frames[3:]) - alone).abs().max() <= 1


MANY = {
    "interpolated": {"fps": "2x"},
    "restored": {"denoise": 1, "denoise_model": "bilateral"},
    "deinterlaced": {"deinterlace": "force"},
    "little memory": {"memory": "2G", "batch": 1},
    "in tiles": {"tile": 32},
    "not a whole factor": {"scale": "1.5"},
}


@pytest.mark.parametrize("name", [name for name in MANY if SLOW or name != "restored"])
def test_other_stages_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    clip = panning_clip(tmp_path / "a.mkv", monkeypatch, SHOWN)
    report, frames = run(clip, **MANY[name])
    assert report.plan.upscale is not None and report.plan.upscale.is_temporal
    assert len(frames) == len(SHOWN) * (2 if name == "interpolated" else 1)
    assert all(not torch.equal(a, b) for a, b in pairwise(frames)) or name == "interpolated"  # the last one is held
    if name in ("little memory", "in tiles"):
        expected = upscaled(clip, luma(clip))
        assert (torch.cat(frames) - expected).abs().max() <= 1
