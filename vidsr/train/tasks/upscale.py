"""Task `upscale`: train a network to upscale images.

The task `adversarial` uses the same data, and `deblur` the same validation.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.errors import OptionError
from vidsr.models.layers import LumaNetwork, crop_border
from vidsr.train.data.patches import Pair, Patches, centre_crops, with_margin
from vidsr.train.data.shards import read_pairs
from vidsr.train.recipe import Recipe
from vidsr.train.step import Interior

BORDER = 8  # HR pixels on each side that do not count in the PSNR
ROUNDING_ERROR = 1 / 12  # mean squared error of rounding; limits the PSNR of unchanged images, which is infinite


class UpscalingData:
    """Patches of the recipe's shards, and the PSNR of a network on validation crops."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        train, self.validation = load_pairs(recipe, device)
        if recipe.margin:
            train = [with_margin(pair, recipe.scale, recipe.margin, recipe.patch) for pair in train]
        self.patches = Patches(train, recipe.scale, recipe.batch, recipe.patch, recipe.seed, recipe.candidates)
        self.baseline = validation_psnr(None, self.validation)
        self._compile = recipe.compile and device.type == "cuda"

    def forward(self, network: LumaNetwork) -> Interior:
        """Return the callable of a training step: the network without its border.

        It is compiled on CUDA if the recipe asks for it.
        """
        return torch.compile(network.interior) if self._compile else network.interior

    def batch_at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the LR and HR patches of ``step``."""
        return self.patches.batch_at(step)

    def psnr(self, network: LumaNetwork) -> float:
        """Return the mean PSNR of ``network`` on the validation crops, dB."""
        return validation_psnr(network, self.validation)

    def sample_image(self, network: LumaNetwork) -> npt.NDArray[np.uint8]:
        """Return an image with rows of bicubic | output | HR."""
        return sample_rows(network, self.validation[:4])


def load_pairs(recipe: Recipe, device: torch.device) -> tuple[list[Pair], list[Pair]]:
    """Return training pairs and validation crops of all shards of the recipe, on ``device``."""
    if not recipe.data:
        raise OptionError(f"recipe {recipe.name}: data = [] names no shard; make one with `vidsr dataset`")
    train: list[Pair] = []
    validation: list[Pair] = []
    for name in recipe.data:
        train += read_pairs(Path(name), "train", recipe.scale)
        validation += read_pairs(Path(name), "validation", recipe.scale)
    on_device = [Pair(p.lr.to(device), p.hr.to(device)) for p in train]
    return on_device, [Pair(p.lr.to(device), p.hr.to(device)) for p in centre_crops(validation, recipe.scale)]


@torch.no_grad()
def upscale(network: LumaNetwork | None, pair: Pair) -> Tensor:
    """Upscale the LR of a pair by ``network``; None: by bicubic (a = -0.5).

    Returns H x W codes, rounded, float32.
    """
    x = pair.lr[None, None].float() / 255
    output = F.interpolate(x, size=pair.hr.shape, mode="bicubic", antialias=True) if network is None else network(x)
    return (output[0, 0] * 255).round().clamp(0, 255)


def validation_psnr(network: LumaNetwork | None, pairs: list[Pair]) -> float:
    """Return the mean luma PSNR over ``pairs``, dB; 0 without pairs.

    The PSNR of one pair is limited to 58.9 dB, that of rounding.
    """
    values = []
    for pair in pairs:
        mse = F.mse_loss(crop_border(upscale(network, pair), BORDER), crop_border(pair.hr, BORDER).float()).item()
        values.append(limited_psnr(mse))
    return sum(values) / max(1, len(values))


def limited_psnr(mse: float) -> float:
    """Return the PSNR in dB of a mean squared error in codes squared, limited to that of rounding."""
    return 10 * math.log10(255**2 / max(mse, ROUNDING_ERROR))


def sample_rows(network: LumaNetwork, pairs: list[Pair]) -> npt.NDArray[np.uint8]:
    """Return an image with a row for each pair: bicubic | output | HR."""
    height, width = (max(p.hr.shape[axis] for p in pairs) for axis in (0, 1))
    rows = []
    for pair in pairs:
        columns = (upscale(None, pair), upscale(network, pair), pair.hr.float())
        padding = (0, width - pair.hr.shape[1], 0, height - pair.hr.shape[0])
        rows.append(torch.cat([F.pad(column, padding) for column in columns], 1))
    image: npt.NDArray[np.uint8] = torch.cat(rows).to(torch.uint8).cpu().numpy()
    return image
