"""A recipe: every setting of a training run, read from TOML."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from vidsr.errors import InputError, OptionError
from vidsr.train.losses import LOSSES

Task = Literal["upscale", "adversarial", "interpolate", "deblur"]
Optimiser = Literal["adam", "whitened"]
Schedule = Literal["cosine", "constant", "plateau"]
Half = Literal["bf16", "fp16"]
Precision = Literal["bf16", "fp32"]  # fp16 would need its gradients scaled, and is no faster


@dataclass(frozen=True)
class Adversarial:
    """Settings of a training against a discriminator (adversarial.py)."""

    channels: int = 64  # of the discriminator's first layer; the published 64
    learning_rate: float = 1e-4  # its peak learning rate, on the recipe's schedule
    weight: float = 1e-3  # of passing for true, in the generator's loss; the published 1e-3
    content: float = 0.01  # of the distance of features
    vgg: str = ""  # file with torchvision's weights of VGG19, whose features to compare instead of the discriminator's


@dataclass(frozen=True)
class Recipe:
    """Settings of one training run. Paths are relative to the folder the command runs in."""

    name: str  # of the weights: fast, balanced ...
    architecture: str
    scale: int = 1
    config: dict[str, Any] = field(default_factory=dict)  # of the architecture, beside the scale
    task: Task = "upscale"
    domain: str = "clean"
    note: str = ""  # what to know before choosing these weights, in a few words
    data: tuple[str, ...] = ()  # shards made by `vidsr dataset`
    init: str = ""  # weights of the same architecture, any scale, to grow from or to take what fits
    adversarial: Adversarial = Adversarial()
    reparameterise: bool = True  # in the form that trains better, where the architecture has one
    equivariant: bool = False  # a turned or mirrored picture enlarged is the enlarged picture turned or mirrored
    steps: int = 20_000
    batch: int = 32
    candidates: int = 1  # patches drawn for each one learnt from: of all that are, those with the most detail
    patch: int = 64  # side of a training crop, LR pixels
    margin: int = 0  # LR pixels beyond a picture's edges, mirrored as networks are given them, that crops may hold
    loss: dict[str, float] = field(default_factory=lambda: {"l1": 1.0})  # name -> weight
    final_loss: dict[str, float] = field(default_factory=dict)  # loss of the last `final_loss_fraction` of the steps
    final_loss_fraction: float = 0.1
    teachers: tuple[str, ...] = ()  # weights of the same scale, whose mean in all eight poses is to be learnt
    teacher_weight: float = 0.75  # share of what they say in what is learnt, beside the truth's
    flow_loss: float = 0.0  # weight, until then, of the pixels by which motion between frames is off optical flow's
    optimiser: Optimiser = "adam"
    learning_rate: float = 1e-3  # peak learning rate
    final_learning_rate: float = 1e-6
    warm_up: int = 300  # steps of linear warm-up
    schedule: Schedule = "cosine"
    patience: int = 5  # validations without progress before a plateau halves the rate
    betas: tuple[float, float] = (0.9, 0.99)  # of Adam
    max_gradient_norm: float = 0.5  # largest norm of the gradient
    ema: float = 0.999
    precision: Precision = "bf16"  # fp32 on a CPU that would emulate bf16
    half_precision: tuple[Half, ...] = get_args(Half)  # what the weights bear in use; in others they run in fp32
    compile: bool = False  # by torch.compile, on CUDA; a CPU would need a C++ compiler to run the recipe
    seed: int = 0
    validate_every: int = 500
    samples_every: int = 0  # steps between sample pictures; 0: none
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
            raise OptionError(f"recipe {self.name}: the optimiser whitened looks into layers: leave out compile = true")
        if self.teachers and self.task not in ("upscale", "adversarial"):
            raise OptionError(f"recipe {self.name}: teachers are for networks that enlarge, not for {self.task!r}")
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
        """Of the weights."""
        what = "frames" if self.task == "interpolate" else f"{self.domain}-x{self.scale}"
        return f"{self.name}-{what}.safetensors"


def parse(table: dict[str, Any], where: str) -> Recipe:
    """The recipe a TOML table describes; ``where`` names it in errors."""
    values = _values(Recipe, table, where)
    needed = ("name", "architecture", *(() if values.get("task") == "interpolate" else ("scale",)))
    missing = [key for key in needed if key not in table]
    if missing:
        raise OptionError(f"{where}: {missing[0]!r} is missing")
    return Recipe(**values)


def _values(settings: type[Recipe | Adversarial], table: dict[str, Any], where: str) -> dict[str, Any]:
    """What ``table`` says of the fields of ``settings``, checked."""
    known = {f.name: str(f.type) for f in fields(settings)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise OptionError(f"{where}: unknown key {key!r}; known: {', '.join(known)}")
        _check_type(key, value, known[key], where)
        values[key] = tuple(value) if isinstance(value, list) else value
        if known[key] == "Adversarial":
            values[key] = Adversarial(**_values(Adversarial, value, f"{where}: {key}"))
    return values


# first word of the field's annotation -> what TOML may hold for it
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


def read(path: Path) -> Recipe:
    """The recipe in the TOML file ``path``."""
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{path}: not a TOML recipe: {error}") from None
    return parse(table, str(path))
