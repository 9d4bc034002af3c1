"""The training loop: `vidsr train RECIPE.toml`."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.errors import InputError, OptionError
from vidsr.models import store
from vidsr.models.layers import LumaNetwork, collapse, reparameterise
from vidsr.train import dataset
from vidsr.train.data import Pair, Patches, make_pair, validation_pairs
from vidsr.train.losses import LOSSES
from vidsr.train.recipe import Recipe, read

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class Report:
    """One validation, for whoever watches."""

    step: int
    steps: int
    loss: float  # mean since the last report
    psnr: float  # of the averaged weights on the validation pictures, dB, luma
    bicubic: float  # of the bicubic upscale on the same, dB
    rate: float
    seconds: float  # of training so far, all sessions together


@dataclass
class State:
    """All that changes while training, and all that a checkpoint holds."""

    network: LumaNetwork  # training form
    average: LumaNetwork  # exponential moving average of its parameters
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    plateau_factor: float = 1.0
    best_psnr: float = 0.0
    stale: int = 0  # validations since the best
    metrics: list[dict[str, float]] = field(default_factory=list)


def run(
    recipe_path: Path,
    out: Path,
    resume: bool = False,
    steps: int | None = None,
    minutes: float | None = None,
    device: str = "cpu",
    watch: Callable[[Report], None] | None = None,
) -> Path:
    """Train as the recipe says; return the weights file written in the folder ``out``.

    ``steps`` and ``minutes`` stop this session early (the schedule stays the recipe's), leaving a checkpoint that
    ``resume`` continues as if nothing had happened. Ctrl-C saves a checkpoint too, then passes on.
    """
    recipe = read(recipe_path)
    out.mkdir(parents=True, exist_ok=True)
    target = torch.device(device)
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise OptionError(f"{checkpoint} exists: add --resume to continue it, or choose another folder")
    state = start(recipe, target)
    if resume and checkpoint.exists():
        load_checkpoint(checkpoint, recipe, state, target)
    train, validation = load_pairs(recipe, target)
    patches = Patches(train, recipe.scale, recipe.batch, recipe.patch, recipe.seed)
    last = recipe.steps if steps is None else min(steps, recipe.steps)
    try:
        advance(recipe, state, patches, validation, last, minutes, checkpoint, watch)
    finally:
        save_checkpoint(checkpoint, recipe, state)
    weights = out / f"{recipe.name}-{recipe.domain}-x{recipe.scale}.safetensors"
    export(weights, recipe, recipe_path.read_text(), state)
    return weights


def start(recipe: Recipe, device: torch.device) -> State:
    """The state before the first step."""
    torch.manual_seed(recipe.seed)
    network = store.build_network(recipe.architecture, {"scale": recipe.scale, **recipe.config})
    if recipe.warm_start:
        warm_start(network, Path(recipe.warm_start))
    if recipe.reparameterise:
        reparameterise(network, keep=bool(recipe.warm_start))
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.rate, betas=recipe.betas)
    return State(network, average, optimiser)


def warm_start(network: nn.Module, path: Path) -> None:
    """Copy from a weights file every tensor whose name and shape fit; a tail of another scale starts fresh."""
    source, _ = store.read_state(path)
    own = network.state_dict()
    fitting = {k: v for k, v in source.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise OptionError(f"warm_start = {str(path)!r}: nothing in it fits this network")
    network.load_state_dict(fitting, strict=False)


def load_pairs(recipe: Recipe, device: torch.device) -> tuple[list[Pair], list[Pair]]:
    """Training pairs and validation crops of all the recipe's shards, on ``device``."""
    if not recipe.data:
        raise OptionError(f"recipe {recipe.name}: data = [] names no shard; make one with `vidsr dataset`")
    train: list[Pair] = []
    validation: list[Tensor] = []
    for name in recipe.data:
        path = Path(name)
        if not path.exists():
            raise InputError(f"{path}: no such shard; make it with `vidsr dataset PATHS... -o {path}`")
        train += [make_pair(p.to(device), recipe.scale) for p in dataset.read_shard(path, "train")]
        validation += [p.to(device) for p in dataset.read_shard(path, "validation")]
    return train, validation_pairs(validation, recipe.scale)


def advance(
    recipe: Recipe,
    state: State,
    patches: Patches,
    validation: list[Pair],
    last: int,
    minutes: float | None,
    checkpoint: Path,
    watch: Callable[[Report], None] | None,
) -> None:
    """Train ``state`` up to step ``last`` or for ``minutes``, whichever comes first."""
    began, earlier = time.monotonic(), state.seconds
    bicubic = validation_psnr(None, validation)
    losses: list[Tensor] = []
    network = torch.compile(state.network) if recipe.compile else state.network
    while state.step < last:
        losses.append(train_step(recipe, state, network, patches))
        state.seconds = earlier + time.monotonic() - began
        if state.step % recipe.validate_every == 0 or state.step == last:
            psnr = validation_psnr(state.average, validation)
            note_progress(recipe, state, psnr)
            loss = torch.stack(losses).mean().item()
            losses.clear()
            rate = learning_rate(recipe, state)
            report = Report(state.step, recipe.steps, loss, psnr, bicubic, rate, state.seconds)
            state.metrics.append({k: v for k, v in asdict(report).items() if k != "steps"})
            if watch is not None:
                watch(report)
        if state.step % recipe.checkpoint_every == 0:
            save_checkpoint(checkpoint, recipe, state)
        if minutes is not None and time.monotonic() - began > 60 * minutes:
            return


def train_step(recipe: Recipe, state: State, network: Any, patches: Patches) -> Tensor:
    """One step of the optimiser; the loss, detached."""
    lr, hr = patches.batch_at(state.step)
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, state)
    dtype = DTYPES[recipe.precision]
    with torch.autocast(lr.device.type, dtype, enabled=dtype != torch.float32):
        output = network(lr.contiguous(memory_format=torch.channels_last))
    border = recipe.scale * (state.network.halo if recipe.border < 0 else recipe.border)
    loss = weighted_loss(recipe, state.step, inside(output.float(), border), inside(hr, border))
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.network.parameters(), recipe.clip)
    state.optimiser.step()
    state.step += 1
    update_average(state, recipe.ema)
    return loss.detach()


