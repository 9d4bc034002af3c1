"""The state of a run: on disk while it trains, and as weights to ship."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vidsr.errors import InputError, OptionError
from vidsr.models import weights as store
from vidsr.models.reparameterised import collapse
from vidsr.train.recipe import Recipe


@dataclass
class Rival:
    """The discriminator that an adversarial run trains beside its network."""

    network: nn.Module
    optimiser: torch.optim.Optimizer


@dataclass
class State:
    """All that changes while training, and all that a checkpoint holds."""

    network: Any  # a LumaNetwork or FrameNetwork in its training form
    average: Any  # exponential moving average of its parameters
    optimiser: torch.optim.Optimizer
    rival: Rival | None = None
    step: int = 0
    seconds: float = 0.0
    plateau_factor: float = 1.0
    best_psnr: float = 0.0
    stale: int = 0  # validations since the best
    metrics: list[dict[str, float]] = field(default_factory=list)


def save_checkpoint(path: Path, recipe: Recipe, state: State) -> None:
    """Write the state whole or not at all."""
    part = path.with_name(path.name + ".part")
    content = {
        "recipe": asdict(recipe),
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "progress": {k: getattr(state, k) for k in PROGRESS},
    }
    if state.rival is not None:
        content["rival"] = state.rival.network.state_dict()
        content["rival_optimiser"] = state.rival.optimiser.state_dict()
    torch.save(content, part)
    part.replace(path)


PROGRESS = ("step", "seconds", "plateau_factor", "best_psnr", "stale", "metrics")


CADENCE = ("validate_every", "samples_every", "checkpoint_every")  # may change between sessions


def load_checkpoint(path: Path, recipe: Recipe, state: State, device: torch.device) -> None:
    """Continue from ``path``, in place; the recipe must be the one the checkpoint was made with."""
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: not a readable checkpoint: {str(error).splitlines()[0]}") from None
    defaults = asdict(Recipe(recipe.name, recipe.architecture))  # of settings that recipes had not, when it was made
    ours, theirs = asdict(recipe), {**defaults, **content["recipe"]}
    changed = sorted(k for k in ours.keys() | theirs.keys() if k not in CADENCE and ours.get(k) != theirs.get(k))
    if changed:
        raise OptionError(f"{path}: made with another recipe ({', '.join(changed)} differ); choose another folder")
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    if state.rival is not None:
        state.rival.network.load_state_dict(content["rival"])
        state.rival.optimiser.load_state_dict(content["rival_optimiser"])
    for key, value in content["progress"].items():
        setattr(state, key, value)


def export(path: Path, recipe: Recipe, recipe_text: str, state: State) -> None:
    """Write the averaged, collapsed network with what made it."""
    network = copy.deepcopy(state.average)
    collapse(network)
    metadata = {
        "architecture": recipe.architecture,
        "config": json.dumps(recipe.network_config),
        "recipe": recipe_text,
        "note": recipe.note,
        "halves": ", ".join(recipe.half_precision),
        "data": ", ".join(Path(name).stem for name in recipe.data),
        "steps": f"{state.step} of {recipe.steps}",
        "minutes": f"{state.seconds / 60:.1f}",
        "validation_psnr": f"{state.metrics[-1]['psnr']:.3f}" if state.metrics else "",
        "licence": "MIT (weights; trained on the picture sets named in weights/README.md)",
    }
    store.write(path, network, metadata)
