"""The layers of an ncnn graph as PyTorch modules.

Each knows the side of its output for a square input, so that a graph can be examined by shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.ncnn_files import Layer, Number

SECOND_INPUT = -233  # value of a size that the second input determines
WHOLE = -233  # value of an end: that of the input


class Operation(nn.Module):
    """What a layer computes."""

    def side(self, *sides: int) -> int:
        """Return the side of the output for square inputs of these sides.

        Raises:
            ValueError: the inputs do not fit together.
        """
        raise NotImplementedError


class Convolution(Operation):
    """A convolution, or a deconvolution, with its activation."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        outputs, self.kernel = layer.integer(0), layer.integer(1)
        height = layer.integer(11, self.kernel)
        self.stride, self.dilation = layer.integer(3, 1), layer.integer(2, 1)
        left = layer.integer(4)
        pads = [left, layer.integer(15, left), layer.integer(14, left), layer.integer(16, layer.integer(14, left))]
        if len(set(pads)) > 1 or not 0 <= left <= self.kernel or (height, layer.integer(18)) != (self.kernel, 0):
            raise ValueError(f"layer {layer.name} pads in a way that vidsr does not compute")
        if min(outputs, self.kernel, self.stride, self.dilation) < 1:
            raise ValueError(f"layer {layer.name} declares sizes below 1")
        self.padding = left
        self.deconvolves = layer.kind == "Deconvolution"
        weight = torch.from_numpy(layer.weights["weight"]).view(outputs, -1, height, self.kernel)
        self.weight = nn.Parameter(weight.transpose(0, 1).contiguous() if self.deconvolves else weight)
        self.bias = nn.Parameter(torch.from_numpy(layer.weights["bias"])) if "bias" in layer.weights else None
        self.activation = activation_of(layer)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x D x H' x W', in the type of the weights."""
        x = x.to(self.weight.dtype)
        if self.deconvolves:
            y = F.conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding, dilation=self.dilation)
        else:
            y = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)
        return self.activation(y)

    def side(self, *sides: int) -> int:
        """Return the side of the output."""
        spread = self.dilation * (self.kernel - 1) + 1
        if self.deconvolves:
            return (sides[0] - 1) * self.stride + spread - 2 * self.padding
        return (sides[0] + 2 * self.padding - spread) // self.stride + 1


class InnerProduct(Operation):
    """A matrix product over the channels of N x C x 1 x 1, with its activation."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(layer.weights["weight"]).view(layer.integer(0), -1))
        self.bias = nn.Parameter(torch.from_numpy(layer.weights["bias"])) if "bias" in layer.weights else None
        self.activation = activation_of(layer)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x 1 x 1 -> N x D x 1 x 1."""
        return self.activation(F.linear(x.flatten(1).to(self.weight.dtype), self.weight, self.bias))[:, :, None, None]

    def side(self, *sides: int) -> int:
        """Return 1."""
        return 1


class PRelu(Operation):
    """Leaky ReLU with a slope for each channel."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.from_numpy(layer.weights["slope"]))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with its negative values multiplied."""
        return F.prelu(x, self.slope)

    def side(self, *sides: int) -> int:
        """Return the side of the input."""
        return sides[0]


class GlobalPool(Operation):
    """The mean of each channel over the whole image."""

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C x 1 x 1."""
        return x.float().mean((2, 3), keepdim=True).to(x.dtype)

    def side(self, *sides: int) -> int:
        """Return 1."""
        return 1


class Apply(Operation):
    """A layer without weights; ``side`` maps the sides of its inputs to that of its output, if they differ."""

    def __init__(self, function: Callable[..., Tensor], side: Callable[..., int] | None = None) -> None:
        super().__init__()
        self.function, self._side = function, side

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the layer's output."""
        return self.function(*inputs)

    def side(self, *sides: int) -> int:
        """Return the side of the output; inputs of side 1 are broadcast."""
        if self._side is not None:
            return self._side(*sides)
        if len(set(sides) - {1}) > 1:
            raise ValueError("its layers do not fit together")
        return max(sides)


def activation_of(layer: Layer) -> Callable[[Tensor], Tensor]:
    """Return the activation that a layer applies to its output."""
    kind, values = layer.integer(9), [float(value) for value in layer.array(10)]
    if kind == 0:
        return identity
    if kind == 1:
        return F.relu_
    if kind == 2 and len(values) == 1:
        return partial(F.leaky_relu_, negative_slope=values[0])
    if kind == 4:
        return torch.sigmoid
    raise ValueError(f"layer {layer.name} has the activation {kind}, which vidsr does not compute")


def identity(x: Tensor) -> Tensor:
    """Return ``x``."""
    return x


