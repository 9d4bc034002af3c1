"""Events of a training run, and the protocol of those who receive them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vidsr.train.recipe import Recipe
from vidsr.train.step import Losses


@dataclass(frozen=True)
class Report:
    """The result of one validation."""

    step: int
    steps: int
    loss: float  # mean since the last report
    psnr: float  # of the averaged weights on the validation data, luma, dB
    bicubic: float  # of the baseline on the same data, dB: bicubic, or optical flow for the task interpolate
    rate: float
    seconds: float  # of training in all sessions so far


@dataclass(frozen=True, eq=False)
class Sample:
    """A sample image of the network in training."""

    step: int
    image: npt.NDArray[np.uint8]  # rows of baseline | output | truth


class Observer(Protocol):
    """Receives the events of a training run."""

    def begin(self, recipe: Recipe, folder: Path, last: int) -> None:
        """A phase begins, or continues, in ``folder``.

        This session trains it up to step ``last``.
        """

    def soft_targets(self, done: int, images: int) -> None:
        """Before the first step: the soft targets of ``done`` of the ``images`` are finished."""

    def step(self, step: int, losses: Losses) -> None:
        """``step`` steps are done, the last one with ``losses``."""

    def saved(self) -> None:
        """A checkpoint was written."""

    def report(self, report: Report, metrics: list[dict[str, float]]) -> None:
        """A validation was done; ``metrics`` holds all validations so far, this one last."""

    def sample(self, sample: Sample) -> None:
        """A sample image was made."""


class NullObserver:
    """An observer that does nothing."""

    def begin(self, recipe: Recipe, folder: Path, last: int) -> None:
        """Do nothing."""

    def soft_targets(self, done: int, images: int) -> None:
        """Do nothing."""

    def step(self, step: int, losses: Losses) -> None:
        """Do nothing."""

    def saved(self) -> None:
        """Do nothing."""

    def report(self, report: Report, metrics: list[dict[str, float]]) -> None:
        """Do nothing."""

    def sample(self, sample: Sample) -> None:
        """Do nothing."""
