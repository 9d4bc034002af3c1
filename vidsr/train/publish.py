"""From a finished run to weights that ship: measured on the benchmark sets, with the scores in their metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from vidsr.models import from_file, store
from vidsr.train.evaluate import evaluate


def publish(weights: Path, folders: Sequence[Path], target: Path = store.WEIGHTS) -> dict[str, dict[str, float]]:
    """Copy ``weights`` to the folder ``target`` with their scores: folder name -> psnr_y, ssim, bicubic_psnr_y."""
    model = from_file(weights)
    means = [row for row in evaluate(model, model.scale, folders) if row.picture == "mean"]
    scores = {
        row.folder: {
            "psnr_y": round(row.psnr_y, 3),
            "ssim": round(row.ssim, 4),
            "bicubic_psnr_y": round(row.bicubic_psnr_y, 3),
        }
        for row in means
    }
    store.write(target / weights.name, model.network, {**model.metadata, "scores": json.dumps(scores)})
    return scores
