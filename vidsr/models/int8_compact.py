"""Compact networks (Real-ESRGAN animevideov3 and others) in int8 on a CPU: four times as fast as in float32.

oneDNN has no PReLU with a slope for each channel in its int8 convolutions. So a convolution answers in bf16, and one
pass applies PReLU and rounds to 8-bit codes, with a step and a zero for each channel. The first convolution and the
anchor stay in float32. Weights of other people have no calibration, so steps are measured, and weights rounded, at
load, on the images of `CALIBRATION`: the same on every machine and for every segment of a clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.architectures.compact import Compact, Config
from vidsr.models.architectures.ncnn_graph import NcnnGraph
from vidsr.models.architectures.ncnn_layers import Apply, Convolution, PRelu
from vidsr.models.int8 import MAX_CODE, MAX_LEVEL, QuantisedConv
from vidsr.models.layers import ImageNetwork
from vidsr.models.rgb_network import RgbNetwork, Statistics, add_rgb_anchor, scale_of
from vidsr.models.weight_files import WEIGHTS
from vidsr.models.weight_rounding import round_weights

try:
    from vidsr.kernels.prelu_codes import prelu_codes
except ImportError:  # no Numba: the same codes in several passes
    prelu_codes = None  # type: ignore[assignment]

CALIBRATION = WEIGHTS / "calibration.npz"  # made by benchmarks/calibration_images.py
PROBE = 12  # side of the image by which a graph is compared with the network of its weights
GOLDEN_RATIO = 0.618034  # its multiples, without the whole part, are spread evenly
SAMPLED = 2  # every second position of an image serves the rounding of weights


@dataclass(frozen=True, eq=False)
class PReluCodes:
    """PReLU, and the codes of its output: code = zero + value / step, for each of C channels."""

    slope: Tensor
    step: Tensor
    zero: Tensor

    @classmethod
    def measured(cls, slope: Tensor, values: Tensor) -> PReluCodes:
        """Return the codes for outputs like ``values`` (N x C x H x W)."""
        low, high = values.amin((0, 2, 3)).clamp(max=0), values.amax((0, 2, 3)).clamp(min=0)
        step = ((high - low) / MAX_CODE).clamp(min=torch.finfo(torch.float32).eps)
        return cls(slope, step, (-low / step).round())

    def __call__(self, values: Tensor, codes: Tensor | None = None) -> Tensor:
        """N x C x H x W bf16 -> codes N x C x H+2 x W+2, channels last, with the code of 0 at the border.

        ``codes``: memory for the result.
        """
        n, channels, height, width = values.shape
        if codes is None:
            codes = torch.empty(n, channels, height + 2, width + 2, dtype=torch.uint8).contiguous(
                memory_format=torch.channels_last
            )
        target, rows = codes.permute(0, 2, 3, 1), values.permute(0, 2, 3, 1).contiguous()
        for border in (target[:, 0], target[:, -1], target[:, :, 0], target[:, :, -1]):
            border[:] = self.zero.to(torch.uint8)
        rise, fall = 1 / self.step, self.slope / self.step
        if prelu_codes is None:
            target[:, 1:-1, 1:-1] = codes_of(rows, rise, fall, self.zero)
        else:
            bits = rows.view(torch.uint16).numpy()
            prelu_codes(bits, rise.numpy(), fall.numpy(), self.zero.numpy(), target.numpy())
        return codes


def codes_of(values: Tensor, rise: Tensor, fall: Tensor, zero: Tensor) -> Tensor:
    """Return the codes of ``values`` (... x C) after PReLU."""
    floats = values.float()
    codes = torch.where(floats > 0, floats * rise, floats * fall) + zero + 0.5
    return codes.clamp(0, MAX_CODE).to(torch.uint8)


class Int8Compact(RgbNetwork):
    """A Compact ``network`` in int8; the first convolution and the anchor in float32."""

    anchored = True
    shuffles_last = True

    def __init__(self, network: Compact) -> None:
        super().__init__()
        self.scale, self.halo = network.scale, network.halo
        convs = [layer for layer in network.body if isinstance(layer, nn.Conv2d)]
        slopes = [layer.weight.detach() for layer in network.body if isinstance(layer, nn.PReLU)]
        self.first = convs[0]
        self.activations: list[PReluCodes] = []
        self.convs = nn.ModuleList()
        with torch.inference_mode():
            exact = given = self.first(calibration_images())
            for slope, conv in zip(slopes, convs[1:], strict=True):
                exact = F.prelu(exact, slope)
                activation = PReluCodes.measured(slope, exact)
                codes = activation(given.to(torch.bfloat16))
                quantised, given, exact = quantised_convolution(conv, activation, exact, codes)
                if conv is convs[-1]:
                    quantised.out_type = torch.float32
                self.activations.append(activation)
                self.convs.append(quantised)
        self.requires_grad_(False)

    @property
    def half_precisions(self) -> tuple[torch.dtype, ...]:
        """None: the layers outside int8 are in float32."""
        return ()

    def layers(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Return ``x`` upscaled."""
        values = self.first(x).to(torch.bfloat16)
        codes: Tensor | None = None
        for activation, conv in zip(self.activations, self.convs, strict=True):
            codes = activation(values, codes)
            del values  # each layer gets the memory of the one before, which is in the cache
            values = conv(codes)
        return add_rgb_anchor(values, x, self.scale)