def inside(picture: Tensor, border: int) -> Tensor:
    """``picture`` without ``border`` pixels on each side, which the zero padding reached."""
    return picture[..., border : picture.shape[-2] - border, border : picture.shape[-1] - border]


def weighted_loss(recipe: Recipe, step: int, output: Tensor, truth: Tensor) -> Tensor:
    """The recipe's loss at ``step``."""
    finishing = recipe.finish and step >= recipe.steps * (1 - recipe.finish_fraction)
    weights = recipe.finish if finishing else recipe.loss
    return torch.stack([weight * LOSSES[name](output, truth) for name, weight in weights.items()]).sum()


def learning_rate(recipe: Recipe, state: State) -> float:
    """The rate of the step to come."""
    warm = min(1.0, (state.step + 1) / max(1, recipe.warm_up))
    if recipe.schedule == "cosine":
        share = min(1.0, state.step / recipe.steps)
        return warm * (recipe.final_rate + (recipe.rate - recipe.final_rate) * (1 + math.cos(math.pi * share)) / 2)
    return warm * max(recipe.final_rate, recipe.rate * state.plateau_factor)


@torch.no_grad()
def update_average(state: State, ema: float) -> None:
    """Move the averaged parameters towards the network's; quickly in the first steps, when they are far."""
    decay = min(ema, (1 + state.step) / (10 + state.step))
    for mean, parameter in zip(state.average.parameters(), state.network.parameters(), strict=True):
        mean.lerp_(parameter, 1 - decay)
    for kept, current in zip(state.average.buffers(), state.network.buffers(), strict=True):
        kept.copy_(current)


def note_progress(recipe: Recipe, state: State, psnr: float) -> None:
    """Remember the best validation; on a plateau, halve the rate."""
    if psnr > state.best_psnr:
        state.best_psnr, state.stale = psnr, 0
        return
    state.stale += 1
    if recipe.schedule == "plateau" and state.stale > recipe.patience:
        state.plateau_factor, state.stale = state.plateau_factor / 2, 0


@torch.no_grad()
def validation_psnr(network: LumaNetwork | None, pairs: list[Pair]) -> float:
    """Mean luma PSNR over ``pairs`` of ``network`` (None: of the bicubic upscale), 8 HR pixels left out at the border."""
    values = []
    for pair in pairs:
        x = pair.lr[None, None].float() / 255
        if network is None:
            output = F.interpolate(x, size=pair.hr.shape, mode="bicubic", antialias=True)
        else:
            training = network.training
            output = network.eval()(x.contiguous(memory_format=torch.channels_last))
            network.train(training)
        codes = inside((output[0, 0] * 255).round().clamp(0, 255), 8)
        mse = F.mse_loss(codes, inside(pair.hr, 8).float()).item()
        values.append(10 * math.log10(255**2 / max(mse, 1e-10)))
    return sum(values) / max(1, len(values))


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
    torch.save(content, part)
    os.replace(part, path)


PROGRESS = ("step", "seconds", "plateau_factor", "best_psnr", "stale", "metrics")


def load_checkpoint(path: Path, recipe: Recipe, state: State, device: torch.device) -> None:
    """Continue from ``path``, in place; the recipe must be the one the checkpoint was made with."""
    content = torch.load(path, map_location=device, weights_only=True)
    if content["recipe"] != asdict(recipe):
        changed = [k for k, v in asdict(recipe).items() if content["recipe"].get(k) != v]
        raise OptionError(f"{path}: made with another recipe ({', '.join(changed)} differ); choose another folder")
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    for key, value in content["progress"].items():
        setattr(state, key, value)


def export(path: Path, recipe: Recipe, recipe_text: str, state: State) -> None:
    """Write the averaged, collapsed network with what made it."""
    network = copy.deepcopy(state.average)
    collapse(network)
    config = {"scale": recipe.scale, **recipe.config}
    metadata = {
        "architecture": recipe.architecture,
        "config": json.dumps(config),
        "recipe": recipe_text,
        "data": ", ".join(Path(name).stem for name in recipe.data),
        "steps": f"{state.step} of {recipe.steps}",
        "minutes": f"{state.seconds / 60:.1f}",
        "validation_psnr": f"{state.metrics[-1]['psnr']:.3f}" if state.metrics else "",
        "licence": "MIT (weights; trained on the picture sets named in weights/README.md)",
    }
    store.write(path, network, metadata)
