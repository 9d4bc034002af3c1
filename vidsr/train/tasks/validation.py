"""How a network does while it trains: luma PSNR on the validation crops, and pictures to look at."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.models.layers import LumaNetwork, inside
from vidsr.train.data.patches import Pair

BORDER = 8  # HR pixels left out of the score on each side
ROUNDING = 1 / 12  # mean squared error of rounding: pictures that are left alone would count without end


@torch.no_grad()
def upscale(network: LumaNetwork | None, pair: Pair) -> Tensor:
    """H x W codes, rounded, that ``network`` (None: the bicubic, a = -0.5) makes of a pair's LR."""
    x = pair.lr[None, None].float() / 255
    output = F.interpolate(x, size=pair.hr.shape, mode="bicubic", antialias=True) if network is None else network(x)
    return (output[0, 0] * 255).round().clamp(0, 255)


def validation_psnr(network: LumaNetwork | None, pairs: list[Pair]) -> float:
    """Mean luma PSNR over ``pairs``, dB, each at most 58.9 dB (that of rounding); 0 without pairs."""
    values = []
    for pair in pairs:
        mse = F.mse_loss(inside(upscale(network, pair), BORDER), inside(pair.hr, BORDER).float()).item()
        values.append(10 * math.log10(255**2 / max(mse, ROUNDING)))
    return sum(values) / max(1, len(values))


def sample_image(network: LumaNetwork, pairs: list[Pair]) -> npt.NDArray[np.uint8]:
    """A row per pair: LR (bicubic) | output | HR."""
    height, width = (max(p.hr.shape[axis] for p in pairs) for axis in (0, 1))
    rows = []
    for pair in pairs:
        columns = (upscale(None, pair), upscale(network, pair), pair.hr.float())
        padding = (0, width - pair.hr.shape[1], 0, height - pair.hr.shape[0])
        rows.append(torch.cat([F.pad(column, padding) for column in columns], 1))
    picture: npt.NDArray[np.uint8] = torch.cat(rows).to(torch.uint8).cpu().numpy()
    return picture
