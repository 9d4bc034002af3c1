"""From a finished run to weights that ship: measured on the benchmark sets, with the scores in their metadata.

python -m vidsr.evaluate.publish runs/best-x2/best-clean-x2.safetensors set5/ set14/
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from vidsr.evaluate.image_sets import MEAN, evaluate
from vidsr.models import Model, from_file
from vidsr.models import weights as store


def publish(weights: Path, folders: Sequence[Path], target: Path = store.WEIGHTS) -> dict[str, dict[str, float]]:
    """Copy ``weights`` to the folder ``target`` with their scores: folder name -> score -> value."""
    model = from_file(weights)
    measured = _restoration(model, folders) if model.scale == 1 else _upscaling(model, folders)
    scores = {
        folder: {name: round(value, 4 if name == "ssim" else 3) for name, value in row.items()}
        for folder, row in measured.items()
    }
    store.write(target / weights.name, model.network, {**model.metadata, "scores": json.dumps(scores)})
    return scores


def _restoration(model: Model, folders: Sequence[Path]) -> dict[str, dict[str, float]]:
    # needs codecs, which upscaling's scores do not
    from vidsr.evaluate.restoration_sets import degradation_kind, evaluate_restoration

    return evaluate_restoration(model, degradation_kind(model.metadata), folders)


def _upscaling(model: Model, folders: Sequence[Path]) -> dict[str, dict[str, float]]:
    means = [row for row in evaluate(model, model.scale, folders) if row.image == MEAN]
    return {r.folder: {"psnr_y": r.psnr_y, "ssim": r.ssim, "bicubic_psnr_y": r.bicubic_psnr_y} for r in means}


def main() -> None:
    """Publish what the command line names, and write the model cards again."""
    from vidsr.evaluate import model_cards as cards

    parser = argparse.ArgumentParser(description="Measure weights and make them shipped ones.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of sharp pictures to measure on")
    parser.add_argument("-o", "--output", type=Path, default=store.WEIGHTS, help="folder of the shipped weights")
    arguments = parser.parse_args()
    print(publish(arguments.weights, arguments.folders, arguments.output))
    print(cards.write(arguments.output))


if __name__ == "__main__":
    main()
