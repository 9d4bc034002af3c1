"""The training loop: `vidsr train RECIPE.toml`."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vidsr.device import choose
from vidsr.errors import InputError, OptionError
from vidsr.models import weight_files
from vidsr.models.equivariant import is_equivariant
from vidsr.models.layers import LumaNetwork
from vidsr.train.checkpoint import State, export, load_checkpoint, save_checkpoint
from vidsr.train.methods import equivariance
from vidsr.train.methods.distillation import with_soft_targets
from vidsr.train.methods.net2net import expand, resample_tail
from vidsr.train.methods.optimizer import Whitened
from vidsr.train.observer import NullObserver, Observer, Report, Sample
from vidsr.train.recipe import Recipe, needed_weights, phase_weights, read, recipe_of
from vidsr.train.step import Interior, Losses, learning_rate, train_step
from vidsr.train.tasks import adversarial, deblur, interpolate, temporal
from vidsr.train.tasks.deblur import DeblurringData
from vidsr.train.tasks.interpolate import InterpolationData
from vidsr.train.tasks.temporal import TemporalData
from vidsr.train.tasks.upscale import UpscalingData


class TaskData(Protocol):
    """Training and validation data of a task."""

    baseline: float  # PSNR of bicubic or optical flow on the validation data, dB

    def forward(self, network: Any) -> Interior:
        """Return the callable of ``network`` that a training step uses."""

    def batch_at(self, step: int) -> Any:
        """Return the batch of ``step``; it depends on the seed and the step alone."""

    def psnr(self, network: Any) -> float:
        """Return the PSNR of ``network`` on the validation data, dB."""

    def sample_image(self, network: Any) -> npt.NDArray[np.uint8]:
        """Return an image with rows of baseline | output | truth."""


MakeData = Callable[[Recipe, torch.device], TaskData]
TrainStep = Callable[[Recipe, State, Interior, Any], Losses]
TASKS: dict[str, tuple[MakeData, TrainStep]] = {  # what a recipe can name as its task
    "upscale": (UpscalingData, train_step),
    "adversarial": (UpscalingData, adversarial.train_step),
    "deblur": (DeblurringData, deblur.train_step),
    "interpolate": (InterpolationData, interpolate.train_step),
    "temporal": (TemporalData, temporal.train_step),
}


def run(
    recipe_path: Path,
    out: Path,
    resume: bool = False,
    steps: int | None = None,
    minutes: float | None = None,
    device: str = "cpu",
    watch: Observer | None = None,
    init: str | None = None,
) -> Path:
    """Train the phases of a recipe in order; return the weights file.

    The weights are those of the last phase reached. ``steps``, counted over all phases, and ``minutes`` end this
    session early; the schedule stays that of the recipe. The checkpoint that is left continues with ``resume`` as if
    the run had not been interrupted. Ctrl-C saves a checkpoint too. ``init``, a model's name or a weights file,
    replaces the starting weights of the first phase.

    Raises:
        InputError: the weights of another recipe, which this one starts or learns from, do not exist yet.
        OptionError: ``out`` holds a checkpoint and ``resume`` is false, or the checkpoint is of another recipe.
    """
    first, *others = read(recipe_path)
    if init is not None:
        first = replace(first, init=str(find_weights(init, first)))
    phases = [first, *others]
    missing = [file for file in needed_weights(phases) if file.startswith("runs/") and not Path(file).exists()]
    if missing:
        raise InputError(f"{missing[0]} does not exist: train the recipe {recipe_of(missing[0])} first")
    existing = [path for path in (checkpoint_path(out, recipe) for recipe in phases) if path.exists()]
    if existing and not resume:
        raise OptionError(f"{existing[0]} exists: add --resume to continue it, or choose another folder")
    target = choose(device, "fp32").device  # parameters stay in fp32; the precision of the recipe is for autocast
    torch.backends.cudnn.benchmark = target.type == "cuda"  # every step has the same shapes
    watch = watch or NullObserver()
    for recipe in phases:
        state = resumed(recipe, out, target)
        earlier, last = state.seconds, recipe.steps if steps is None else min(steps, recipe.steps)
        if state.step < last or not checkpoint_path(out, recipe).exists():
            train_phase(recipe, state, out, last, minutes, target, watch)
        weights = out / recipe.file_name if recipe is phases[-1] else phase_weights(recipe.phase, out)
        export(weights, recipe, recipe_path.read_text(), state)
        if steps is not None:
            steps -= recipe.steps
        if minutes is not None:
            minutes -= (state.seconds - earlier) / 60
        if state.step < recipe.steps or (steps is not None and steps <= 0) or (minutes is not None and minutes <= 0):
            break
    return weights


def checkpoint_path(out: Path, recipe: Recipe) -> Path:
    """Return the checkpoint file of one phase of the run in the folder ``out``."""
    return out / recipe.phase / "checkpoint.pt"


def resumed(recipe: Recipe, out: Path, device: torch.device) -> State:
    """Return the state in the phase's checkpoint, or the state before the first step."""
    state = start(recipe.with_paths(out), device)
    if checkpoint_path(out, recipe).exists():
        load_checkpoint(checkpoint_path(out, recipe), recipe, state, device)
    return state


