"""Restoration at half resolution: plain 3x3 ReLU networks between a pixel unshuffle and a pixel shuffle.

Four neighbouring pixels become four channels, so that the same layers cost a quarter and see twice as far. Twenty
pixels around do not show how blurred or noisy an image is, so a small second network reads the whole image and shifts
the thresholds of the layers. Against blur that network is a `Deconvolution`, whose output is the input of the layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.architectures.blind_deconvolution import GREY, REACH, SHIFT_GAIN, Deconvolution
from vidsr.models.layers import GlobalFeaturesNetwork, add_pixel_shuffle, crop_border

FACTOR = 2

FAINT = 1e-4  # added to moments before their logarithm

START = 0.1  # initial gain of the last layer of a fresh network


@dataclass(frozen=True)
class Config:
    """Size of an unshuffled network."""

    scale: int = 1
    channels: int = 32
    layers: int = 8  # between the first and the last convolution
    deconvolve: bool = False  # whether a blind deconvolution comes first


class Unshuffled(GlobalFeaturesNetwork):
    """Unshuffle by 2, ``layers`` + 1 times conv3x3, shift, ReLU, then conv3x3 and shuffle; added to the anchor.

    The anchor is the image or its deconvolution.
    """

    alignment = FACTOR

    def __init__(self, config: Config) -> None:
        super().__init__(config.scale)
        self.reach = FACTOR * (config.layers + 2)  # halo of the layers alone
        shifts = (config.layers + 1) * config.channels
        planes = 3 if config.deconvolve else 1
        widths = [planes * FACTOR**2] + [config.channels] * (config.layers + 1)
        self.body = nn.ModuleList(nn.Conv2d(a, b, 3) for a, b in pairwise(widths))
        self.tail = nn.Conv2d(config.channels, FACTOR**2, 3)
        self.is_fused = False  # whether each layer of the body includes its shift and ReLU (fused.py)
        if config.deconvolve:
            self.deconvolution: Deconvolution | None = Deconvolution(shifts)
            self.halo, self.edge = self.reach + REACH, "reflect"
        else:
            self.deconvolution, self.shift_estimator = None, ShiftEstimator(shifts)
            self.halo = self.reach

    @torch.no_grad()
    def for_training(self, keep: bool, branches: bool = True) -> None:
        """Add branches; a fresh network starts near the identity.

        From a start that changes the image much, training on slightly degraded images would close every ReLU for good.
        """
        super().for_training(keep, branches)
        if not keep:
            for parameter in self.tail.parameters():
                parameter.mul_(START)

    def global_features(self, x: Tensor) -> Tensor:
        """Return the shifts for images ``x``, N x (layers + 1) * channels; with a deconvolution, its filters first."""
        if self.deconvolution is not None:
            return self.deconvolution.global_features(x)
        shifts: Tensor = self.shift_estimator((x - GREY).to(self.dtype))
        return shifts

    def interior_given(self, x: Tensor, features: Tensor | None) -> Tensor:
        """Restore ``x`` without its halo, given the global features of its image."""
        assert features is not None
        if self.deconvolution is None:
            anchor, inputs, shifts = x, x - GREY, features
        else:
            anchor, inputs, shifts = self.deconvolution.anchor_and_inputs(x, features)
        anchor = crop_border(anchor, self.reach)
        y = F.pixel_unshuffle(inputs.to(self.dtype), FACTOR).contiguous(memory_format=torch.channels_last)
        if self.is_fused:  # one image at a time: each has its own shifts
            residuals = [self._fused_residual(y[n : n + 1], row) for n, row in enumerate(shifts)]
            n, _, height, width = anchor.shape
            split = anchor.reshape(n, height // FACTOR, FACTOR, width // FACTOR, FACTOR)
            return add_pixel_shuffle(split, torch.cat(residuals), FACTOR)
        for layer, shift in zip(self.body, shifts[:, :, None, None].chunk(len(self.body), 1), strict=True):
            y = layer(y)
            y = y.add_(shift.to(y.dtype)).relu_()
        return anchor.float() + F.pixel_shuffle(self.tail(y).float(), FACTOR)

    def _fused_residual(self, y: Tensor, shifts: Tensor) -> Tensor:
        """The residual of one unshuffled image; ``shifts``: those of all layers in a row."""
        for layer, shift in zip(self.body, shifts.chunk(len(self.body)), strict=True):
            y = layer(y, shift)
        residual: Tensor = self.tail(y)
        return residual


class ShiftEstimator(nn.Module):
    """Estimate N x ``outputs`` shifts from whole images (N x 1 x H x W), by how blurred and noisy they are.

    Two strided convolutions; the logarithms of mean and mean square of their outputs over the image; two linear layers.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 16, 5, stride=2, padding=2)
        self.second = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.hidden = nn.Linear(64, 64)
        self.last = nn.Linear(64, outputs)
        nn.init.zeros_(self.last.weight)  # starts without shifts
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the shifts of each image."""
        found = torch.relu(self.second(torch.relu(self.first(x)))).float()
        moments = torch.cat([found.mean((2, 3)) + FAINT, found.square().mean((2, 3)) + FAINT**2], 1)
        scaled = 0.2 * moments.log() + 1  # around zero, about one in size
        shifts: Tensor = SHIFT_GAIN * self.last(torch.relu(self.hidden(scaled.to(x.dtype))))
        return shifts
