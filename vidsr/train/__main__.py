"""`python -m vidsr.train RECIPE.toml`: `vidsr train` for a machine without the other packages that vidsr needs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vidsr.errors import ExitCode, VidsrError
from vidsr.train import watch


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m vidsr.train", description="Train a network as a recipe says.")
    parser.add_argument("recipe", type=Path, metavar="RECIPE.toml")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/train"), help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="continue the run in the folder")
    parser.add_argument("--init", help="start from these weights: a model's name, or a file")
    parser.add_argument("--steps", type=int, help="stop at this step; the schedule stays")
    parser.add_argument("--minutes", type=float, help="stop after this time; the schedule stays")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda[:N]")
    a = parser.parse_args()
    try:
        print(watch.train(a.recipe, a.output, a.resume, a.steps, a.minutes, a.device, init=a.init))
    except VidsrError as error:
        print(f"vidsr: {error}", file=sys.stderr)
        sys.exit(ExitCode.BAD_REQUEST)


if __name__ == "__main__":
    main()
