"""Task `temporal`: train a network that upscales the frames of a clip in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.errors import OptionError
from vidsr.models.layers import crop_border
from vidsr.models.temporal import Prior, TemporalNetwork, warp_state
from vidsr.models.temporal import State as FrameState
from vidsr.train.checkpoint import State
from vidsr.train.data.sequences import (
    Walk,
    Walks,
    augment,
    random_crop,
    read_sequences,
    stack,
    still,
    there_and_back,
    whole,
)
from vidsr.train.recipe import Recipe
from vidsr.train.step import Interior, Losses, autocast, descend, weighted_loss
from vidsr.train.tasks.upscale import BORDER, limited_psnr

FRAMES = 8  # frames of a step that have a gradient
LEAD_INS = (0, 0, 4, 4, 4, 4, 8, 8, 12, 16)  # frames before them, without one: the state of a long clip
STILL = 0.1  # share of the walks that repeat one frame, so that still scenes do not drift
SHARES = (1.0, 0.3)  # of a shorter past, in turn: what a network forgets of a large and of a small difference
MEMORY_WEIGHT = 5.0  # of a difference in the past that lasts too long, luma 0 to 1
LOSS_BORDER = 4  # LR pixels at the edge of a crop that the loss leaves out
VALIDATION_SEQUENCES = 24

NextFrame = Callable[[Tensor, Prior | None], tuple[Tensor, FrameState]]  # `TemporalNetwork.next_frame`


class TemporalData:
    """Walks through the sequences of a recipe's shards, and validation sequences."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        if not recipe.data:
            raise OptionError(
                f"recipe {recipe.name}: data = [] names no shard; make one with vidsr.train.prepare.sequences"
            )
        self.recipe, self.device = recipe, device
        sequences = [s for name in recipe.data for s in read_sequences(Path(name), recipe.scale, validation=False)]
        self.sequences = [s for s in sequences if min(s.lr.shape[1:]) >= recipe.patch]
        set_aside = [s for name in recipe.data for s in read_sequences(Path(name), recipe.scale, validation=True)]
        chosen = np.linspace(0, len(set_aside) - 1, min(VALIDATION_SEQUENCES, len(set_aside))).astype(int)
        self.validation = [whole(set_aside[n]) for n in chosen]
        errors = np.array([_detail(s.hr[0], recipe.scale) for s in self.sequences])
        self.probabilities = errors / errors.sum()
        self.baseline = self._psnr(None)

    def forward(self, network: TemporalNetwork) -> NextFrame:
        """Return the callable of a training step, which upscales one frame."""
        return network.next_frame

    def batch_at(self, step: int) -> tuple[Walks, int]:
        """Return the walks of ``step``, and how many of their frames lead in, without gradient.

        They depend on the seed and the step alone.
        """
        rng = np.random.default_rng((self.recipe.seed, step))
        lead_in = int(rng.choice(LEAD_INS))
        walks: list[Walk] = []
        for number in rng.choice(len(self.sequences), self.recipe.batch, p=self.probabilities):
            draw = still if rng.random() < STILL else there_and_back
            walk = draw(self.sequences[number], lead_in + FRAMES, rng)
            walks.append(augment(random_crop(walk, self.recipe.patch, rng), rng))
        return stack(walks, self.device), lead_in

    def psnr(self, network: TemporalNetwork) -> float:
        """Return the mean PSNR of ``network`` on the validation sequences, dB."""
        return self._psnr(network)

    @torch.no_grad()
    def _psnr(self, network: TemporalNetwork | None) -> float:
        """Return the mean PSNR over the frames of the validation sequences; None: of bicubic."""
        values = []
        for walk in self.validation:
            walks = stack([walk], self.device)
            outputs = bicubic(walks) if network is None else upscale(network.next_frame, walks)[0]
            mse = (crop_border(outputs - walks.hr, BORDER) * 255).square().mean((-2, -1))
            values.append(np.mean([limited_psnr(error) for error in mse.flatten().tolist()]))
        return float(np.mean(values)) if values else 0.0

    @torch.no_grad()
    def sample_image(self, network: TemporalNetwork) -> npt.NDArray[np.uint8]:
        """Return an image with rows of bicubic | output | truth: the last frames of validation sequences."""
        rows = []
        for walk in self.validation[:4]:
            walks = stack([walk], self.device)
            columns = (bicubic(walks), upscale(network.next_frame, walks)[0], walks.hr)
            rows.append(torch.cat([column[0, -1] for column in columns], -1))
        width = min(row.shape[1] for row in rows)
        image = torch.cat([row[:, :width] for row in rows])
        return np.asarray((image * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy())


def _detail(hr: npt.NDArray[np.uint8], scale: int) -> float:
    """Return the error of bicubic on a frame, code values, limited: sequences are drawn in proportion to it."""
    y = torch.from_numpy(hr)[None, None].float()
    small = F.interpolate(y, scale_factor=1 / scale, mode="bicubic", antialias=True)
    error = F.interpolate(small, size=y.shape[-2:], mode="bicubic", antialias=True) - y
    return float(error.square().mean().sqrt().clamp(0.5, 12))


def bicubic(walks: Walks) -> Tensor:
    """Return the frames upscaled by bicubic (a = -0.5)."""
    return F.interpolate(walks.lr, size=walks.hr.shape[-2:], mode="bicubic", antialias=True)


def upscale(
    next_frame: NextFrame, walks: Walks, prior: Prior | None = None, first: int = 0, stop: int | None = None
) -> tuple[Tensor, Prior | None]:
    """Return frames ``first`` to ``stop`` upscaled (N x T x H x W), and the prior of the frame behind them."""
    outputs = []
    for index in range(walks.lr.shape[1])[first:stop]:
        y = walks.lr[:, index : index + 1]
        output, state = next_frame(y, prior)
        outputs.append(output)
        prior = warp_state(state, walks.flow[:, index + 1]) if index + 1 < walks.lr.shape[1] else None
    return torch.cat(outputs, 1) if outputs else walks.hr[:, :0], prior


def train_step(recipe: Recipe, state: State, forward: Interior, data: TemporalData) -> Losses:
    """Do one step of the optimiser on the frames behind the lead-in."""
    walks, lead_in = data.batch_at(state.step)

    def next_frame(y: Tensor, prior: Prior | None) -> tuple[Tensor, FrameState]:
        with autocast(recipe, state, y.device):
            upscaled: tuple[Tensor, FrameState] = forward(y, prior)
        return upscaled

    with torch.no_grad():
        _, prior = upscale(next_frame, walks, stop=lead_in)
    earlier, prior = upscale(next_frame, walks, prior, first=lead_in, stop=-1)
    assert prior is not None
    last, _ = next_frame(walks.lr[:, -1:], prior)
    border = LOSS_BORDER * recipe.scale
    outputs, truth = torch.cat([earlier, last], 1), walks.hr[:, lead_in:]
    loss = weighted_loss(recipe, state.step, crop_border(outputs, border), crop_border(truth, border))
    losses = {"loss": loss.detach()}
    if recipe.forgetting:
        other = shorter_past(next_frame, walks, prior, SHARES[state.step % len(SHARES)])
        difference = next_frame(walks.lr[:, -1:], other)[0] - last
        excess = memory_loss(recipe, other.estimate - prior.estimate, difference)
        losses["memory"], loss = excess.detach(), loss + excess
    descend(recipe, state, loss)
    return losses


@torch.no_grad()
def shorter_past(next_frame: NextFrame, walks: Walks, prior: Prior, share: float) -> Prior:
    """Return the prior of the last frame as if, for a ``share``, the walk had begun one frame before."""
    state = next_frame(walks.lr[:, -2:-1], None)[1]
    short = warp_state(state, walks.flow[:, -1])
    estimate, hidden = (
        torch.lerp(a, b, share) for a, b in ((prior.estimate, short.estimate), (prior.hidden, short.hidden))
    )
    return Prior(prior.luma, estimate, hidden, prior.inside)


def memory_loss(recipe: Recipe, before: Tensor, after: Tensor) -> Tensor:
    """Return the loss on a difference in the past (``before``) of which more lasts a frame (``after``) than may."""
    before, after = (magnitude(difference, recipe.scale) for difference in (before, after))
    return MEMORY_WEIGHT * F.relu(after - recipe.forgetting * before).mean()


def magnitude(difference: Tensor, scale: int) -> Tensor:
    """Return the root mean square of ``difference`` (N x 1 x H x W) in windows of 3 x 3 LR pixels."""
    return (F.avg_pool2d(difference.square(), 3 * scale, scale) + 1e-10).sqrt()