def train_phase(
    recipe: Recipe, state: State, out: Path, last: int, minutes: float | None, device: torch.device, watch: Observer
) -> None:
    """Train one phase and save its checkpoint.

    It ends at step ``last`` or after ``minutes``, whichever comes first.
    """
    checkpoint = checkpoint_path(out, recipe)
    made = [folder for folder in (checkpoint.parent, *checkpoint.parent.parents) if not folder.exists()]
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    try:
        watch.begin(recipe, checkpoint.parent, last)
        soft_targets = checkpoint.with_name("soft_targets.safetensors")
        settings = with_soft_targets(recipe.with_paths(out), soft_targets, device, watch.soft_targets)
        data = TASKS[recipe.task][0](settings, device)
    except BaseException:
        for folder in made:
            with suppress(OSError):  # something is in it
                folder.rmdir()
        raise
    try:
        advance(recipe, state, data, last, minutes, checkpoint, watch)
    finally:
        save_checkpoint(checkpoint, recipe, state)


def start(recipe: Recipe, device: torch.device) -> State:
    """Return the state before the first step."""
    torch.manual_seed(recipe.seed)
    network: Any = weight_files.build_network(recipe.architecture, recipe.network_config)
    has_kernels = bool(recipe.init) and load_initial(network, Path(recipe.init), recipe.equivariant)
    if recipe.reparameterise:
        needs_kernels = recipe.equivariant or recipe.optimiser == "whitened"  # which act on the kernels themselves
        network.for_training(keep=has_kernels, branches=not needs_kernels)
    if recipe.equivariant:
        equivariance.make_equivariant(network, keep=has_kernels)
    freeze(network, recipe.frozen)
    network = network.to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(network).requires_grad_(False).eval()
    optimiser = make_optimiser(recipe, network, device)
    discriminator = adversarial.make_discriminator(recipe, device) if recipe.task == "adversarial" else None
    return State(network, average, optimiser, discriminator)


def freeze(network: nn.Module, prefixes: Sequence[str]) -> None:
    """Keep the parameters whose names begin with one of ``prefixes`` as they are."""
    for name, parameter in network.named_parameters():
        if name.startswith(tuple(prefixes)):
            parameter.requires_grad_(False)


