"""SPAN and SPANF: blocks of three convolutions whose attention has no parameters.

Wan et al., "Swift parameter-free attention network for efficient super-resolution", CVPR workshops 2024; SPANF is the
faster form of the NTIRE 2025 challenge. Training gives every convolution three branches; here they are one kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.rgb_network import RgbNetwork, Statistics, scale_of

MEAN = (0.4488, 0.4371, 0.4040)  # of RGB, subtracted by SPAN
PEAK = 255.0  # SPAN computes on codes


@dataclass(frozen=True)
class Config:
    """Size of the network."""

    scale: int
    channels: int = 48
    blocks: int = 6
    normalises: bool = True  # SPAN: whether the mean of RGB is subtracted
    fast: bool = False  # SPANF


class AttentionBlock(nn.Module):
    """Three convolutions; their output, centred by a sigmoid, is its own attention."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.c1_r = nn.Conv2d(inputs, channels, 3, padding=1)
        self.c2_r = nn.Conv2d(channels, channels, 3, padding=1)
        self.c3_r = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output of the block, and of its first convolution after the activation."""
        first = F.silu(self.c1_r(x))
        last: Tensor = self.c3_r(F.silu(self.c2_r(first)))
        if last.shape != x.shape:
            return last, first
        return (last + x) * (torch.sigmoid(last) - 0.5), first


class Span(RgbNetwork):
    """SPAN: ``blocks`` attention blocks, of which the first, the last and the features before them are joined."""

    shuffles_last = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        n = config.channels
        self.scale = config.scale
        self.halo = 3 * config.blocks + 3
        self.normalises = config.normalises
        self.conv_1 = nn.Conv2d(3, n, 3, padding=1)
        self.blocks = nn.ModuleList(AttentionBlock(n, n) for _ in range(config.blocks))
        self.conv_2 = nn.Conv2d(n, n, 3, padding=1)
        self.conv_cat = nn.Conv2d(4 * n, n, 1)
        self.upsampler = nn.Sequential(nn.Conv2d(n, 3 * config.scale**2, 3, padding=1))

    def layers(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Return ``x`` upscaled."""
        if self.normalises:
            x = (x - x.new_tensor(MEAN).view(1, 3, 1, 1)) * PEAK
        features = self.conv_1(x.to(self.dtype))
        outputs, inner = [features], features
        for block in self.blocks:
            output, inner = block(outputs[-1])
            outputs.append(output)
        joined = self.conv_cat(torch.cat([features, self.conv_2(outputs[-1]), outputs[1], inner], 1))
        return F.pixel_shuffle(self.upsampler(joined), self.scale)


class SpanF(RgbNetwork):
    """SPANF: ``blocks`` attention blocks, joined with an upscale by one convolution."""

    shuffles_last = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        n, shuffled = config.channels, 3 * config.scale**2
        self.scale = config.scale
        self.halo = 3 * config.blocks + 1
        self.conv_near = nn.Conv2d(3, shuffled, 3, padding=1, groups=3, bias=False)
        self.blocks = nn.ModuleList(AttentionBlock(n if number else 3, n) for number in range(config.blocks))
        self.conv_cat = nn.Conv2d(2 * n + shuffled, n, 1)
        self.conv_2 = nn.Conv2d(n, shuffled, 3, padding=1)

    def layers(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Return ``x`` upscaled."""
        x = x.to(self.dtype)
        outputs = [x]
        for block in self.blocks:
            outputs.append(block(outputs[-1])[0])
        joined = self.conv_cat(torch.cat([self.conv_near(x), outputs[-1], outputs[1]], 1))
        return F.pixel_shuffle(self.conv_2(joined), self.scale)


def make(config: Config) -> RgbNetwork:
    """Return a network of either kind."""
    return SpanF(config) if config.fast else Span(config)


def recognise(state: Mapping[str, Tensor]) -> Config | None:
    """Return the configuration of the network with these tensors; None if they are of another architecture."""
    blocks = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    if not blocks or "conv_cat.weight" not in state or "blocks.0.c1_r.weight" not in state:
        return None
    channels = state["blocks.0.c1_r.weight"].shape[0]
    if "conv_near.weight" in state:
        return Config(scale_of(state["conv_near.weight"]), channels, blocks, fast=True)
    return Config(scale_of(state["upsampler.0.weight"]), channels, blocks, "no_norm" not in state)


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under the names of these networks, the branches of each convolution merged."""
    if "block_1.c1_r.sk.weight" not in state and "block_1.c1_r.eval_conv.weight" not in state:
        return dict(state)
    merged = {name: tensor for name, tensor in state.items() if not _is_branch(name)}
    prefixes = {name.partition(part)[0] for name in state for part in (".sk.", ".eval_conv.") if part in name}
    for prefix in prefixes:
        weight, bias = _merged(state, prefix)
        merged |= {f"{prefix}.weight": weight, f"{prefix}.bias": bias}
    return {_renamed(name): tensor for name, tensor in merged.items()}


def _is_branch(name: str) -> bool:
    return any(part in name for part in (".sk.", ".eval_conv.", ".conv.0.", ".conv.1.", ".conv.2."))


def _renamed(name: str) -> str:
    first, _, rest = name.partition(".")
    return f"blocks.{int(first[6:]) - 1}.{rest}" if first.startswith("block_") else name


def _merged(state: Mapping[str, Tensor], prefix: str) -> tuple[Tensor, Tensor]:
    """Return the kernel and bias of a convolution: 1x1, 3x3 and 1x1 in a row, plus a 1x1 next to them.

    Files of training hold a merged kernel too, of an earlier step; it counts only where the branches are absent.
    """
    if f"{prefix}.sk.weight" not in state:
        return state[f"{prefix}.eval_conv.weight"], state[f"{prefix}.eval_conv.bias"]
    (w1, b1), (w2, b2), (w3, b3) = (
        (state[f"{prefix}.conv.{n}.weight"].float(), state[f"{prefix}.conv.{n}.bias"].float()) for n in range(3)
    )
    inner = torch.einsum("omyx,mi->oiyx", w2, w1[:, :, 0, 0])
    weight = torch.einsum("om,miyx->oiyx", w3[:, :, 0, 0], inner)
    bias = b3 + w3[:, :, 0, 0] @ (b2 + w2.sum((2, 3)) @ b1)
    weight[:, :, 1:2, 1:2] += state[f"{prefix}.sk.weight"].float()
    return weight, bias + state[f"{prefix}.sk.bias"].float()
