"""RIFE in the files of ncnn: the tests write them from checkpoints, as the converters do."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.clips import make_clip
from tests.models.architectures.test_rife import output_of, reference
from tests.models.test_ncnn_files import kernel
from vidsr import enhance
from vidsr.errors import ModelError
from vidsr.models.architectures.rife import LAYERS, Config, Rife
from vidsr.models.checkpoints import read_frame_network

SMALL = (8, 6)  # channels of each block
VERSIONS = {
    "4.0": Config(SMALL, False, False, True, 5),
    "4.2": Config(SMALL, False, False, False, 5),
    "4.5": Config(SMALL, True, True, False, 5),
    "4.6": Config(SMALL, True, True, False, 6),
}


class Converter:
    """Writes the .param and .bin files of a network: layers in order, with their weights."""

    def __init__(self, half: bool) -> None:
        self.half = half
        self.lines: list[str] = []
        self.data: list[bytes] = []
        self.blob = ""

    def layer(self, kind: str, *inputs: str, parameters: str = "") -> str:
        name = f"{kind}{len(self.lines)}"
        inputs = inputs or ((self.blob,) if kind not in ("Input", "MemoryData") else ())
        self.lines.append(f"{kind:24} {name} {len(inputs)} 1 {' '.join([*inputs, name])} {parameters}")
        self.blob = name
        return name

    def convolution(self, weight: Tensor, bias: Tensor, stride: int, leaky: bool, transposed: bool = False) -> None:
        weight = weight.transpose(0, 1) if transposed else weight
        activation = " 9=2 -23310=1,2.000000e-01" if leaky else ""
        sizes = f"0={weight.shape[0]} 1={weight.shape[-1]} 3={stride} 4=1 5=1 6={weight.numel()}{activation}"
        self.layer("Deconvolution" if transposed else "Convolution", parameters=sizes)
        self.data += [kernel(weight.numpy(), self.half), bias.numpy().tobytes()]

    def activated(self, tensors: dict[str, Tensor], place: str, stride: int) -> None:
        slope = tensors.get(place[:-1] + "1.weight")
        self.convolution(tensors[place + ".weight"], tensors[place + ".bias"], stride, leaky=slope is None)
        if slope is not None:
            self.layer("PReLU", parameters=f"0={slope.numel()}")
            self.data.append(slope.numpy().tobytes())

    def write(self, path: Path) -> Path:
        path.with_suffix(".param").write_text(
            f"7767517\n{len(self.lines)} {len(self.lines)}\n" + "\n".join(self.lines) + "\n"
        )
        path.write_bytes(b"".join(self.data))
        return path


def convert(path: Path, network: Rife, half: bool = True, merged: bool = True) -> Path:
    """Write ``network`` as ncnn's files. ``merged``: the weights of the skips go into the convolutions, as in 4.6."""
    state, out = network.state_dict(), Converter(half)
    out.layer("Input")
    betas = [name for name in state if name.endswith("beta")]
    if not merged:
        for name in betas:
            out.layer("MemoryData", parameters=f"0=1 1=1 2={state[name].numel()}")
            out.data.append(state[name].numpy().tobytes())
    for number in range(network.count):
        tensors = {k.removeprefix(f"block{number}."): t for k, t in state.items() if k.startswith(f"block{number}.")}
        prelu, weighs = "conv0.0.1.weight" in tensors, "convblock.0.beta" in tensors
        out.layer("Interp", parameters="0=2 1=5.0e-01 2=5.0e-01")
        out.activated(tensors, "conv0.0.0", 2)
        out.activated(tensors, "conv0.1.0", 2)
        features = out.layer("Split")
        for n in range(LAYERS):
            if not weighs:
                out.activated(tensors, f"convblock.{n}.0", 1)
                continue
            weight, bias = tensors[f"convblock.{n}.conv.weight"], tensors[f"convblock.{n}.conv.bias"]
            beta = tensors[f"convblock.{n}.beta"] if merged else torch.ones(1, 1, 1, 1)
            out.convolution(weight * beta.view(-1, 1, 1, 1), bias * beta.flatten(), 1, False)
            if not merged:
                out.layer("BinaryOp", parameters="0=2")
            out.layer("BinaryOp", out.blob, features)
            out.layer("ReLU", parameters="0=2.000000e-01")
            features = out.layer("Split")
        if prelu:
            out.layer("BinaryOp", out.blob, features)
        last = "lastconv.0" if "lastconv.0.weight" in tensors else "lastconv"
        out.convolution(tensors[last + ".weight"], tensors[last + ".bias"], 2, False, transposed=True)
        if last == "lastconv.0":
            out.layer("PixelShuffle", parameters="0=2")
        out.layer("rife.Warp", parameters="0=6")
    return out.write(path)


