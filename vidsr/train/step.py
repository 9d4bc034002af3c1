"""One training step, and the parts that all tasks share.

These are autocast, loss, gradient descent, learning rate and averaged weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vidsr.device import has_fast_bf16
from vidsr.models.layers import crop_border
from vidsr.train.checkpoint import State
from vidsr.train.data.patches import Patches
from vidsr.train.losses import LOSSES
from vidsr.train.methods import equivariance
from vidsr.train.recipe import Recipe

Interior = Callable[..., Any]  # the network without its border, or a compiled form of it
Losses = dict[str, Tensor]  # name -> value, detached; "loss" is the sum that the step minimises


def train_step(recipe: Recipe, state: State, interior: Interior, patches: Patches) -> Losses:
    """Do one step of the optimiser on the distance between output and truth."""
    lr, hr = patches.batch_at(state.step)
    with autocast(recipe, state, lr.device):
        output = interior(lr)
    truth = crop_border(hr, recipe.scale * state.network.halo)
    loss = weighted_loss(recipe, state.step, output.float(), truth)
    descend(recipe, state, loss)
    return {"loss": loss.detach()}


def autocast(recipe: Recipe, state: State, device: torch.device) -> torch.autocast:
    """Return bf16 autocast, enabled where recipe, network and device allow it.

    bf16 needs a recipe that asks for it, an anchored network, and a device with fast bf16.
    """
    enabled = recipe.precision == "bf16" and state.network.anchored and has_fast_bf16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def descend(recipe: Recipe, state: State, loss: Tensor) -> None:
    """Move the network down the gradient of ``loss``, and count the step.

    The averaged weights follow.
    """
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, state)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if recipe.equivariant:
        equivariance.tie_gradients(state.network)
    nn.utils.clip_grad_norm_(state.network.parameters(), recipe.max_gradient_norm)
    state.optimiser.step()
    if recipe.equivariant:
        equivariance.tie(state.network)
    state.step += 1
    update_average(state, recipe.ema)


def weighted_loss(recipe: Recipe, step: int, output: Tensor, truth: Tensor) -> Tensor:
    """Return the recipe's loss at ``step``."""
    weights = recipe.final_loss if is_finishing(recipe, step) else recipe.loss
    return torch.stack([weight * LOSSES[name](output, truth) for name, weight in weights.items()]).sum()


def is_finishing(recipe: Recipe, step: int) -> bool:
    """Whether the final loss applies at ``step``."""
    return bool(recipe.final_loss) and step >= recipe.steps * (1 - recipe.final_loss_fraction)


def learning_rate(recipe: Recipe, state: State) -> float:
    """Return the learning rate of the next step."""
    warm = min(1.0, (state.step + 1) / max(1, recipe.warm_up))
    if recipe.schedule == "cosine":
        share = min(1.0, state.step / recipe.steps)
        high, low = recipe.learning_rate, recipe.final_learning_rate
        return warm * (low + (high - low) * (1 + math.cos(math.pi * share)) / 2)
    return warm * max(recipe.final_learning_rate, recipe.learning_rate * state.plateau_factor)


@torch.no_grad()
def update_average(state: State, ema: float) -> None:
    """Move the averaged weights towards the network's weights, faster in the first steps."""
    decay = min(ema, (1 + state.step) / (10 + state.step))
    torch._foreach_lerp_(list(state.average.parameters()), list(state.network.parameters()), 1 - decay)
    for averaged, current in zip(state.average.buffers(), state.network.buffers(), strict=True):
        if averaged.is_floating_point():  # statistics of batch norm belong to the weights
            averaged.lerp_(current, 1 - decay)
        else:
            averaged.copy_(current)
