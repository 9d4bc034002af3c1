"""Convolutions in int8 for inference on a CPU: uint8 activations, int8 weights, one call of oneDNN for each layer.

The calibrated form of a network holds, for some of its convolutions, the steps of input and weights, and corrected
biases. All steps are constants, so a pixel of the output depends on its receptive field alone, and tiles give the same
as whole frames.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

PREFIX = "int8."  # of the tensors of a calibrated form in a weights file
MAX_CODE = 255  # of activations, uint8
MAX_LEVEL = 127  # of weights, int8
Network = TypeVar("Network", bound=nn.Module)
Activation = Literal["none", "relu"]
ONE, NO_PADDING = [1, 1], [0, 0]


@dataclass(frozen=True, eq=False)
class LayerSteps:
    """The calibrated form of a convolution from D to C channels."""

    input: Tensor  # D: real value of one step of the codes of each input channel
    weight: Tensor  # C: real value of one level of the weights times one code
    bias: Tensor  # C: the bias, less the mean error of rounding
    rounding: Tensor  # by how much the level of each weight differs from the nearest one, as `packed` stores it

    def levels(self, weight: Tensor) -> Tensor:
        """Return ``weight`` (C x D x k x k) in int8."""
        nearest = (weight.float() * self.input[:, None, None] / self.weight[:, None, None, None]).round()
        differences = unpacked(self.rounding, weight.numel()).view(weight.shape)
        return (nearest + differences).clamp(-MAX_LEVEL, MAX_LEVEL).to(torch.int8)


def packed(differences: Tensor) -> Tensor:
    """Return numbers of -1, 0 and 1 as uint8, four in a byte."""
    digits = (differences.flatten() + 1).to(torch.uint8)
    fours = torch.cat([digits, digits.new_zeros(-len(digits) % 4)]).view(-1, 4)
    return fours[:, 0] | fours[:, 1] << 2 | fours[:, 2] << 4 | fours[:, 3] << 6


def unpacked(codes: Tensor, count: int) -> Tensor:
    """Return the first ``count`` numbers that `packed` has stored."""
    digits = torch.stack([codes >> shift & 3 for shift in (0, 2, 4, 6)], 1).flatten()
    return digits[:count].float() - 1


Calibration = Mapping[str, LayerSteps]  # name of a convolution -> its steps


def to_tensors(calibration: Calibration) -> dict[str, Tensor]:
    """Return the tensors by which a weights file holds ``calibration``."""
    return {
        f"{PREFIX}{name}.{part}": getattr(steps, part)
        for name, steps in calibration.items()
        for part in LayerSteps.__dataclass_fields__
    }


def from_tensors(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, LayerSteps]:
    """Return the calibration that ``tensors`` of a weights file hold for ``network``; empty if there is none.

    Raises:
        ValueError, KeyError, AttributeError: it does not fit the network.
    """
    calibration = {}
    for name in dict.fromkeys(key.removeprefix(PREFIX).rpartition(".")[0] for key in tensors):
        steps = LayerSteps(*(tensors[f"{PREFIX}{name}.{part}"] for part in LayerSteps.__dataclass_fields__))
        weight: Tensor = getattr(network.get_submodule(name), "weight")  # noqa: B009 of a module of any kind
        shapes = [tuple(part.shape) for part in (steps.input, steps.weight, steps.bias, steps.rounding)]
        c, d = weight.shape[:2]
        if shapes != [(d,), (c,), (c,), (-(-weight.numel() // 4),)]:
            raise ValueError(f"the int8 form of {name} has shapes {shapes}")
        calibration[name] = steps
    return calibration


class QuantisedConv(nn.Module):
    """A convolution without padding from uint8 to uint8, or to floats, with its activation: one call of oneDNN.

    The output is ``scale`` * (sum of ``levels`` * (codes - ``in_zero``)) + ``bias``, after the activation. In codes
    (``out_type`` uint8), ``out_zero`` is added, and the sum rounded and limited to 0 to 255.
    """

    def __init__(
        self,
        levels: Tensor,
        scale: Tensor,
        bias: Tensor,
        activation: Activation = "relu",
        out_type: torch.dtype = torch.uint8,
        in_zero: int = 0,
        out_zero: int = 0,
    ) -> None:
        super().__init__()
        self.levels, self.scale, self.bias = levels, scale.float(), bias.float()  # C x D x k x k int8, C, C
        self.zeros = torch.zeros(len(levels), dtype=torch.int32)
        self.activation, self.out_type = activation, out_type
        self.in_zero, self.out_zero = in_zero, out_zero
        self._packed: Tensor | None = None  # levels in oneDNN's layout, made at the first call

    @classmethod
    def of(
        cls,
        weight: Tensor,
        steps: LayerSteps,
        out_steps: Tensor | None,
        activation: Activation = "relu",
        out_type: torch.dtype = torch.float32,
    ) -> QuantisedConv:
        """Return the convolution by ``weight`` (C x D x k x k) in its calibrated form.

        ``out_steps`` (C): real value of one step of the output; None: real values, in ``out_type``.
        """
        unit = torch.ones_like(steps.weight) if out_steps is None else out_steps
        scale, bias = steps.weight / unit, steps.bias / unit
        return cls(steps.levels(weight), scale, bias, activation, out_type if out_steps is None else torch.uint8)

    def forward(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        """N x D x H x W uint8 -> N x C x H-k+1 x W-k+1. ``shift`` (C): added before the activation, in its units."""
        if self._packed is None:
            self._packed = torch.ops.onednn.qconv_prepack(
                self.levels, self.scale, 1.0, self.in_zero, ONE, NO_PADDING, ONE, 1, list(x.shape)
            )
        bias = self.bias if shift is None else self.bias + shift.float()
        codes = x.contiguous(memory_format=torch.channels_last)
        result: Tensor = torch.ops.onednn.qconv2d_pointwise(
            codes, 1.0, self.in_zero, self._packed, self.scale, self.zeros, bias, ONE, NO_PADDING, ONE, 1,
            1.0, self.out_zero, self.out_type, self.activation, [], "",
        )  # fmt: skip
        return result

    def __deepcopy__(self, memo: dict[int, object]) -> QuantisedConv:
        """Return a copy without the packed levels, which PyTorch cannot copy."""
        return QuantisedConv(
            self.levels, self.scale, self.bias, self.activation, self.out_type, self.in_zero, self.out_zero
        )


class ConvToCodes(nn.Module):
    """A convolution without padding in float32, ReLU, and rounding to codes of the steps ``out_steps`` (C)."""

    def __init__(self, conv: nn.Conv2d, out_steps: Tensor) -> None:
        super().__init__()
        assert conv.bias is not None
        weight = (conv.weight.float() / out_steps[:, None, None, None]).contiguous(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        # the cast to codes cuts off fractions, so the half is added before; ReLU and limit are part of the call
        self.bias = nn.Parameter(conv.bias.float() / out_steps + 0.5, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """N x D x H x W float32 -> N x C x H-k+1 x W-k+1 uint8."""
        steps: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, NO_PADDING, ONE, ONE, 1, "hardtanh", [0.0, MAX_CODE + 0.5], ""
        )
        return steps.to(torch.uint8)


def quantised(network: Network, calibration: Calibration, out_type: torch.dtype = torch.float32) -> Network:
    """Return a copy of ``network`` whose calibrated convolutions compute in int8.

    Only chains of convolutions and ReLUs are changed. The first convolution of a chain stays in float32, because its
    input does. ``out_type``: of a convolution that ends a chain.
    """
    network = copy.deepcopy(network)
    for name, module in network.named_modules():
        if isinstance(module, nn.Sequential):
            _quantise_chain(module, f"{name}.", calibration, out_type)
    return network


def _quantise_chain(layers: nn.Sequential, prefix: str, calibration: Calibration, out_type: torch.dtype) -> None:
    """Replace, in place, the convolutions of ``layers`` whose names follow ``prefix`` in ``calibration``."""
    convs = chain(layers)
    inputs = [calibration.get(prefix + name) for name in convs]
    inputs[:1] = [None]
    for (name, (conv, has_relu)), steps, following in zip(convs.items(), inputs, [*inputs[1:], None], strict=True):
        if steps is not None:
            is_end = name == next(reversed(layers._modules))
            layers._modules[name] = QuantisedConv.of(
                conv.weight,
                steps,
                None if following is None else following.input,
                "relu" if has_relu else "none",
                out_type if is_end else torch.float32,
            )
        elif following is not None:
            layers._modules[name] = ConvToCodes(conv, following.input)
    for name, after in list(layers._modules.items()):
        if isinstance(after, nn.ReLU):
            before = previous(layers, name)
            if isinstance(before, QuantisedConv | ConvToCodes):
                layers._modules[name] = nn.Identity()


def chain(layers: nn.Sequential) -> dict[str, tuple[nn.Conv2d, bool]]:
    """Return the convolutions of a chain in order, each with whether a ReLU follows; none if ``layers`` is no chain.

    A chain has convolutions without padding and stride, with biases, and a ReLU after each but perhaps the last.
    """
    modules = list(layers._modules.items())
    found = {}
    for number, (name, module) in enumerate(modules):
        after = modules[number + 1][1] if number + 1 < len(modules) else None
        if isinstance(module, nn.Conv2d) and _is_plain(module) and (after is None or isinstance(after, nn.ReLU)):
            found[name] = module, after is not None
        elif not isinstance(module, nn.ReLU):
            return {}
    return found


def _is_plain(conv: nn.Conv2d) -> bool:
    settings = (conv.padding, conv.stride, conv.dilation, conv.groups)
    return settings == ((0, 0), (1, 1), (1, 1), 1) and conv.bias is not None


def previous(layers: nn.Sequential, name: str) -> nn.Module | None:
    """Return the layer before the one called ``name``."""
    names = list(layers._modules)
    place = names.index(name)
    return layers._modules[names[place - 1]] if place else None
