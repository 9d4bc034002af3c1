"""Recipes: every setting of a training run, read from a TOML file, in one phase or in several.

The keys of the file are the fields of `Recipe`. Tables ``[[phase]]`` make several runs, one after the other: each has a
``name``, overrides settings, and starts from the weights of the phase before unless it names its own ``init``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Literal, get_args

from vidsr.errors import InputError, OptionError
from vidsr.runtime.text_file import read_text
from vidsr.train.losses import LOSSES

Task = Literal["upscale", "adversarial", "interpolate", "deblur", "temporal"]
Optimiser = Literal["adam", "whitened"]
Schedule = Literal["cosine", "constant", "plateau"]
Half = Literal["bf16", "fp16"]
Precision = Literal["bf16", "fp32"]  # fp16 would need scaled gradients and is no faster

RANDOM = "random"  # `init` of a phase that starts from random weights
PHASE_WEIGHTS = "weights.safetensors"  # name of the weights file of every phase but the last
SAME_IN_ALL_PHASES = ("name", "domain", "note")


@dataclass(frozen=True)
class Adversarial:
    """Settings of training against a discriminator."""

    channels: int = 64  # of the discriminator's first layer; 64 in the paper
    learning_rate: float = 1e-4  # peak learning rate of the discriminator, on the schedule of the recipe
    weight: float = 1e-3  # of the adversarial loss of the generator; 1e-3 in the paper
    content: float = 0.01  # weight of the distance between features
    vgg: str = ""  # file of torchvision's VGG19 weights; without one, features of the discriminator are compared


@dataclass(frozen=True)
class Recipe:
    """Settings of one phase of training. Paths are relative to the working directory."""

    name: str  # of the weights: fast, balanced ...
    architecture: str
    scale: int = 1
    config: dict[str, Any] = field(default_factory=dict)  # of the architecture, without the scale
    phase: str = ""  # name of the phase; empty in a recipe with one phase
    task: Task = "upscale"
    domain: str = "clean"
    note: str = ""  # what to know before choosing these weights, in a few words
    data: tuple[str, ...] = ()  # shards made by `vidsr dataset`
    init: str = ""  # weights to start from: a file, or an earlier phase; empty: random
    frozen: tuple[str, ...] = ()  # beginnings of the names of parameters that keep their initial values
    adversarial: Adversarial = Adversarial()
    reparameterise: bool = True  # train kernels as sums of branches, where the architecture supports it
    equivariant: bool = False  # tie the kernels: the output of a rotated or mirrored input is rotated or mirrored alike
    steps: int = 20_000
    batch: int = 32
    candidates: int = 1  # patches drawn for each one kept; those with the most detail are kept
    patch: int = 64  # side of a training patch, LR pixels
    margin: int = 0  # LR pixels that patches may reach beyond the edge of an image, which is mirrored as in inference
    loss: dict[str, float] = field(default_factory=lambda: {"l1": 1.0})  # name -> weight
    final_loss: dict[str, float] = field(default_factory=dict)  # replaces `loss` in the last steps
    final_loss_fraction: float = 0.1  # fraction of the steps that have the final loss
    teachers: tuple[str, ...] = ()  # weights of the same scale, or earlier phases; their mean makes the soft targets
    teacher_weight: float = 0.75  # share of the teachers in the targets; the rest is the HR image
    forgetting: float = 0.0  # temporal: share of a difference in the past that may last a frame; 0: no limit
    flow_loss: float = 0.0  # weight of the distance (pixels) to optical flow, until the final loss begins
    optimiser: Optimiser = "adam"
    learning_rate: float = 1e-3  # peak
    final_learning_rate: float = 1e-6
    warm_up: int = 300  # steps of linear warm-up
    schedule: Schedule = "cosine"
    patience: int = 5  # validations without progress before a plateau halves the learning rate
    betas: tuple[float, float] = (0.9, 0.99)  # of Adam
    max_gradient_norm: float = 0.5
    ema: float = 0.999  # decay of the moving average of the weights
    precision: Precision = "bf16"  # runs in fp32 on a CPU without bf16 instructions
    half_precision: tuple[Half, ...] = get_args(Half)  # formats that the weights may run in; otherwise fp32
    compile: bool = False  # torch.compile, on CUDA only; on a CPU it would need a C++ compiler
    seed: int = 0
    validate_every: int = 500
    samples_every: int = 0  # steps between sample images; 0: none
    checkpoint_every: int = 250

    def __post_init__(self) -> None:
        unknown = [n for n in (*self.loss, *self.final_loss) if n not in LOSSES]
        if unknown:
            raise OptionError(f"recipe {self.name}: unknown loss {unknown[0]!r}; known: {', '.join(LOSSES)}")
        for key, choices in (
            ("task", get_args(Task)),
            ("optimiser", get_args(Optimiser)),
            ("schedule", get_args(Schedule)),
            ("precision", get_args(Precision)),
        ):
            if getattr(self, key) not in choices:
                raise OptionError(f"recipe {self.name}: {key} = {getattr(self, key)!r}; one of {', '.join(choices)}")
        for half in self.half_precision:
            if half not in get_args(Half):
                raise OptionError(f"recipe {self.name}: half_precision = {half!r}; of {', '.join(get_args(Half))}")
        for key in ("scale", "steps", "batch", "candidates", "patch", "validate_every", "checkpoint_every"):
            if getattr(self, key) < 1:
                raise OptionError(f"recipe {self.name}: {key} = {getattr(self, key)} must be at least 1")
        if not 0 <= self.teacher_weight <= 1:
            raise OptionError(f"recipe {self.name}: teacher_weight = {self.teacher_weight} must lie from 0 to 1")
        if self.compile and self.optimiser == "whitened":
            raise OptionError(
                f"recipe {self.name}: the whitened optimiser reads layer inputs: leave out compile = true"
            )
        if self.teachers and self.task not in ("upscale", "adversarial"):
            raise OptionError(f"recipe {self.name}: teachers are for networks that upscale, not for {self.task!r}")
        if self.equivariant and self.architecture != "plain":
            raise OptionError(
                f"recipe {self.name}: equivariant = true is for a plain network, not {self.architecture!r}"
            )
        if self.margin < 0:
            raise OptionError(f"recipe {self.name}: margin = {self.margin} must not be negative")

    @property
    def network_config(self) -> dict[str, Any]:
        """Settings of the network."""
        return self.config if self.task == "interpolate" else {"scale": self.scale, **self.config}

    @property
    def file_name(self) -> str:
        """Name of the weights file that the last phase writes."""
        kind = "frames" if self.task == "interpolate" else f"{self.domain}-x{self.scale}"
        return f"{self.name}-{kind}.safetensors"

    def with_paths(self, run: Path) -> Recipe:
        """Return the recipe with ``init`` and ``teachers`` as files; ``run`` is the folder of the whole run."""
        init, *teachers = (
            str(phase_weights(name, run)) if _is_phase(name) else name for name in (self.init, *self.teachers)
        )
        return replace(self, init=init, teachers=tuple(teachers))


def phase_weights(phase: str, run: Path) -> Path:
    """Return the weights file of a phase, but the last, of the run in the folder ``run``."""
    return run / phase / PHASE_WEIGHTS


def _is_phase(name: str) -> bool:
    return name != "" and not name.endswith(".safetensors")


def read(path: Path) -> tuple[Recipe, ...]:
    """Return the phases of the recipe in the TOML file ``path``, in order.

    Raises:
        InputError: the file cannot be read.
        OptionError: the file is not a valid recipe.
    """
    try:
        table = tomllib.loads(read_text(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{path}: not a TOML recipe: {error}") from None
    return parse(table, str(path))


def parse(table: dict[str, Any], where: str) -> tuple[Recipe, ...]:
    """Return the phases that a TOML table describes, in order; ``where`` names the table in errors."""
    common = {key: value for key, value in table.items() if key != "phase"}
    phases: list[Recipe] = []
    for overrides in _phase_tables(table, where):
        phases.append(_parse_phase(common, overrides, phases, where))
    return tuple(phases)


def _phase_tables(table: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Return what each phase overrides; one empty table for a recipe without phases."""
    tables = table.get("phase", [{}])
    if not isinstance(tables, list) or not all(isinstance(phase, dict) for phase in tables):
        raise OptionError(f"{where}: phases are tables: write [[phase]]")
    if "phase" not in table:
        return [{}]
    for phase in tables:
        if not re.fullmatch("[a-z0-9-]+", str(phase.get("name", ""))):
            raise OptionError(f"{where}: every [[phase]] needs a name of lower-case letters, digits and hyphens")
        fixed = [key for key in SAME_IN_ALL_PHASES if key in phase and key != "name"]
        if fixed:
            raise OptionError(f"{where}: {fixed[0]!r} is the same in all phases: set it above the first [[phase]]")
    return tables


