"""The tensors of RIFE in ncnn's files, under the names of its authors' checkpoints.

The graphs are those of rife-ncnn-vulkan. Only their blocks hold weights, and a block's layers tell the version.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidsr.models.architectures.rife import LAYERS, SLOPE
from vidsr.models.ncnn_files import Layer


@dataclass(frozen=True)
class Form:
    """A block of one version, from its first convolution to its deconvolution and pixel shuffle."""

    layers: str  # kinds
    activations: int  # of the convolutions that hold the leaky ReLU, from the first
    place: str  # of the convolutions at one size, in a checkpoint


BODY = "Convolution " * 2
FORMS = (
    Form("Convolution PReLU " * (2 + LAYERS) + "BinaryOp Deconvolution", 0, "0"),  # 4.0
    Form(BODY + "Convolution " * LAYERS + "Deconvolution", 2 + LAYERS, "0"),  # 4.2 to 4.4
    # 4.5: the weights of the skips are layers of their own; 4.6: they are merged into the convolutions
    Form(BODY + "Convolution BinaryOp BinaryOp ReLU " * LAYERS + "Deconvolution PixelShuffle", 2, "conv"),
    Form(BODY + "Convolution BinaryOp ReLU " * LAYERS + "Deconvolution PixelShuffle", 2, "conv"),
)
OTHER = "vidsr runs RIFE 4.0 to 4.6, and this is another network"


def tensors(layers: Sequence[Layer]) -> dict[str, Tensor]:
    """Return the tensors of a graph under the names that `vidsr.models.architectures.rife.recognise` knows.

    Raises:
        ValueError: the graph is none of RIFE 4.0 to 4.6.
    """
    state: dict[str, Tensor] = {}
    skips = [layer for layer in layers if layer.kind == "MemoryData"]
    for number, block in enumerate(_blocks(layers)):
        named = dict(_convolutions(block, _form(block)))
        for place in [place for place in named if place.startswith("convblock") and place.endswith("conv")]:
            channels = named[place][0].integer(0)
            weight = torch.from_numpy(skips.pop(0).weights["data"]) if skips else torch.ones(channels)
            state[f"block{number}.{place.removesuffix('conv')}beta"] = weight.view(1, channels, 1, 1)
        for place, (layer, slope) in named.items():
            state[f"block{number}.{place}.weight"] = _kernel(layer)
            state[f"block{number}.{place}.bias"] = torch.from_numpy(layer.weights["bias"])
            if slope is not None:
                state[f"block{number}.{place[:-1]}1.weight"] = torch.from_numpy(slope.weights["slope"])
    if not state or skips:
        raise ValueError(OTHER)
    return state


def _blocks(layers: Sequence[Layer]) -> Iterator[list[Layer]]:
    """Return the layers of each block without splits."""
    block: list[Layer] = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if (block or layer.kind == "Convolution") and layer.kind != "Split":
            block.append(layer)
        if layer.kind == "PixelShuffle" or (
            layer.kind == "Deconvolution" and (following is None or following.kind != "PixelShuffle")
        ):
            yield block
            block = []


def _form(block: Sequence[Layer]) -> Form:
    kinds = " ".join(layer.kind for layer in block)
    form = next((form for form in FORMS if form.layers == kinds), None)
    if form is None or any(layer.number(0) != SLOPE for layer in block if layer.kind == "ReLU"):
        raise ValueError(OTHER)
    return form


def _convolutions(block: Sequence[Layer], form: Form) -> Iterator[tuple[str, tuple[Layer, Layer | None]]]:
    """Return each layer with a kernel: its place in a checkpoint, the layer, and its PReLU.

    Raises:
        ValueError: the activation of a layer is not that of RIFE.
    """
    places = ["conv0.0.0", "conv0.1.0", *(f"convblock.{n}.{form.place}" for n in range(LAYERS))]
    places.append("lastconv.0" if block[-1].kind == "PixelShuffle" else "lastconv")
    kernels = [n for n, layer in enumerate(block) if layer.kind in ("Convolution", "Deconvolution")]
    for count, (place, n) in enumerate(zip(places, kernels, strict=True)):
        layer, following = block[n], block[min(n + 1, len(block) - 1)]
        leaky = layer.integer(9) == 2 and [float(value) for value in layer.array(10)] == [SLOPE]
        if leaky != (count < form.activations) or layer.integer(9) not in (0, 2):
            raise ValueError(OTHER)
        yield place, (layer, following if following.kind == "PReLU" else None)


def _kernel(layer: Layer) -> Tensor:
    """Return the weights in the layout of PyTorch."""
    side = layer.integer(1)
    weight = torch.from_numpy(layer.weights["weight"]).view(layer.integer(0), -1, side, side)
    return weight.transpose(0, 1).contiguous() if layer.kind == "Deconvolution" else weight
