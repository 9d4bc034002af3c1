"""RRDBNet of ESRGAN and Real-ESRGAN: residual-in-residual dense blocks, then nearest-neighbour doubling.

Wang et al., "ESRGAN: enhanced super-resolution generative adversarial networks", ECCV workshops 2018. Files name its
tensors in three ways: as BasicSR does (``body.0.rdb1``), as the ESRGAN repository did (``RRDB_trunk.0.RDB1``), and as
its first version did (``model.1.sub.0.RDB1``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import log2

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.rgb_network import RgbNetwork, Statistics

SLOPE = 0.2  # of the leaky ReLU
DAMPING = 0.2  # of what a block adds
# The receptive field is hundreds of pixels; farther away than this, no pixel changes the output by half an 8-bit code
# (tests/stages/test_rgb_upscale.py).
HALO = 48

SECOND_NAMES = {"RRDB_trunk.": "body.", "trunk_conv.": "conv_body.", "HRconv.": "conv_hr.", ".RDB": ".rdb"}
FIRST_BLOCK = re.compile(r"model\.1\.sub\.(\d+)\.RDB([123])\.conv([1-5])\.0\.(weight|bias)")
FIRST_CONV = re.compile(r"model\.(\d+)\.(weight|bias)")
FIRST_BODY = re.compile(r"model\.1\.sub\.\d+\.(weight|bias)")


@dataclass(frozen=True)
class Config:
    """Size of the network."""

    doublings: int = 2
    unshuffle: int = 1  # the input is divided into squares of this side, which become channels
    channels: int = 64
    growth: int = 32  # channels that each convolution of a dense block adds
    blocks: int = 23


class DenseBlock(nn.Module):
    """Five convolutions, each of which reads the outputs of all before it."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        for number in range(1, 6):
            inputs = channels + (number - 1) * growth
            self.add_module(f"conv{number}", nn.Conv2d(inputs, growth if number < 5 else channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` plus a share of what the convolutions find."""
        outputs = [x]
        for conv in list(self.children())[:-1]:
            outputs.append(F.leaky_relu_(conv(torch.cat(outputs, 1)), SLOPE))
        last = self.get_submodule("conv5")(torch.cat(outputs, 1))
        return torch.add(x, last, alpha=DAMPING)


class ResidualDenseBlocks(nn.Module):
    """Three dense blocks in a row."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(channels, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` plus a share of what the blocks find."""
        return torch.add(x, self.rdb3(self.rdb2(self.rdb1(x))), alpha=DAMPING)


class RRDBNet(RgbNetwork):
    """Residual-in-residual dense blocks at the (divided) input size, then ``doublings`` of the size."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n = config.channels
        self.scale = 2**config.doublings // config.unshuffle
        self.alignment = self.multiple = config.unshuffle
        self.halo = HALO * config.unshuffle
        self.unshuffle = config.unshuffle
        self.conv_first = nn.Conv2d(3 * config.unshuffle**2, n, 3, padding=1)
        self.body = nn.Sequential(*(ResidualDenseBlocks(n, config.growth) for _ in range(config.blocks)))
        self.conv_body = nn.Conv2d(n, n, 3, padding=1)
        self.doublings = [f"conv_up{number + 1}" for number in range(config.doublings)]
        for name in self.doublings:
            self.add_module(name, nn.Conv2d(n, n, 3, padding=1))
        self.conv_hr = nn.Conv2d(n, n, 3, padding=1)
        self.conv_last = nn.Conv2d(n, 3, 3, padding=1)

    def layers(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Return ``x`` upscaled."""
        x = x.to(self.dtype)
        x = self.conv_first(F.pixel_unshuffle(x, self.unshuffle) if self.unshuffle > 1 else x)
        x = x + self.conv_body(self.body(x))
        for name in self.doublings:
            x = F.leaky_relu_(self.get_submodule(name)(F.interpolate(x, scale_factor=2.0)), SLOPE)
        result: Tensor = self.conv_last(F.leaky_relu_(self.conv_hr(x), SLOPE))
        return result


def recognise(state: Mapping[str, Tensor]) -> Config | None:
    """Return the configuration of the network with these tensors; None if they are of another architecture."""
    first, growing = state.get("conv_first.weight"), state.get("body.0.rdb1.conv1.weight")
    if first is None or growing is None or "conv_hr.weight" not in state:
        return None
    blocks = {name.split(".")[1] for name in state if name.startswith("body.")}
    doublings = sum(bool(re.fullmatch(r"conv_up\d\.weight", name)) for name in state)
    unshuffle = 2 ** round(log2(max(1, first.shape[1] / 3)) / 2)
    if unshuffle > 2**doublings:
        raise ValueError(f"it divides the size by {unshuffle} and doubles it {doublings} times")
    return Config(doublings, unshuffle, first.shape[0], growing.shape[0], len(blocks))


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under BasicSR's names."""
    if "RRDB_trunk.0.RDB1.conv1.weight" in state:
        return {_renamed(name): tensor for name, tensor in state.items()}
    if "model.1.sub.0.RDB1.conv1.0.weight" not in state:
        return dict(state)
    numbers = sorted({int(m[1]) for name in state if (m := FIRST_CONV.fullmatch(name))})
    ups = [f"conv_up{n}" for n in range(1, len(numbers) - 2)]
    convs = dict(zip(numbers, ["conv_first", *ups, "conv_hr", "conv_last"], strict=False))
    named: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if m := FIRST_BLOCK.fullmatch(name):
            name = f"body.{m[1]}.rdb{m[2]}.conv{m[3]}.{m[4]}"
        elif m := FIRST_BODY.fullmatch(name):
            name = f"conv_body.{m[1]}"
        elif m := FIRST_CONV.fullmatch(name):
            name = f"{convs[int(m[1])]}.{m[2]}"
        named[name] = tensor
    return named


def _renamed(name: str) -> str:
    name = re.sub(r"^upconv(\d)", r"conv_up\1", name)
    for old, new in SECOND_NAMES.items():
        name = name.replace(old, new)
    return name
