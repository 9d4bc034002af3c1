"""Task `interpolate`: train a network to make the frame between two frames."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.errors import OptionError
from vidsr.models.frame_network import FrameNetwork, FramePair, MotionField, blend, displacement_mismatch
from vidsr.train.checkpoint import State
from vidsr.train.data.triples import (
    MARGIN,
    SMALL_ERROR,
    VALIDATION_SIDE,
    augment,
    centre_crop,
    random_crop,
    read_triples,
    stack,
)
from vidsr.train.recipe import Recipe
from vidsr.train.step import Interior, Losses, autocast, descend, is_finishing, weighted_loss

VALIDATION_CROPS = 48
EASY_WEIGHT = 0.1  # probability of a triple with a small error of optical flow, relative to the others
MAX_PSNR = 48.0  # dB; still crops score more, and would rule the mean


class InterpolationData:
    """Crops of the triples of a recipe's shards, and validation crops."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        if not recipe.data:
            raise OptionError(
                f"recipe {recipe.name}: data = [] names no shard; make one with vidsr.train.prepare.windows"
            )
        self.recipe, self.device = recipe, device
        self.triples = [t for name in recipe.data for t in read_triples(Path(name), validation=False)]
        self.triples = [t for t in self.triples if min(t.truth.shape) >= recipe.patch]
        set_aside = [t for name in recipe.data for t in read_triples(Path(name), validation=True)]
        chosen = np.linspace(0, len(set_aside) - 1, min(VALIDATION_CROPS, len(set_aside))).astype(int)
        self.validation = [centre_crop(set_aside[n]) for n in chosen]
        weights = np.array([1.0 if t.error.mean() > SMALL_ERROR else EASY_WEIGHT for t in self.triples])
        self.probabilities = weights / weights.sum()
        self.baseline = self._psnr(None)

    def forward(self, network: FrameNetwork) -> FrameNetwork:
        """Return the callable of a training step: the network itself."""
        return network

    def batch_at(self, step: int) -> tuple[FramePair, MotionField, Tensor]:
        """Return the augmented crops of ``step``.

        They depend on the seed and the step alone.
        """
        rng = np.random.default_rng((self.recipe.seed, step))
        drawn = rng.choice(len(self.triples), self.recipe.batch, p=self.probabilities)
        crops = [augment(random_crop(self.triples[n], self.recipe.patch, rng), rng) for n in drawn]
        return stack(crops, MARGIN, self.device)

    def psnr(self, network: FrameNetwork) -> float:
        """Return the mean PSNR of ``network`` on the validation crops, dB."""
        return self._psnr(network)

    @torch.no_grad()
    def _psnr(self, network: FrameNetwork | None) -> float:
        """Return the mean PSNR over the crops; None: of optical flow alone."""
        values = []
        for crop in self.validation:
            pair, flow, truth = stack([crop], 0, self.device)
            output = interpolate(network, pair, flow)
            mse = F.mse_loss((output * 255).round().clamp(0, 255), truth * 255).item()
            values.append(min(MAX_PSNR, 10 * math.log10(255**2 / max(mse, 1e-10))))
        return sum(values) / max(1, len(values))

    @torch.no_grad()
    def sample_image(self, network: FrameNetwork) -> npt.NDArray[np.uint8]:
        """Return an image with rows of optical flow | output | truth."""
        rows = []
        for crop in self.validation[:4]:
            pair, flow, truth = stack([crop], 0, self.device)
            columns = [blend(pair, flow), interpolate(network, pair, flow), truth]
            rows.append(torch.cat(columns, -1)[0, 0, :VALIDATION_SIDE])
        width = min(row.shape[1] for row in rows)
        image = torch.cat([row[:, :width] for row in rows])
        return np.asarray((image * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy())


def train_step(recipe: Recipe, state: State, forward: Interior, data: InterpolationData) -> Losses:
    """Do one step of the optimiser.

    With ``flow_loss``, the loss also holds the distance between the network's displacements and those of optical flow,
    until the steps of the final loss.
    """
    pair, flow, truth = data.batch_at(state.step)
    with autocast(recipe, state, truth.device):
        output, field = forward(pair, flow)
    loss = weighted_loss(recipe, state.step, output.float(), truth)
    if recipe.flow_loss and not is_finishing(recipe, state.step):
        loss = loss + recipe.flow_loss * displacement_mismatch(field, flow)
    descend(recipe, state, loss)
    return {"loss": loss.detach()}


def interpolate(network: FrameNetwork | None, pair: FramePair, flow: MotionField) -> Tensor:
    """Return the frame of ``network``; None: of optical flow alone."""
    if network is None:
        return blend(pair, flow)
    frame: Tensor = network(pair, flow)[0]
    return frame