def quantised_convolution(
    conv: nn.Conv2d, activation: PReluCodes, exact: Tensor, codes: Tensor
) -> tuple[QuantisedConv, Tensor, Tensor]:
    """Return ``conv`` in int8, its output for ``codes``, and the exact output for the ``exact`` input."""
    zero = activation.zero[:, None, None]
    steps = activation.step[:, None, None]
    weight = (conv.weight * steps).flatten(1)
    levels, scale = round_weights(
        weight, _patches(F.pad(exact, (1,) * 4) / steps), _patches(codes.float() - zero), MAX_LEVEL
    )
    levels = levels.view_as(conv.weight)
    assert conv.bias is not None
    bias = conv.bias - scale * (levels * zero).sum((1, 2, 3))  # codes have a zero, and levels see codes
    expected = conv(exact)
    answered = QuantisedConv(levels.to(torch.int8), scale, bias, "none", torch.float32)(codes)
    bias = bias + (expected - answered).mean((0, 2, 3))  # the mean error of rounding
    quantised = QuantisedConv(levels.to(torch.int8), scale, bias, "none", torch.bfloat16)
    return quantised, quantised(codes), expected


def _patches(planes: Tensor) -> Tensor:
    """Return the 3 x 3 patches of N x C x H x W planes, 9 C x M, at every `SAMPLED`-th position."""
    return F.unfold(planes, 3, stride=SAMPLED).permute(1, 0, 2).flatten(1)


@cache
def calibration_images() -> Tensor:
    """N x 3 x H x W RGB in [0, 1]: parts of a clip of a city, and drawings."""
    with np.load(CALIBRATION) as arrays:
        return torch.from_numpy(arrays["images"]).float() / 255


def in_int8(network: ImageNetwork) -> Int8Compact | None:
    """Return a Compact network, or an ncnn graph of one, in int8; None for other networks."""
    compact = compact_of(network)
    return None if compact is None else Int8Compact(compact)


def compact_of(network: ImageNetwork) -> Compact | None:
    """Return a Compact network, or that of an ncnn graph; None for other networks."""
    if isinstance(network, NcnnGraph):
        return from_graph(network)
    return network if isinstance(network, Compact) else None


@torch.inference_mode()
def from_graph(graph: NcnnGraph) -> Compact | None:
    """Return the Compact network with the weights of ``graph``; None if that does not compute the same."""
    body = [op for op in graph.operations if not isinstance(op, Apply)]
    convs, slopes = body[::2], [op for op in body[1::2] if isinstance(op, PRelu)]
    if len(body) != 2 * len(slopes) + 1 or not all(isinstance(op, Convolution) for op in convs) or len(convs) < 2:
        return None
    weights = [op.get_parameter("weight") for op in convs]
    try:
        network = Compact(Config(scale_of(weights[-1]), weights[0].shape[0], len(convs) - 2))
        tensors = [part for conv, slope in zip(convs, [*slopes, None], strict=True) for part in
                   (*conv.parameters(), *(() if slope is None else slope.parameters()))]  # fmt: skip
        network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
        # no generator: the command line defers the import that it needs
        x = (torch.arange(3 * PROBE**2) * GOLDEN_RATIO % 1).view(1, 3, PROBE, PROBE)
        same = torch.allclose(network.eval()(x), graph(x), atol=1e-3)
    except (ValueError, RuntimeError):
        return None
    return network if same else None
