"""Publish the weights of a training run: measure them on benchmark sets and write the scores to their metadata.

python -m vidsr.evaluate.publish runs/best-x2/best-clean-x2.safetensors set5/ set14/
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from vidsr.errors import ModelError
from vidsr.evaluate import model_cards
from vidsr.evaluate.image_sets import MEAN, evaluate
from vidsr.evaluate.restoration_sets import degradation_kind, evaluate_restoration
from vidsr.models import Model, from_file, weight_files
from vidsr.models.layers import LumaNetwork


def publish(weights: Path, folders: Sequence[Path], target: Path = weight_files.WEIGHTS) -> dict[str, dict[str, float]]:
    """Copy ``weights`` to the folder ``target`` with their scores; return folder name -> score -> value."""
    model = from_file(weights)
    if not isinstance(model.network, LumaNetwork):
        raise ModelError(f"{weights} is of another program: give weights that vidsr train has made")
    measured = _restoration(model, folders) if model.scale == 1 else _upscaling(model, folders)
    scores = {
        folder: {name: round(value, 4 if name == "ssim" else 3) for name, value in row.items()}
        for folder, row in measured.items()
    }
    weight_files.write(target / weights.name, model.network, {**model.metadata, "scores": json.dumps(scores)})
    return scores


def _restoration(model: Model, folders: Sequence[Path]) -> dict[str, dict[str, float]]:
    return evaluate_restoration(model, degradation_kind(model.metadata), folders)


def _upscaling(model: Model, folders: Sequence[Path]) -> dict[str, dict[str, float]]:
    means = [row for row in evaluate(model, model.scale, folders) if row.image == MEAN]
    return {r.folder: {"psnr_y": r.psnr_y, "ssim": r.ssim, "bicubic_psnr_y": r.bicubic_psnr_y} for r in means}


def main() -> None:
    """Publish the weights named on the command line, and write the model cards."""
    parser = argparse.ArgumentParser(description="Measure weights and add them to the shipped ones.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of sharp images to measure on")
    parser.add_argument("-o", "--output", type=Path, default=weight_files.WEIGHTS, help="folder of the shipped weights")
    arguments = parser.parse_args()
    print(publish(arguments.weights, arguments.folders, arguments.output))
    print(model_cards.write(arguments.output))


if __name__ == "__main__":
    main()
