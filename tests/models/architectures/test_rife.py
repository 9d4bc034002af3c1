"""RIFE: its authors' output, other versions, and runs by the command's options."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.clips import make_clip, read_number
from vidsr import enhance
from vidsr.errors import ModelError, OptionError
from vidsr.models import torch_warp
from vidsr.models.architectures.rife import Config, Rife, recognise
from vidsr.models.checkpoints import read_frame_network
from vidsr.models.frame_network import FrameNetwork
from vidsr.options.enhance import parse_options
from vidsr.video import VideoReader

SMALL = Config((8, 8), True, True)


def write(path: Path, config: Config = SMALL) -> Path:
    torch.manual_seed(0)
    torch.save({f"module.{name}": tensor for name, tensor in Rife(config).state_dict().items()}, path)
    return path


def reference(data: Path, phase: float) -> tuple[list[Tensor], Tensor]:
    """Both frames and the interpolated frame of the authors' code."""
    with np.load(data / "golden" / "rife46.npz") as arrays:
        frames = [torch.from_numpy(arrays[n]).permute(2, 0, 1)[None].float() / 255 for n in ("frame0", "frame1")]
        return frames, torch.from_numpy(arrays[f"phase_{phase}"].astype(np.float32))[None]


@torch.inference_mode()
def output_of(network: FrameNetwork, frames: list[Tensor], phase: float) -> Tensor:
    """The interpolated frame, in RGB."""
    assert isinstance(network, Rife)
    displacements, weight = network.motion(*frames, torch.full((1, 1, 1, 1), phase))
    a, b = (torch_warp.warp_linear(f, d) for f, d in zip(frames, displacements.split(2, 1), strict=True))
    return a * weight + b * (1 - weight)


@pytest.mark.parametrize("phase", [0.25, 0.5])
def test_the_output_is_that_of_the_authors_code(data: Path, phase: float) -> None:
    frames, expected = reference(data, phase)
    network = read_frame_network(data / "checkpoints" / "rife46.pth")
    torch.testing.assert_close(output_of(network, frames, phase), expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        SMALL,
        Config((8, 8), True, True, planes=5),  # 4.5
        Config((16, 8, 8, 8), False, False, planes=5),  # 4.2 to 4.4
        Config((8, 8, 8), False, False, True, 5),  # 4.0
    ],
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
    with pytest.raises(ModelError, match=r"does not exist: a network of ncnn is a .param and a .bin file"):
        read_frame_network(tmp_path / "flownet.bin")


def test_version_4_0_adds_the_input_of_its_eight_convolutions() -> None:
    """It was left out: displacements of 4.0 were wrong."""
    torch.manual_seed(0)
    block = Rife(Config((8, 8), False, False, True, 5)).block1
    x = torch.rand(1, 12, 16, 24)
    features = block.conv0(x)
    torch.testing.assert_close(block(x), block.lastconv(block.convblock(features) + features))


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
