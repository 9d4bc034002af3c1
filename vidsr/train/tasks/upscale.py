"""The data of a recipe that enlarges pictures: patches to train on, crops to validate on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidsr.errors import OptionError
from vidsr.models.layers import LumaNetwork
from vidsr.train.data import shards
from vidsr.train.data.patches import Pair, Patches, centre_crops, with_margin
from vidsr.train.recipe import Recipe
from vidsr.train.step import Interior
from vidsr.train.tasks.validation import sample_image, validation_psnr


class Pictures:
    """Patches of the recipe's shards, and how well a network enlarges the pictures set aside."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        train, self.validation = load_pairs(recipe, device)
        if recipe.margin:
            train = [with_margin(pair, recipe.scale, recipe.margin, recipe.patch) for pair in train]
        self.patches = Patches(train, recipe.scale, recipe.batch, recipe.patch, recipe.seed, recipe.candidates)
        self.baseline = validation_psnr(None, self.validation)
        self._compile = recipe.compile and device.type == "cuda"

    def forward(self, network: LumaNetwork) -> Interior:
        """What a step calls."""
        return torch.compile(network.interior) if self._compile else network.interior

    def batch_at(self, step: int) -> tuple[Tensor, Tensor]:
        """LR and HR patches of ``step``."""
        return self.patches.batch_at(step)

    def psnr(self, network: LumaNetwork) -> float:
        """Of ``network`` on the validation crops, dB."""
        return validation_psnr(network, self.validation)

    def sample_image(self, network: LumaNetwork) -> npt.NDArray[np.uint8]:
        """Rows of LR (bicubic) | output | HR."""
        return sample_image(network, self.validation[:4])


def load_pairs(recipe: Recipe, device: torch.device) -> tuple[list[Pair], list[Pair]]:
    """Training pairs and validation crops of all the recipe's shards, on ``device``."""
    if not recipe.data:
        raise OptionError(f"recipe {recipe.name}: data = [] names no shard; make one with `vidsr dataset`")
    train: list[Pair] = []
    validation: list[Pair] = []
    for name in recipe.data:
        train += shards.read_pairs(Path(name), "train", recipe.scale)
        validation += shards.read_pairs(Path(name), "validation", recipe.scale)
    on_device = [Pair(p.lr.to(device), p.hr.to(device)) for p in train]
    return on_device, [Pair(p.lr.to(device), p.hr.to(device)) for p in centre_crops(validation, recipe.scale)]
