"""Files of ncnn: every byte is accounted for, and damaged files give one line."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vidsr.errors import ModelError
from vidsr.models import from_file
from vidsr.models.ncnn_files import FLOAT16_TAG, read_ncnn

GRAPH = """7767517
7 8
Input        in     0 1 image
Split        split  1 2 image a b
Convolution  conv1  1 1 a c 0=6 1=3 4=1 5=1 6=162
PReLU        prelu  1 1 c d 0=6
Convolution  conv2  1 1 d e 0=12 1=3 4=1 5=1 6=648 9=2 -23310=1,1.000000e-01
PixelShuffle up     1 1 e f 0=2
BinaryOp     add    2 1 f g sum 0=0
"""
NEAREST = "Interp       near   1 1 b g 0=1 1=2.0 2=2.0\n"


def graph_text(text: str = GRAPH) -> str:
    """The graph of a network with an anchor, with 8 layers."""
    lines = text.splitlines(keepends=True)
    return "".join([lines[0], "8 9\n", *lines[2:-1], NEAREST, lines[-1]])


def kernel(values: np.ndarray, half: bool) -> bytes:
    """A kernel with its tag; float16 is padded to 4 bytes."""
    if not half:
        return struct.pack("<I", 0) + values.astype("<f4").tobytes()
    data = values.astype("<f2").tobytes()
    return struct.pack("<I", FLOAT16_TAG) + data + b"\0" * (-len(data) % 4)


def write(folder: Path, half: bool = True, text: str | None = None) -> tuple[Path, dict[str, np.ndarray]]:
    """Write both files; return their path and the weights in order."""
    rng = np.random.default_rng(0)
    shapes = {"w1": (6, 3, 3, 3), "b1": (6,), "slope": (6,), "w2": (12, 6, 3, 3), "b2": (12,)}
    weights = {name: (rng.standard_normal(shape) / 8).astype(np.float16) for name, shape in shapes.items()}
    parts = [kernel(w, half) if name[0] == "w" else w.astype("<f4").tobytes() for name, w in weights.items()]
    (folder / "net.param").write_text(graph_text() if text is None else text)
    (folder / "net.bin").write_bytes(b"".join(parts))
    return folder / "net.bin", weights


@pytest.mark.parametrize("half", [True, False])
def test_a_graph_computes_what_pytorch_does(tmp_path: Path, half: bool) -> None:
    path, arrays = write(tmp_path, half)
    w1, b1, slope, w2, b2 = (torch.from_numpy(array).float() for array in arrays.values())
    image = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    hidden = F.prelu(F.conv2d(image, w1, b1, padding=1), slope)
    residual = F.pixel_shuffle(F.leaky_relu(F.conv2d(hidden, w2, b2, padding=1), 0.1), 2)
    expected = residual + image.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for one in (path, path.with_suffix(".param")):
        model = from_file(one)
        torch.testing.assert_close(model(image), expected)
        assert (model.scale, model.halo, model.alignment, model.network.anchored) == (2, 2, 1, True)


def test_the_anchor_of_a_graph_in_bf16_is_added_in_float32(tmp_path: Path) -> None:
    path, _ = write(tmp_path)
    image = torch.rand(1, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    exact, half = (from_file(path, dtype=dtype)(image) for dtype in (torch.float32, torch.bfloat16))
    assert half.dtype == torch.float32
    assert (exact - half).abs().max() < 1 / 255


CHANGES = {  # of the graph -> part of the message
    "0=6 1=3 4=1 5=1 6=162": ("0=6 1=3 4=1 5=1 6=2000000000", "declares 2000000000 weights"),
    "0=12 1=3": ("0=13 1=3", "ends within layer conv2"),
    "PixelShuffle": ("Deformable", "is a Deformable, which vidsr does not compute"),
    "2 1 f g sum": ("2 1 f nowhere sum", "reads nowhere, which no layer before it makes"),
    "2 1 f g": ("9 1 f g", "other inputs and outputs"),
    "8 9": ("9999999 9", "has 8 layers and declares 9999999"),
    "7767517": ("7767518", "does not begin with 7767517"),
    "1=2.0 2=2.0": ("1=3.0 2=3.0", "do not fit together"),
    "9=2 -23310=1,1.000000e-01": ("9=5", "has the activation 5"),
    "-23310=1,": ("-23310=2,", "an array of 2 has 1 values"),
    "5=1 6=162": ("5=1 6=162 8=1", "quantised to int8"),
    "1 1 e f 0=2": ("1 1 e f 0=200000", "do not fit together"),
    "0=6 1=3 4=1": ("0=6 1=3 4=-99", "pads in a way"),
    "0=1 1=2.0": ("0=1 1=nan", "not"),
}


@pytest.mark.parametrize("before", CHANGES)
def test_damaged_graphs_give_one_line(tmp_path: Path, before: str) -> None:
    after, message = CHANGES[before]
    assert before in graph_text()
    path, _ = write(tmp_path, text=graph_text().replace(before, after, 1))
    with pytest.raises(ModelError) as caught:
        from_file(path)
    assert message in str(caught.value) and "\n" not in str(caught.value), str(caught.value)


def test_damaged_weights_give_one_line(tmp_path: Path) -> None:
    path, _ = write(tmp_path)
    whole = path.read_bytes()
    nan = struct.pack("<f", float("nan"))
    for data, message in {
        whole[:-1]: "ends within layer conv2",
        whole[:100]: "layer conv1 declares 162 weights, more than",
        b"": "layer conv1 declares",
        whole + b"\0\0\0\0": "4 bytes of the weights belong to no layer",
        b"\1\2\3\4" + whole[4:]: "unknown kind",
        whole[:-4] + nan: "not finite",
        b"text" * 400: "unknown kind",
    }.items():
        path.write_bytes(data)
        with pytest.raises(ModelError) as caught:
            read_ncnn(path)
        assert message in str(caught.value) and "\n" not in str(caught.value), str(caught.value)


def test_both_files_are_needed(tmp_path: Path) -> None:
    path, _ = write(tmp_path)
    path.with_suffix(".param").unlink()
    with pytest.raises(ModelError, match=r"net.param does not exist: .* a .param and a .bin file"):
        from_file(path)
    (tmp_path / "net.param").write_bytes(bytes(range(256)))
    with pytest.raises(ModelError, match="not text"):
        from_file(path)
