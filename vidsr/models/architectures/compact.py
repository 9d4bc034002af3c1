"""SRVGGNetCompact of Real-ESRGAN: 3x3 convolutions with PReLU at the input size, anchor, pixel shuffle.

Wang et al., "Real-ESRGAN: training real-world blind super-resolution with pure synthetic data", 2021; the later
networks animevideov3 and general-x4v3, and hundreds of community networks called "Compact". ECBSR (Zhang et al.,
"Edge-oriented convolution block for real-time super resolution on mobile devices", 2021) has the same structure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.rgb_network import RgbNetwork, Statistics, scale_of

ECBSR_LAYER = re.compile(r"backbone\.(\d+)\.([01])\.(weight|bias)")


@dataclass(frozen=True)
class Config:
    """Size of the network."""

    scale: int
    channels: int = 64
    layers: int = 16  # between the first and the last convolution


class Compact(RgbNetwork):
    """conv3x3 + PReLU, ``layers`` times conv3x3 + PReLU, conv3x3 to 3 scale**2 channels, anchor, pixel shuffle."""

    anchored = True
    shuffles_last = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = config.scale
        self.halo = config.layers + 2
        body: list[nn.Module] = [nn.Conv2d(3, config.channels, 3, padding=1), nn.PReLU(config.channels)]
        for _ in range(config.layers):
            body += [nn.Conv2d(config.channels, config.channels, 3, padding=1), nn.PReLU(config.channels)]
        body.append(nn.Conv2d(config.channels, 3 * config.scale**2, 3, padding=1))
        self.body = nn.Sequential(*body)

    def layers(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Return ``x`` upscaled; the anchor is added in float32."""
        residual: Tensor = self.body(x.to(self.dtype))
        return F.pixel_shuffle(residual.float(), self.scale) + F.interpolate(x, scale_factor=float(self.scale))


def recognise(state: Mapping[str, Tensor]) -> Config | None:
    """Return the configuration of the network with these tensors; None if they are of another architecture."""
    if set(state) != {
        f"body.{n}.{kind}" for n in range(_length(state)) for kind in (("weight",) if n % 2 else ("weight", "bias"))
    }:
        return None
    layers = _length(state) // 2
    return Config(scale_of(state[f"body.{2 * layers}.weight"]), state["body.0.weight"].shape[0], layers - 1)


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of ECBSR under the names of this network; others as they are."""
    matches = {name: ECBSR_LAYER.fullmatch(name) for name in state}
    if not all(matches.values()):
        return dict(state)
    return {f"body.{2 * int(m[1]) + int(m[2])}.{m[3]}": state[name] for name, m in matches.items() if m}


def _length(state: Mapping[str, Tensor]) -> int:
    """Number of layers of the body, activations included; 0 for other tensors."""
    numbers = [int(m[1]) for name in state if (m := re.match(r"body\.(\d+)\.", name))]
    return max(numbers) + 1 if numbers and len(numbers) == len(state) else 0
