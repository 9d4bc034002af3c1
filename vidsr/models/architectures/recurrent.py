"""Recurrent upscaling of clips: a single-frame network, corrected by what earlier frames have shown.

The previous output, moved along the optical flow and made to agree with the present frame, is blended with the output
of the single-frame network by a learned gate; a learned residual is added. The previous output carries detail from
frame to frame, as in FRVSR (Sajjadi, Vemulapalli, Brown, "Frame-recurrent video super-resolution", CVPR 2018). It is
made to agree with the present frame by back-projection (Irani, Peleg, "Improving resolution by image registration",
1991).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.architectures import plain
from vidsr.models.fused import ConvReLU
from vidsr.models.layers import crop_border
from vidsr.models.temporal import Prior, TemporalNetwork

RING = 4  # pixels around the frame that the four layers of the recurrent part read
ERROR_GAIN = 8.0  # of errors and differences as inputs: they are small against the range of luma
ERROR_WINDOW = 5  # pixels a side of the window in which errors are averaged for the gate
GATE_BIAS = 1.5  # initial logit of the gate where the previous output agrees with the frame
GATE_SLOPE = 8.0  # logits that the gate loses per unit of averaged error
MAX_HIDDEN = 4.0  # limit of the hidden state: without one, training diverged


@dataclass(frozen=True)
class Config:
    """Size of the single-frame network (channels, layers) and of the recurrent part."""

    scale: int
    channels: int = 32
    layers: int = 10
    hidden: int = 32  # channels of the recurrent part
    keep: float = 1.0  # share of the past that a frame reads; below 1, what is 30 frames old is forgotten
    warm_up: int = 28  # frames; then the beginning counts two code values at most, if it forgets (docs/temporal.md)


class Recurrent(TemporalNetwork, plain.Plain):
    """A plain network with a recurrent part of four 3x3 convolutions behind it."""

    def __init__(self, config: Config) -> None:
        plain.Plain.__init__(self, plain.Config(config.scale, config.channels, config.layers))
        self.halo = config.layers + 1 + RING
        self.hidden_channels, self.keep, self.warm_up = config.hidden, config.keep, config.warm_up
        subpixels = config.scale**2
        inputs = config.channels + subpixels + 3 + 2 + config.hidden
        layers: list[nn.Module] = []
        for channels in (inputs, config.hidden, config.hidden):
            layers += [nn.Conv2d(channels, config.hidden, 3), nn.ReLU(inplace=True)]
        self.recurrent = nn.Sequential(*layers)
        self.head = nn.Conv2d(config.hidden, 2 * subpixels, 3)  # logits of the gate, then the residual
        self._initialise_recurrent()

    @torch.no_grad()
    def _initialise_recurrent(self) -> None:
        for layer in self.recurrent:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.recurrent[0].weight.mul_(0.7)  # type: ignore[operator]
        gate, residual = self.head.weight.chunk(2)
        nn.init.normal_(gate, std=0.003)
        nn.init.normal_(residual, std=0.0003)
        bias = self.head.bias
        assert bias is not None
        bias.copy_(torch.tensor([GATE_BIAS, 0.0]).repeat_interleave(len(bias) // 2))

    def for_training(self, keep: bool, branches: bool = True) -> None:
        """Do nothing: the network trains in the form in which it ships."""

    def residual(self, x: Tensor) -> Tensor:
        """Return the residual of a first frame, before the shuffle."""
        return self.step(x, None)[0].to(self.dtype)

    def step(self, x: Tensor, prior: Prior | None) -> tuple[Tensor, Tensor]:
        """Return the residual before the shuffle, and the hidden state: `TemporalNetwork.step`."""
        features, single = self.single_frame(x)
        y = crop_border(x, self.halo).float()
        if prior is None:
            prior = Prior.empty(y.shape[0], y.shape[-2:], self.scale, self.hidden_channels, y)
        planes = self.prior_planes(y, prior, single)
        head, hidden = self.recur(features, planes)
        return blend(planes, head, single), hidden

    def single_frame(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features with `RING` pixels around the frame, and the single-frame residual in float32, with fewer."""
        features = self.body[:-1](x.to(self.dtype))
        return features, self.body[-1](features).float()

    def prior_planes(self, y: Tensor, prior: Prior, single: Tensor) -> Tensor:
        """Return what the recurrent layers read of the past of frame ``y``, with `RING` pixels around it.

        Planes: the gain of the past, which is `keep` times the corrected estimate less the residual of the frame alone
        (``single``); error; change; inside; means of the magnitudes of error and change; hidden state. All but inside
        and hidden are multiplied by `ERROR_GAIN`.
        Around the frame all planes are zero but the means, which read the frame there.
        """
        error, correction = self._back_project(y, prior)
        own = crop_border(single, (single.shape[-1] - y.shape[-1]) // 2)
        change = (prior.luma - y) * prior.inside
        errors = ERROR_GAIN * torch.cat([error, change], 1)
        means = F.avg_pool2d(around(errors).abs(), ERROR_WINDOW, 1, ERROR_WINDOW // 2)
        gain = ERROR_GAIN * self.keep * (correction - own) * prior.inside
        return torch.cat([around(torch.cat([gain, errors, prior.inside], 1)), means, around(prior.hidden)], 1)

    def recur(self, features: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the head's output and the hidden state, from features and `prior_planes`, both with their ring."""
        first, planes = self.recurrent[0], planes.to(self.dtype)
        if isinstance(first, ConvReLU):
            hidden = self.recurrent[1:](first.joined(features, planes))
        else:
            joined = torch.cat([features, planes], 1)
            hidden = self.recurrent(joined.contiguous(memory_format=torch.channels_last))
        hidden = hidden.clamp(max=MAX_HIDDEN)
        return self.head(hidden).float(), crop_border(hidden, 1)

    def _back_project(self, y: Tensor, prior: Prior) -> tuple[Tensor, Tensor]:
        """Return what ``y`` has and the reduced estimate lacks, and the estimate that lacks nothing, less ``y``.

        The error is zero where there is no prior.
        """
        scale = self.scale
        # in float32 whatever the weights are in: half precision would be an error of the prior
        reduction, enlargement = (make(scale).to(y.device) for make in (reduction_kernel, enlargement_kernels))
        border = (reduction.shape[-1] - scale) // 2
        with torch.autocast("cpu" if y.is_meta else y.device.type, enabled=False):  # "meta" only counts operations
            reduced = F.conv2d(F.pad(prior.estimate, (border,) * 4, mode="replicate"), reduction, stride=scale)
            error = (y - reduced) * prior.inside
            enlarged = F.conv2d(F.pad(error, (2,) * 4, mode="replicate"), enlargement)
        return error, F.pixel_unshuffle(prior.estimate, scale) + enlarged - y


def blend(planes: Tensor, head: Tensor, single: Tensor) -> Tensor:
    """Return the residual of a frame: that of the frame alone, and the gated gain of the past."""
    subpixels = head.shape[1] // 2
    past = crop_border(planes, RING)
    logits, extra = head.chunk(2, 1)
    gate = torch.sigmoid(logits - GATE_SLOPE * past[:, subpixels + 3 : subpixels + 4])
    own = crop_border(single, (single.shape[-1] - head.shape[-1]) // 2)
    return own + gate * past[:, subpixels + 2 : subpixels + 3] * past[:, :subpixels] / ERROR_GAIN + extra


def around(planes: Tensor) -> Tensor:
    """Return ``planes`` with `RING` pixels of zeros around the frame."""
    return F.pad(planes, (RING,) * 4)


@cache
@torch.inference_mode(False)  # the first call may be inference, a later one training
def reduction_kernel(scale: int) -> Tensor:
    """Return the antialiased bicubic (a = -0.5) that reduces by ``scale``, for a convolution of that stride."""
    taps = reduction_taps(scale)
    return torch.outer(taps, taps).float()[None, None]


def reduction_taps(scale: int) -> Tensor:
    """Return the weights of `reduction_kernel` along one axis, in float64."""
    count = 4 * scale - scale % 2  # taps that are not zero
    taps = torch.arange(count, dtype=torch.float64) - (count - scale) // 2  # pixels from the first of a group
    weights = cubic((taps - (scale - 1) / 2) / scale)
    return weights / weights.sum()


@cache
@torch.inference_mode(False)
def enlargement_kernels(scale: int) -> Tensor:
    """Return the bicubic (a = -0.5) that enlarges by ``scale``: a 5x5 kernel for each sub-pixel."""
    taps = enlargement_taps(scale)
    return torch.einsum("ai,bj->abij", taps, taps).reshape(scale**2, 1, 5, 5)


@cache
def enlargement_taps(scale: int) -> Tensor:
    """Return the weights of `enlargement_kernels` along one axis, scale x 5."""
    places = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    return cubic(places[:, None] - torch.arange(-2, 3, dtype=torch.float64)).float()


def cubic(x: Tensor) -> Tensor:
    """Return the cubic convolution kernel with a = -0.5 (Keys, 1981)."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