def network_of(version: str) -> Rife:
    torch.manual_seed(0)
    network = Rife(VERSIONS[version]).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.endswith("beta"):
            parameter.copy_(torch.rand_like(parameter) + 0.5)
    return network


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_computes_what_its_checkpoint_does(tmp_path: Path, version: str, half: bool) -> None:
    network = network_of(version)
    read = read_frame_network(convert(tmp_path / "flownet.bin", network, half, merged=version != "4.5"))
    frames = torch.rand(2, 1, 3, 24, 40, generator=torch.Generator().manual_seed(1))
    assert isinstance(read, Rife)
    for ours, theirs in zip(read.motion(*frames, torch.full((1, 1, 1, 1), 0.3)),
                            network.motion(*frames, torch.full((1, 1, 1, 1), 0.3)), strict=True):  # fmt: skip
        torch.testing.assert_close(ours, theirs, atol=4e-3 if half else 1e-5, rtol=0)


def test_the_real_network_keeps_its_authors_output(data: Path, tmp_path: Path) -> None:
    network = read_frame_network(data / "checkpoints" / "rife46.pth")
    assert isinstance(network, Rife)
    path = convert(tmp_path / "flownet.bin", network)
    frames, expected = reference(data, 0.5)
    torch.testing.assert_close(output_of(read_frame_network(path), frames, 0.5), expected, atol=5e-3, rtol=0)


def test_either_file_is_given_to_a_run(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48), crf=1)
    path = convert(tmp_path / "flownet.bin", network_of("4.6")).with_suffix(".param")
    options = {"fps": "2x", "interpolation": "rife", "interpolation_model": str(path), "device": "cpu"}
    report = enhance(clip, tmp_path / "b.mkv", codec="ffv1", **options)  # type: ignore[arg-type]
    assert report.verification.ok and report.plan.weights == {str(path): report.plan.networks[0].sha256}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ReLU", "Sigmoid"),  # another activation after the skip
        ("2.000000e-01", "1.000000e-01"),  # another slope
        ("PixelShuffle", "Interp"),
        ("Deconvolution", "Convolution"),  # no block ends
    ],
)
def test_other_graphs_are_refused(tmp_path: Path, old: str, new: str) -> None:
    path = convert(tmp_path / "flownet.bin", network_of("4.6"))
    graph = path.with_suffix(".param")
    graph.write_text(graph.read_text().replace(old, new))
    with pytest.raises(
        ModelError, match=r"is no ncnn network that interpolates: vidsr runs RIFE 4\.0 to 4\.6"
    ) as caught:
        read_frame_network(path)
    assert "\n" not in str(caught.value)


def test_a_version_with_an_encoder_is_refused(tmp_path: Path) -> None:  # 4.7 and later
    out = Converter(True)
    out.layer("Input")
    out.convolution(torch.zeros(16, 3, 3, 3), torch.zeros(16), 2, False)
    out.convolution(torch.zeros(16, 4, 4, 4), torch.zeros(4), 2, False, transposed=True)
    with pytest.raises(ModelError, match=r"vidsr runs RIFE 4\.0 to 4\.6"):
        read_frame_network(out.write(tmp_path / "flownet.bin"))


def test_an_upscaler_is_no_interpolator(tmp_path: Path) -> None:
    out = Converter(True)
    out.layer("Input")
    out.convolution(torch.zeros(12, 3, 3, 3), torch.zeros(12), 1, False)
    with pytest.raises(ModelError, match="no ncnn network that interpolates"):
        read_frame_network(out.write(tmp_path / "net.bin"))
