"""`vidsr train`: train a network from a recipe."""

from __future__ import annotations

from pathlib import Path

from vidsr.train import watch


def train(
    recipe: Path, output: Path, resume: bool, steps: int | None, minutes: float | None, device: str, init: str | None
) -> None:
    """Train, show the progress, and print the path of the weights."""
    print(watch.train(recipe, output, resume, steps, minutes, device, init=init))
