"""Restoration at half resolution: plain 3x3 ReLU networks between a pixel-unshuffle and its inverse.

Four neighbouring pixels become four channels, so that the same layers cost a quarter and look twice as far. How blurred
or noisy a picture is can not be told from twenty pixels around: a small second network looks at the whole picture and
shifts the layers' thresholds by what it saw. Against blur that is a `Deconvolution`, and what it makes of the picture
is what the layers start from.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.architectures.blind_deconvolution import CAUTION, GREY, REACH, Deconvolution
from vidsr.models.layers import SurveyingNetwork, inside, shuffled_onto

FACTOR = 2

FAINT = 1e-4  # what a glance takes for nothing

START = 0.1  # of the usual size: the last kernels of a fresh network


@dataclass(frozen=True)
class Config:
    """Size of an unshuffled network."""

    scale: int = 1
    channels: int = 32
    layers: int = 8  # between the first and the last convolution
    deconvolve: bool = False  # whether a deconvolution comes first


class Unshuffled(SurveyingNetwork):
    """Unshuffle by 2, ``layers`` + 1 times conv3x3, shift, ReLU, then conv3x3 and shuffle; added to the anchor.

    The anchor is the picture or its deconvolution.
    """

    alignment = FACTOR

    def __init__(self, config: Config) -> None:
        super().__init__(config.scale)
        self.reach = FACTOR * (config.layers + 2)  # of the layers alone
        shifts = (config.layers + 1) * config.channels
        planes = 3 if config.deconvolve else 1
        widths = [planes * FACTOR**2] + [config.channels] * (config.layers + 1)
        self.body = nn.ModuleList(nn.Conv2d(a, b, 3) for a, b in pairwise(widths))
        self.tail = nn.Conv2d(config.channels, FACTOR**2, 3)
        self.joined = False  # whether each layer of the body takes its shift and does its ReLU itself (fused.py)
        if config.deconvolve:
            self.look: Deconvolution | None = Deconvolution(shifts)
            self.halo, self.edge = self.reach + REACH, "reflect"
        else:
            self.look, self.glance = None, Glance(shifts)
            self.halo = self.reach

    @torch.no_grad()
    def for_training(self, keep: bool, branches: bool = True) -> None:
        """The form with branches. A fresh one starts near the identity.

        Where little is to be restored, a start that changes much is unlearnt by closing every ReLU, and they stay so.
        """
        super().for_training(keep, branches)
        if not keep:
            for parameter in self.tail.parameters():
                parameter.mul_(START)

    def survey(self, x: Tensor) -> Tensor:
        """The shifts for pictures ``x``, N x (layers + 1) * channels, behind inverse filters where there are such."""
        seen: Tensor = self.glance((x - GREY).to(self.dtype)) if self.look is None else self.look.survey(x)
        return seen

    def informed(self, x: Tensor, whole: Tensor | None) -> Tensor:
        """The restoration of ``x`` without its border, with the survey of the picture that ``x`` is a part of."""
        assert whole is not None
        anchor, planes, shifts = (x, x - GREY, whole) if self.look is None else self.look.planes(x, whole)
        anchor = inside(anchor, self.reach)
        y = F.pixel_unshuffle(planes.to(self.dtype), FACTOR).contiguous(memory_format=torch.channels_last)
        if self.joined:  # one picture at a time: each has shifts of its own
            alone = [self._joined(y[n : n + 1], row) for n, row in enumerate(shifts)]
            n, _, height, width = anchor.shape
            split = anchor.reshape(n, height // FACTOR, FACTOR, width // FACTOR, FACTOR)
            return shuffled_onto(split, torch.cat(alone), FACTOR)
        for layer, shift in zip(self.body, shifts[:, :, None, None].chunk(len(self.body), 1), strict=True):
            y = layer(y)
            y = y.add_(shift.to(y.dtype)).relu_()
        return anchor.float() + F.pixel_shuffle(self.tail(y).float(), FACTOR)

    def _joined(self, y: Tensor, shifts: Tensor) -> Tensor:
        """The residual of one unshuffled picture, its layers' shifts in a row."""
        for layer, shift in zip(self.body, shifts.chunk(len(self.body)), strict=True):
            y = layer(y, shift)
        residual: Tensor = self.tail(y)
        return residual


class Glance(nn.Module):
    """Reads from pictures (N x 1 x H x W) how blurred and noisy they are, as N x ``outputs`` numbers.

    Logarithms of the mean and the mean square, over the picture, of what a few strided convolutions find, through two
    linear layers.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 16, 5, stride=2, padding=2)
        self.second = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.hidden = nn.Linear(64, 64)
        self.last = nn.Linear(64, outputs)
        nn.init.zeros_(self.last.weight)  # starts as a network that does not look
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """What there is to know of each picture."""
        found = torch.relu(self.second(torch.relu(self.first(x)))).float()
        moments = torch.cat([found.mean((2, 3)) + FAINT, found.square().mean((2, 3)) + FAINT**2], 1)
        known = 0.2 * moments.log() + 1  # around zero, of about the size one
        shifts: Tensor = CAUTION * self.last(torch.relu(self.hidden(known.to(x.dtype))))
        return shifts
