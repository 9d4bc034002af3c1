"""What to restore, at which strength and by which method."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from vidsr.errors import OptionError

Task = Literal["restore", "denoise", "deblur"]
TASKS: tuple[Task, ...] = get_args(Task)  # in the order they run: deblurring last, so that it sharpens no noise

DEBLURRERS = ("unsharp", "wiener", "richardson-lucy")
DENOISERS = ("bilateral", "nlm")
CLASSICAL = DEBLURRERS + DENOISERS
NETWORKS: dict[Task, tuple[str, ...]] = {  # the first is the default
    "restore": ("restore-fast", "restore"),
    "denoise": ("denoise",),
    "deblur": ("deblur-fast", "deblur", "autoencoder"),
}


@dataclass(frozen=True)
class Restoration:
    """One restoration of a clip. Build one from text with `parse_restoration`."""

    task: Task
    strength: float | None = 1.0  # share of the method's change, 0 to 1; None: all if the clip needs it, else nothing
    method: str = "auto"  # a network, a classical method, or the default of the task
    sigma: float | None = None  # classical methods: sigma of blur (pixels) or noise (8-bit codes); None: estimate it


def parse_restoration(task: Task, strength: str | float | bool | None, model: str = "auto") -> Restoration | None:
    """Return the restoration for a ``strength`` of 0 to 1 or ``auto``; None for no strength, False or 0.

    ``model`` is a network or a classical method, such as ``wiener``, or ``wiener:1.6`` with its sigma.

    Raises:
        OptionError: a value is unknown or out of range.
    """
    if strength is None or strength is False:
        if model != "auto":
            raise OptionError(f"--{task}-model {model} has no effect without --{task}: add --{task}")
        return None
    amount = None if strength == "auto" else _strength(str(float(strength) if strength is True else strength), task)
    name, colon, number = model.partition(":")
    known = ("auto", *NETWORKS[task], *CLASSICAL)
    if name not in known or (colon and name not in CLASSICAL):
        raise OptionError(f"--{task}-model {model!r} is unknown: choose {', '.join(known)}, or for example wiener:1.6")
    if amount == 0:
        return None
    return Restoration(task, amount, name, _sigma(number, task, model) if colon else None)


def _strength(text: str, task: Task) -> float:
    if not re.fullmatch(r"0?\.\d+|[01](?:\.0*)?", text):
        raise OptionError(f"--{task} {text!r} is not a strength: write a number from 0 to 1, or auto")
    return float(text)


def _sigma(text: str, task: Task, model: str) -> float:
    if not re.fullmatch(r"\d+(?:\.\d*)?|\.\d+", text) or not 0 < float(text) <= 100:
        raise OptionError(f"--{task}-model {model!r} has no valid sigma: write a number above 0 and up to 100")
    return float(text)
