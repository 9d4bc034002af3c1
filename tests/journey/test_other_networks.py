"""Whole runs with networks of other people: every architecture, four times the size at twice the frame rate."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.clips import make_clip, read_number
from vidsr import enhance
from vidsr.errors import ModelError
from vidsr.models.architectures import rrdbnet
from vidsr.models.model_files import find
from vidsr.options.community import find_models
from vidsr.pipeline.report import RunReport
from vidsr.video import VideoReader

CHECKPOINTS = ("realesr-animevideov3-x4", "realesr-general-x4v3", "spanf_x4_ntire2025", "smfanet_x4")
COMMUNITY = ("animevideov3", "waifu2x-photo", "cugan")
SLOW = ("smfanet_plus_x4", "x4plus-anime", "x4plus", "waifu2x")


def source_of(data: Path, name: str) -> str:
    """The model file or name; skips where it is not there."""
    if not find_models(name):
        return str(data / "checkpoints" / f"{name}.pth")
    if find_models(name)[0].path is None:
        pytest.skip("the extra community is not installed")
    return name


def means(path: Path, model: str, **options: object) -> tuple[RunReport, list[np.ndarray]]:
    """The report of a run, and luma of every frame of its output."""
    output = path.with_name("out.mkv")
    report = enhance(path, output, scale=4, fps="2x", model=model, codec="ffv1", device="cpu", **options)
    with VideoReader(output) as reader:
        return report, [y[0].numpy() for batch in reader.batches(4) for y in batch.y]


@pytest.mark.parametrize("name", [*CHECKPOINTS, *COMMUNITY])
def test_every_architecture_runs_the_whole_job(data: Path, tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48), crf=1)
    report, frames = means(clip, source_of(data, name))
    assert (report.output.width, report.output.height, report.output.fps) == (256, 192, Fraction(50))
    assert [read_number(y) for y in frames[::2]] == [0, 1] and len(frames) == 4
    with VideoReader(clip) as reader:
        small = next(reader.batches(1)).y[0, 0].numpy()
    shrunk = frames[0].reshape(48, 4, 64, 4).mean((1, 3))
    assert np.abs(shrunk - small).mean() < 4  # the same brightness everywhere
    (entry, *_) = find(source_of(data, name))
    assert report.verification.ok and entry.path.name.split(".")[0][:8].lower() in str(report.plan.weights).lower()


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CHECKPOINTS, *COMMUNITY, *SLOW])
def test_every_architecture_runs_the_whole_job_on_the_sample_clip(
    data: Path, samples: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "clip.mp4").write_bytes((samples / "city_cut.mp4").read_bytes())
    report, frames = means(tmp_path / "clip.mp4", source_of(data, name), frames=2)
    assert report.verification.ok and len(frames) == 4
    assert frames[0].shape == (720, 1280)


@pytest.mark.slow
def test_rife_runs_the_whole_job_on_the_sample_clip(data: Path, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes((samples / "city_cut.mp4").read_bytes())
    rife = {"interpolation": "rife", "interpolation_model": str(data / "checkpoints" / "rife46.pth")}
    report, frames = means(tmp_path / "clip.mp4", "fast", frames=2, **rife)
    assert report.verification.ok and len(frames) == 4
    assert frames[0].shape == (720, 1280)
    first, between, second = (frame.astype(np.float32) for frame in frames[:3])
    apart = np.abs(second - first).mean()
    assert apart > 0 and max(np.abs(between - one).mean() for one in (first, second)) < apart  # it lies between


def test_rrdbnet_under_its_first_names_runs_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = rrdbnet.RRDBNet(rrdbnet.Config(blocks=1, channels=8, growth=4))
    state = {name.replace("body.0.rdb", "RRDB_trunk.0.RDB"): tensor for name, tensor in network.state_dict().items()}
    names = {"conv_body": "trunk_conv", "conv_up": "upconv", "conv_hr": "HRconv"}
    for new, old in names.items():
        state = {name.replace(new, old): tensor for name, tensor in state.items()}
    torch.save(state, tmp_path / "old.pth")
    clip = make_clip(tmp_path / "a.mp4", frames=1, size=(32, 24))
    report, frames = means(clip, str(tmp_path / "old.pth"))
    assert frames[0].shape == (96, 128)
    assert report.plan.networks[0].name == "old"


def test_a_hostile_model_file_is_one_line_before_anything_is_written(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=1)
    (tmp_path / "text.pth").write_text("these are not weights\n" * 9)
    with pytest.raises(ModelError, match="not a readable weights file"):
        means(clip, str(tmp_path / "text.pth"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "text.pth"]
