"""`vidsr evaluate`: a network on folders of images, by the papers' protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from vidsr.cli.tables import print_json, print_rows
from vidsr.evaluate import image_sets
from vidsr.evaluate.image_sets import ImageScores
from vidsr.models import load_model
from vidsr.options.choices import WEIGHTS_DOMAIN
from vidsr.options.commands import BY_NAME


def evaluate(folders: list[Path], model: str, scale: int, domain: str, lr: Path | None, json: bool) -> None:
    """Print the scores of every image, and the means of every folder."""
    weights = WEIGHTS_DOMAIN[BY_NAME["evaluate"].option("domain").parsed(domain)]
    print_evaluation(image_sets.evaluate(load_model(model, scale, domain=weights), scale, folders, lr), json)


def print_evaluation(rows: Sequence[ImageScores], as_json: bool) -> None:
    """Print PSNR-Y, SSIM and MSE of every image, next to those of bicubic."""
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    columns = ("image", "PSNR-Y dB", "bicubic", "SSIM", "bicubic", "MSE", "bicubic")
    print_rows(
        columns,
        [
            (
                f"{row.folder}/{row.image}",
                f"{row.psnr_y:.2f}",
                f"{row.bicubic_psnr_y:.2f}",
                f"{row.ssim:.4f}",
                f"{row.bicubic_ssim:.4f}",
                f"{row.mse:.2f}",
                f"{row.bicubic_mse:.2f}",
            )
            for row in rows
        ],
    )