def make_optimiser(recipe: Recipe, network: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    """Return the recipe's optimiser for all parameters of ``network``."""
    if recipe.optimiser == "whitened":
        return Whitened(network, recipe.learning_rate)
    return torch.optim.Adam(network.parameters(), recipe.learning_rate, recipe.betas, fused=device.type == "cuda")


def find_weights(init: str, recipe: Recipe, folder: Path = weight_files.WEIGHTS) -> Path:
    """Return the weights file that ``init`` names: a path, or a shipped model.

    Of a model's files, one of the recipe's scale and domain is preferred.
    """
    if init.endswith(".safetensors"):
        return Path(init)
    entries = [entry for entry in weight_files.list_weights(folder) if entry.name == init]
    if not entries:
        raise OptionError(f"--init {init}: no model has that name; see `vidsr models`, or name a .safetensors file")
    return max(entries, key=lambda e: (e.scale == recipe.scale, e.domain == recipe.domain)).path


def load_initial(network: nn.Module, path: Path, equivariant: bool = False) -> bool:
    """Initialise ``network`` from a weights file.

    A smaller network is expanded; of others every tensor of equal name and shape is copied.

    A last layer for another scale keeps its random weights, except in plain networks (`resample_tail`). Returns whether
    kernels were loaded; a network that only takes over a blur estimator keeps all its random kernels.

    Raises:
        OptionError: no tensor fits; or ``equivariant`` is set and the file is not equivariant, so that tying its
            kernels would destroy its function.
    """
    source, _ = weight_files.load(path)
    if equivariant and isinstance(source, LumaNetwork) and not is_equivariant(source):
        raise OptionError(
            f"init = {str(path)!r}: its kernels are not tied, and equivariant = true would destroy their function: "
            "start from weights trained with equivariant = true, or from none"
        )
    if expand(network, source):
        return True
    own = network.state_dict()
    fitting = {k: v for k, v in source.state_dict().items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise OptionError(f"init = {str(path)!r}: no tensor in it fits this network")
    network.load_state_dict(fitting, strict=False)
    resample_tail(network, source)
    return any(tensor.ndim == 4 for tensor in fitting.values())


def advance(
    recipe: Recipe,
    state: State,
    data: TaskData,
    last: int,
    minutes: float | None,
    checkpoint: Path,
    watch: Observer,
) -> None:
    """Train ``state`` up to step ``last`` or for ``minutes``, whichever comes first."""
    start_time, earlier = time.monotonic(), state.seconds
    losses: list[Losses] = []
    forward, step = data.forward(state.network), TASKS[recipe.task][1]
    while state.step < last:
        losses.append(step(recipe, state, forward, data))
        state.seconds = earlier + time.monotonic() - start_time
        watch.step(state.step, losses[-1])
        if state.step % recipe.validate_every == 0 or state.step == last:
            loss = torch.stack([one["loss"] for one in losses]).mean().item()
            report = validate(recipe, state, data, loss)
            losses.clear()
            watch.report(report, state.metrics)
        if recipe.samples_every and state.step % recipe.samples_every == 0:
            watch.sample(Sample(state.step, data.sample_image(state.average)))
        if state.step % recipe.checkpoint_every == 0:
            save_checkpoint(checkpoint, recipe, state)
            watch.saved()
        if minutes is not None and time.monotonic() - start_time > 60 * minutes:
            return


def validate(recipe: Recipe, state: State, data: TaskData, loss: float) -> Report:
    """Validate the averaged weights, and record the result in ``state``.

    A plateau lowers the learning rate.
    """
    psnr = data.psnr(state.average)
    record_progress(recipe, state, psnr)
    report = Report(state.step, recipe.steps, loss, psnr, data.baseline, learning_rate(recipe, state), state.seconds)
    state.metrics.append({k: v for k, v in asdict(report).items() if k != "steps"})
    return report


def record_progress(recipe: Recipe, state: State, psnr: float) -> None:
    """Record the best validation; on a plateau, halve the learning rate."""
    if psnr > state.best_psnr:
        state.best_psnr, state.stale = psnr, 0
        return
    state.stale += 1
    if recipe.schedule == "plateau" and state.stale > recipe.patience:
        state.plateau_factor, state.stale = state.plateau_factor / 2, 0
