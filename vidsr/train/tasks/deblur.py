"""A step of training for networks that deconvolve: their look is also told what had happened to the picture.

From the error of the result alone it learns Gaussians in minutes and motion hardly at all: from one line to another
there is no way that does not first make the picture worse.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.errors import OptionError
from vidsr.models import point_spreads
from vidsr.models.layers import inside
from vidsr.train.checkpoint import State
from vidsr.train.recipe import Recipe
from vidsr.train.step import Interior, Losses, autocast, descend, weighted_loss
from vidsr.train.tasks.blurred import Blurred, Damage, responses

SHARPNESS = 20.0  # a filter whose error is 5 % larger is e times less right
SIGNAL = 10.0  # power of pictures at a frequency of 1 cycle per pixel, code values squared; it falls with the square
LEAST_NOISE = 1 / 12  # of rounding, code values squared
SHARE = 0.3  # of that lesson in what is minimised


def train_step(recipe: Recipe, state: State, interior: Interior, data: Blurred) -> Losses:
    """One step of the optimiser; ``interior`` is told what the network's look said.

    A look that has layers behind it is taken as it is: trained together, the two disturbed each other.
    """
    bad, sharp, damages = data.damaged_at(state.step)
    look = state.network.look
    alone = look.shifts is None
    if not alone and not recipe.init:
        raise OptionError(f"recipe {recipe.name}: layers behind a deconvolution need its weights: name init")
    with torch.set_grad_enabled(alone):
        found = look.seen(bad)
    with autocast(recipe, state, bad.device):
        output = interior(bad, look.told(found))
    loss = weighted_loss(recipe, state.step, output.float(), inside(sharp, state.network.halo))
    lesson = F.cross_entropy(look.opinion(found), fitness(damages, look.bank[0].cpu()).to(bad.device)) if alone else 0.0
    descend(recipe, state, loss + SHARE * lesson)
    return {"loss": loss.detach()}


def fitness(damages: list[Damage], bank: Tensor) -> Tensor:
    """N x K shares: how right each spectrum of the ``bank`` (K x frequencies) is about each damage.

    From the error that its inverse filter is expected to leave, in pictures whose power falls with the square of the
    frequency.
    """
    side = point_spreads.SIDE
    radius = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None]).flatten()
    signal = SIGNAL / radius.clamp(min=1 / side).square()
    true = responses([damage.kernel for damage in damages], (side, side)).flatten(1)
    errors, power = [], bank.square()
    for blur, damage in zip(true, damages, strict=True):
        noise = LEAST_NOISE + damage.noise**2 + damage.step**2 / 12
        filters = bank / (power + noise / signal)
        # signal |1 - filter blur|^2 + noise filter^2, all frequencies together
        left = signal.sum() - 2 * filters @ (signal * blur.real)
        errors.append(left + filters.square_() @ (signal * blur.abs().square() + noise))
    return torch.softmax(-SHARPNESS * torch.stack(errors).log(), 1)
