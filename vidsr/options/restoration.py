"""What is to be restored, how strongly and by which method, parsed from text. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from vidsr.errors import OptionError

Task = Literal["restore", "denoise", "deblur"]
TASKS: tuple[Task, ...] = get_args(Task)  # in the order they run: sharpening last, so that it sharpens no noise

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
    """One thing to restore. Build one from text with `parse_restoration`."""

    task: Task
    strength: float | None = 1.0  # how much of the method's change is taken; None: all or nothing, by the picture
    method: str = "auto"  # a network, a classical method, or the default
    sigma: float | None = None  # of the blur (pixels) or noise (8-bit codes); None estimates it. Classical methods only


def parse_restoration(task: Task, strength: str | float | bool | None, model: str = "auto") -> Restoration | None:
    """``strength`` 0 to 1 or ``auto``, ``model`` a method or ``wiener:1.6``; None where nothing is asked for.

    Raises:
        OptionError: a value is unknown or out of range.
    """
    if strength is None or strength is False:
        if model != "auto":
            raise OptionError(f"--{task}-model {model} without --{task}: add --{task}")
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
        raise OptionError(f"--{task} {text!r} is no strength: write a number from 0 to 1, or auto")
    return float(text)


def _sigma(text: str, task: Task, model: str) -> float:
    if not re.fullmatch(r"\d+(?:\.\d*)?|\.\d+", text) or not 0 < float(text) <= 100:
        raise OptionError(f"--{task}-model {model!r}: write the sigma as a number above 0 and up to 100")
    return float(text)