def _pooling(layer: Layer) -> Operation:
    if layer.integer(4) and layer.integer(0) == 1:
        return GlobalPool()
    if layer.integer(4) or layer.integer(3):
        raise ValueError(f"layer {layer.name} pools in a way that vidsr does not compute")
    kernel, stride, whole = layer.integer(1), layer.integer(2, 1), layer.integer(5) == 0
    pool = F.avg_pool2d if layer.integer(0) else F.max_pool2d
    function = partial(pool, kernel_size=kernel, stride=stride, ceil_mode=whole)
    return Apply(function, lambda side: (side - kernel + whole * (stride - 1)) // stride + 1)


def _crop(layer: Layer) -> Operation:
    if len(layer.inputs) == 2:
        return Apply(partial(crop_like, left=layer.integer(0), top=layer.integer(1)), lambda side, other: other)
    axes = [int(axis) for axis in layer.array(11)]
    ranges = list(zip(axes, layer.array(9), layer.array(10), strict=True))
    if not axes or not all(-2 <= axis < 0 for axis in axes):
        raise ValueError(f"layer {layer.name} crops in a way that vidsr does not compute")
    _, start, end = ranges[0]
    cut = int(start) - (0 if end == WHOLE or end > 0 else int(end))
    return Apply(partial(crop_ranges, ranges=ranges), lambda side: (int(end) if end > 0 else side) - cut)


def crop_like(x: Tensor, other: Tensor, left: int, top: int) -> Tensor:
    """Return the part of ``x`` with the size of ``other`` that begins at ``left`` and ``top``."""
    return x[..., top : top + other.shape[-2], left : left + other.shape[-1]]


def crop_ranges(x: Tensor, ranges: Sequence[tuple[int, Number, Number]]) -> Tensor:
    """Return the part of ``x`` within ``ranges``: axis, start, end (negative: from the end)."""
    for axis, start, end in ranges:
        length = x.shape[axis]
        stop = length if end == WHOLE else int(end) + (length if end < 0 else 0)
        x = x.narrow(axis, int(start), stop - int(start))
    return x


BINARY: dict[int, Callable[[Any, Any], Tensor]] = {
    0: torch.add,
    1: torch.sub,
    2: torch.mul,
    3: torch.div,
    4: torch.maximum,
    5: torch.minimum,
}


def _binary(layer: Layer) -> Operation:
    function = BINARY.get(layer.integer(0))
    if function is None or (layer.integer(1) and layer.integer(0) > 3):
        raise ValueError(f"layer {layer.name} has the operation {layer.integer(0)}, which vidsr does not compute")
    if layer.integer(1):
        scalar = layer.number(2)
        return Apply(lambda x: function(x, scalar))
    return Apply(function)


def _eltwise(layer: Layer) -> Operation:
    kind, factors = layer.integer(0), [float(factor) for factor in layer.array(1)] or [1.0] * len(layer.inputs)
    if kind == 1 and len(factors) == len(layer.inputs) == 2:
        return Apply(partial(weighted_sum, factors=factors))
    if kind in (0, 2) and len(layer.inputs) == 2:
        return Apply(BINARY[2 if kind == 0 else 4])
    raise ValueError(f"layer {layer.name} combines its inputs in a way that vidsr does not compute")


def weighted_sum(a: Tensor, b: Tensor, factors: Sequence[float]) -> Tensor:
    """Return the sum of two tensors, each times its factor."""
    return torch.add(b if factors[1] == 1 else b * factors[1], a, alpha=factors[0])


def _scale(layer: Layer) -> Operation:
    if layer.integer(0) != SECOND_INPUT or len(layer.inputs) != 2:
        raise ValueError(f"layer {layer.name} scales by factors of its own, which vidsr does not compute")
    return Apply(torch.mul)


def _interp(layer: Layer) -> Operation:
    modes = {1: "nearest", 2: "bilinear", 3: "bicubic"}
    mode, factors = modes.get(layer.integer(0)), (layer.number(1, 1.0), layer.number(2, 1.0))
    if mode is None or layer.integer(3) or layer.integer(4) or layer.integer(6) or not all(0 < f <= 8 for f in factors):
        raise ValueError(f"layer {layer.name} resizes in a way that vidsr does not compute")
    corners = None if mode == "nearest" else False
    return Apply(
        partial(F.interpolate, scale_factor=factors, mode=mode, align_corners=corners),
        lambda side: int(side * factors[0]),
    )


def _shuffle(layer: Layer) -> Operation:
    if layer.integer(1):
        raise ValueError(f"layer {layer.name} shuffles in a way that vidsr does not compute")
    factor = layer.integer(0, 1)
    return Apply(partial(F.pixel_shuffle, upscale_factor=factor), lambda side: side * factor)


def _concat(layer: Layer) -> Operation:
    axis = layer.integer(0)
    return Apply(lambda *inputs: torch.cat(inputs, axis + 1 if axis >= 0 else axis))


KINDS: dict[str, Callable[[Layer], Operation]] = {
    "Convolution": Convolution,
    "Deconvolution": Convolution,
    "InnerProduct": InnerProduct,
    "PReLU": PRelu,
    "Pooling": _pooling,
    "Crop": _crop,
    "BinaryOp": _binary,
    "Eltwise": _eltwise,
    "Concat": _concat,
    "Scale": _scale,
    "Interp": _interp,
    "PixelShuffle": _shuffle,
}  # besides Input and Split
