"""Files of ncnn: the graph of a network as text (.param), and its weights (.bin). NumPy alone.

A line of the graph is a layer: type, name, numbers of inputs and outputs, their names, and parameters ``key=value``.
Keys below -23300 hold arrays. The weights follow each other in the order of the layers. A kernel begins with a tag: 0
for float32, another for float16, padded to a multiple of 4 bytes. Biases and slopes are float32 without a tag.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidsr.errors import ModelError

MAGIC = 7767517
FLOAT16_TAG = 0x01306B47
FLOAT32_TAGS = (0, 0x0002C056)
ARRAY_KEY = -23300  # key of an array: this minus the key
MOST_LAYERS = 20_000
MOST_BYTES = 64 << 20  # of a graph

Array = npt.NDArray[np.float32]
Number = int | float


@dataclass(frozen=True)
class Layer:
    """A layer of a graph, with its weights."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: dict[int, Number | tuple[Number, ...]]
    weights: dict[str, Array] = field(default_factory=dict)

    def integer(self, key: int, default: int = 0) -> int:
        """Return a parameter that is a whole number."""
        value = self.parameters.get(key, default)
        if isinstance(value, tuple) or int(value) != value:
            raise ValueError(f"parameter {key} of layer {self.name} is no whole number")
        return int(value)

    def number(self, key: int, default: float = 0.0) -> float:
        """Return a parameter that is a number."""
        value = self.parameters.get(key, default)
        if isinstance(value, tuple):
            raise ValueError(f"parameter {key} of layer {self.name} is no number")
        return float(value)

    def array(self, key: int) -> tuple[Number, ...]:
        """Return a parameter that is an array; empty if it is absent."""
        value = self.parameters.get(key, ())
        return value if isinstance(value, tuple) else (value,)


def read_ncnn(path: Path) -> tuple[Layer, ...]:
    """Return the layers of a graph with their weights. ``path``: either of its two files, next to each other.

    Raises:
        ModelError: a file is absent or damaged, or some bytes of the weights belong to no layer.
    """
    graph, weights = path.with_suffix(".param"), path.with_suffix(".bin")
    for file in (graph, weights):
        if not file.is_file():
            raise ModelError(f"{file} does not exist: a network of ncnn is a .param and a .bin file of the same name")
    try:
        layers = _layers(graph)
        data = weights.read_bytes()
        place = 0
        for layer in layers:
            place = _read_weights(layer, data, place)
        if place != len(data):
            raise ValueError(f"{len(data) - place} bytes of the weights belong to no layer")
    except (OSError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise ModelError(f"{path} is not a readable ncnn network: {str(error).splitlines()[0]}") from None
    return layers


def _layers(path: Path) -> tuple[Layer, ...]:
    if path.stat().st_size > MOST_BYTES:
        raise ValueError("its graph is too large")
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError:
        raise ValueError("its graph is not text") from None
    if len(lines) < 2 or lines[0].strip() != str(MAGIC):
        raise ValueError(f"its graph does not begin with {MAGIC}")
    count = int(lines[1].split()[0])
    rows = [line.split() for line in lines[2:] if line.strip()]
    if count != len(rows) or count > MOST_LAYERS:
        raise ValueError(f"its graph has {len(rows)} layers and declares {count}")
    layers = tuple(_layer(row) for row in rows)
    known: set[str] = set()
    for layer in layers:
        missing = [name for name in layer.inputs if name not in known]
        if missing:
            raise ValueError(f"layer {layer.name} reads {missing[0]}, which no layer before it makes")
        known |= set(layer.outputs)
    return layers


def _layer(row: list[str]) -> Layer:
    kind, name, inputs, outputs = row[0], row[1], int(row[2]), int(row[3])
    names, pairs = row[4 : 4 + inputs + outputs], row[4 + inputs + outputs :]
    if inputs < 0 or outputs < 0 or len(names) != inputs + outputs:
        raise ValueError(f"layer {name} has other inputs and outputs than it declares")
    return Layer(kind, name, tuple(names[:inputs]), tuple(names[inputs:]), dict(map(_parameter, pairs)))


def _parameter(pair: str) -> tuple[int, Number | tuple[Number, ...]]:
    key, _, value = pair.partition("=")
    if int(key) > ARRAY_KEY:
        return int(key), _number(value)
    count, *values = value.split(",")
    if len(values) != int(count):
        raise ValueError(f"an array of {count} has {len(values)} values")
    return ARRAY_KEY - int(key), tuple(map(_number, values))


def _number(text: str) -> Number:
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _read_weights(layer: Layer, data: bytes, place: int) -> int:
    """Read the weights of ``layer`` at ``place``; return the place after them."""
    for name, count, tagged in PARTS.get(layer.kind, _no_weights)(layer):
        if count < 0 or 2 * count > len(data):
            raise ValueError(f"layer {layer.name} declares {count} weights, more than the file holds")
        kind = "<f4"
        if tagged:
            (tag,) = struct.unpack_from("<I", data[place : place + 4].ljust(4, b"\xff"))
            place += 4
            if tag == FLOAT16_TAG:
                kind = "<f2"
            elif tag not in FLOAT32_TAGS:
                raise ValueError(
                    f"layer {layer.name} has weights of an unknown kind ({tag:#x}), or the file is truncated"
                )
        size = count * np.dtype(kind).itemsize
        if place + size > len(data):
            raise ValueError(f"it ends within layer {layer.name}")
        values = np.frombuffer(data, kind, count, place).astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError(f"layer {layer.name} holds values that are not finite")
        layer.weights[name] = values
        place += -(-size // 4) * 4
    return place


Part = tuple[str, int, bool]  # name, number of values, whether a tag precedes them


def _no_weights(layer: Layer) -> list[Part]:
    return []


def _convolution(layer: Layer) -> list[Part]:
    if layer.integer(8):
        raise ValueError(f"layer {layer.name} is quantised to int8, which vidsr does not read")
    bias: list[Part] = [("bias", layer.integer(0), False)] if layer.integer(5) else []
    return [("weight", layer.integer(6), True), *bias]


def _inner_product(layer: Layer) -> list[Part]:
    bias: list[Part] = [("bias", layer.integer(0), False)] if layer.integer(1) else []
    return [("weight", layer.integer(2), True), *bias]


def _prelu(layer: Layer) -> list[Part]:
    return [("slope", layer.integer(0), False)]


def _scale(layer: Layer) -> list[Part]:
    count = layer.integer(0)
    if count == -233:  # the factors are the second input
        return []
    bias: list[Part] = [("bias", count, False)] if layer.integer(1) else []
    return [("scale", count, False), *bias]


def _memory_data(layer: Layer) -> list[Part]:
    count = 1
    for key in (0, 1, 11, 2):  # width, height, depth, channels; 0 for none
        count *= max(layer.integer(key), 1)
    return [("data", count, layer.integer(21, 1) == 0)]


PARTS: dict[str, Callable[[Layer], list[Part]]] = {
    "Convolution": _convolution,
    "Deconvolution": _convolution,
    "InnerProduct": _inner_product,
    "MemoryData": _memory_data,
    "PReLU": _prelu,
    "Scale": _scale,
}
