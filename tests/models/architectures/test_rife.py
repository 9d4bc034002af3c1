"""RIFE: its authors' output, other versions, and runs by the command's options."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.clips import make_clip, read_number
from vidsr import enhance
from vidsr.errors import ModelError, OptionError
from vidsr.models import torch_warp
from vidsr.models.architectures.rife import Config, Rife, recognise
from vidsr.models.checkpoints import read_frame_network
from vidsr.options.enhance import parse_options
from vidsr.video import VideoReader

SMALL = Config((8, 8), True, True)


def write(path: Path, config: Config = SMALL) -> Path:
    torch.manual_seed(0)
    torch.save({f"module.{name}": tensor for name, tensor in Rife(config).state_dict().items()}, path)
    return path


@pytest.mark.parametrize("phase", [0.25, 0.5])
def test_the_output_is_that_of_the_authors_code(data: Path, phase: float) -> None:
    network = read_frame_network(data / "checkpoints" / "rife46.pth")
    assert isinstance(network, Rife)
    with np.load(data / "golden" / "rife46.npz") as arrays:
        frames = [torch.from_numpy(arrays[n]).permute(2, 0, 1)[None].float() / 255 for n in ("frame0", "frame1")]
        expected = torch.from_numpy(arrays[f"phase_{phase}"].astype(np.float32))[None]
    with torch.inference_mode():
        displacements, weight = network.motion(*frames, torch.full((1, 1, 1, 1), phase))
    a, b = (torch_warp.warp_linear(f, d) for f, d in zip(frames, displacements.split(2, 1), strict=True))
    torch.testing.assert_close(a * weight + b * (1 - weight), expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    "config", [Config(), SMALL, Config((16, 8, 8, 8), False, False), Config((8, 8, 8), False, False, True)]
)
def test_the_version_follows_from_the_tensors(tmp_path: Path, config: Config) -> None:
    assert recognise(Rife(config).state_dict()) == config
    network = read_frame_network(write(tmp_path / "flownet.pkl", config))
    assert isinstance(network, Rife)
    frames = torch.rand(2, 1, 3, 50, 70, generator=torch.Generator().manual_seed(0))
    displacements, weight = network.motion(*frames, torch.full((1, 1, 1, 1), 0.5))
    assert displacements.shape == (1, 4, 50, 70) and weight.shape == (1, 1, 50, 70)


def test_other_versions_and_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    state = Rife(SMALL).state_dict()
    torch.save({**state, "block0.conv0.0.0.weight": torch.zeros(4, 15, 3, 3)}, tmp_path / "later.pkl")
    with pytest.raises(ModelError, match=r"vidsr runs RIFE 4\.0 to 4\.6, and this is another version"):
        read_frame_network(tmp_path / "later.pkl")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pkl")
    with pytest.raises(ModelError, match="unknown architecture"):
        read_frame_network(tmp_path / "other.pkl")
    with pytest.raises(ModelError, match="is of ncnn"):
        read_frame_network(tmp_path / "flownet.bin")


def test_rife_interpolates_a_clip(tmp_path: Path) -> None:
    clip, output = make_clip(tmp_path / "a.mp4", frames=4, size=(64, 48), crf=1), tmp_path / "b.mkv"
    model = write(tmp_path / "flownet.pkl")
    options = {"fps": "2x", "interpolation": "rife", "interpolation_model": str(model), "device": "cpu"}
    report = enhance(clip, output, codec="ffv1", **options)  # type: ignore[arg-type]
    assert report.verification.ok and report.plan.weights == {str(model): report.plan.networks[0].sha256}
    with VideoReader(output) as reader:
        assert reader.info.fps == Fraction(50)
        numbers = [read_number(y[0].numpy()) for batch in reader.batches(8) for y in batch.y]
    assert numbers[::2] == [0, 1, 2, 3]


def test_rife_and_its_file_belong_together() -> None:
    for options in ({"interpolation": "rife"}, {"interpolation_model": "flownet.pkl"}):
        with pytest.raises(OptionError, match="belong together"):
            parse_options(fps="2x", **options)