def _parse_phase(common: dict[str, Any], overrides: dict[str, Any], earlier: list[Recipe], where: str) -> Recipe:
    """Return the recipe of one phase: the common settings with what it overrides."""
    phase = overrides.get("name", "")
    names = [recipe.phase for recipe in earlier]
    if phase in names:
        raise OptionError(f"{where}: two phases are named {phase!r}")
    merged = {**common, **{key: value for key, value in overrides.items() if key != "name"}}
    values = _parse_values(Recipe, merged, where if not phase else f"{where}, phase {phase}")
    needed = ("name", "architecture", *(() if values.get("task") == "interpolate" else ("scale",)))
    missing = [key for key in needed if key not in merged]
    if missing:
        raise OptionError(f"{where}: {missing[0]!r} is missing")
    if earlier and "init" not in overrides:
        values["init"] = names[-1]
    if values.get("init") == RANDOM:
        values["init"] = ""
    for name in (values.get("init", ""), *values.get("teachers", ())):
        if _is_phase(name) and name not in names:
            raise OptionError(f"{where}: {name!r} is neither a .safetensors file nor an earlier phase")
    return Recipe(**values, phase=phase)


def _parse_values(settings: type[Recipe | Adversarial], table: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the checked values of ``table`` for the fields of ``settings``."""
    known = {f.name: str(f.type) for f in fields(settings) if f.name != "phase"}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise OptionError(f"{where}: unknown key {key!r}; known: {', '.join(known)}")
        _check_type(key, value, known[key], where)
        values[key] = tuple(value) if isinstance(value, list) else value
        if known[key] == "Adversarial":
            values[key] = Adversarial(**_parse_values(Adversarial, value, f"{where}: {key}"))
    return values


# first word of the field's annotation -> types of the TOML value
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "dict": (dict,),
    "tuple": (list,),
    "Adversarial": (dict,),
    "Task": (str,),
    "Optimiser": (str,),
    "Schedule": (str,),
    "Precision": (str,),
}


def _check_type(key: str, value: object, annotation: str, where: str) -> None:
    word = annotation.split("[")[0]
    if not isinstance(value, TYPES[word]) or (isinstance(value, bool) and word != "bool"):
        raise OptionError(f"{where}: {key} = {value!r} is not of type {annotation}")


def recipe_of(weights: str) -> str:
    """Return the name of the recipe, without .toml, that makes the file ``weights``.

    Knows shipped files, and files in ``runs/RECIPE`` and ``runs/RECIPE/PHASE``.
    """
    path = Path(weights)
    if path.parts[0] == "runs":
        folder = path.parent.parent if path.name == PHASE_WEIGHTS else path.parent
        return folder.relative_to("runs").as_posix()
    return re.sub("-(clean|any)-", "-", path.stem).removesuffix("-frames")


def in_training_order(folder: Path) -> list[Path]:
    """Return the recipe files of ``folder``, without subfolders, in an order to train them.

    Each follows the recipes that make its starting weights and its teachers.
    """
    paths = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    needed = {name: {recipe_of(file) for file in needed_weights(read(path))} for name, path in paths.items()}
    return [paths[name] for name in TopologicalSorter(needed).static_order() if name in paths]


def needed_weights(phases: Iterable[Recipe]) -> list[str]:
    """Return the weights files of other recipes that ``phases`` start from or learn from."""
    named = [name for recipe in phases for name in (recipe.init, *recipe.teachers)]
    return [name for name in dict.fromkeys(named) if name and not _is_phase(name)]
