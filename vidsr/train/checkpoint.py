"""The state of a training run, its checkpoints, and the export of weights."""

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
from vidsr.models import weight_files
from vidsr.models.reparameterised import collapse
from vidsr.runtime.output_file import OutputFile
from vidsr.train.recipe import Recipe

PROGRESS = ("step", "seconds", "plateau_factor", "best_psnr", "stale", "metrics")  # fields of State
FREE_SETTINGS = ("validate_every", "samples_every", "checkpoint_every")  # may change between sessions


@dataclass
class DiscriminatorState:
    """The discriminator of an adversarial run, and its optimiser."""

    network: nn.Module
    optimiser: torch.optim.Optimizer


@dataclass
class State:
    """Everything that changes while training; a checkpoint holds all of it."""

    network: Any  # a LumaNetwork or FrameNetwork in its training form
    average: Any  # exponential moving average of its parameters
    optimiser: torch.optim.Optimizer
    discriminator: DiscriminatorState | None = None
    step: int = 0
    seconds: float = 0.0
    plateau_factor: float = 1.0
    best_psnr: float = 0.0
    stale: int = 0  # validations since the best one
    metrics: list[dict[str, float]] = field(default_factory=list)


def save_checkpoint(path: Path, recipe: Recipe, state: State) -> None:
    """Write the state to ``path``; an interrupted write leaves the previous checkpoint."""
    content = {
        "recipe": asdict(recipe),
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "progress": {k: getattr(state, k) for k in PROGRESS},
    }
    if state.discriminator is not None:
        content["discriminator"] = state.discriminator.network.state_dict()
        content["discriminator_optimiser"] = state.discriminator.optimiser.state_dict()
    with OutputFile(path, overwrite=True) as file:
        torch.save(content, file.part)


def load_checkpoint(path: Path, recipe: Recipe, state: State, device: torch.device) -> None:
    """Load the checkpoint ``path`` into ``state``.

    Raises:
        InputError: the file cannot be read.
        OptionError: it was made with another recipe.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: not a readable checkpoint: {str(error).splitlines()[0]}") from None
    defaults = asdict(Recipe(recipe.name, recipe.architecture))  # of settings newer than the checkpoint
    ours, saved = asdict(recipe), {**defaults, **content["recipe"]}
    fixed = (ours.keys() | saved.keys()) - set(FREE_SETTINGS)
    changed = sorted(key for key in fixed if ours.get(key) != saved.get(key))
    if changed:
        raise OptionError(f"{path}: made with another recipe ({', '.join(changed)} differ): choose another folder")
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    if state.discriminator is not None:
        state.discriminator.network.load_state_dict(content["discriminator"])
        state.discriminator.optimiser.load_state_dict(content["discriminator_optimiser"])
    for key, value in content["progress"].items():
        setattr(state, key, value)


def export(path: Path, recipe: Recipe, recipe_text: str, state: State) -> None:
    """Write the averaged network as a weights file.

    Its branches are collapsed. The metadata holds the recipe.
    """
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
        "licence": "MIT (weights; trained on the image sets named in weights/README.md)",
    }
    weight_files.write(path, network, metadata)
