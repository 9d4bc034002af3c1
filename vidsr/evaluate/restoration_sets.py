"""Scores of a restoration network on folders of images, each degraded in the way that stands for its training data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt

from vidsr.degrade.blur import Clip, GaussianBlur
from vidsr.degrade.degradations import Blurred, Chain, Degradation, GaussianNoise, VideoCodec
from vidsr.evaluate.image_sets import find_images, read_image
from vidsr.metrics import psnr, rgb_to_y, ssim
from vidsr.models import Model

Plane = npt.NDArray[np.uint8]  # H x W luma

FRAMES = 3  # made of a still image, so that an encoder predicts the last one

# kind of degradation (train.prepare.restoration_pairs.KINDS) -> its description, and the degradation
PROBES: dict[str, tuple[str, Degradation]] = {
    "blur": (
        "Gaussian blur of 1.6 pixels, noise of 2 codes",
        Chain((Blurred(GaussianBlur((1.6, 1.6))), GaussianNoise((2, 2)))),
    ),
    "noise": ("noise of 10 codes", GaussianNoise((10, 10))),
    "codec": ("libx264 at CRF 28", VideoCodec("libx264", (28, 28))),
}


def degradation_kind(metadata: Mapping[str, str]) -> str:
    """Return the kind of degradation (a key of PROBES) that weights were trained to undo, from their metadata.

    The first shard is named after it; recipes of the task ``deblur`` blur sharp images while they train.
    """
    if tomllib.loads(metadata["recipe"]).get("task") == "deblur":
        return "blur"
    return metadata["data"].split(", ")[0].split("-")[0]


def evaluate_restoration(model: Model, kind: str, folders: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Return folder name -> mean psnr_y and ssim of the restored images, and input_psnr_y of the degraded; luma."""
    return {folder.name: _means([_scores(model, kind, path) for path in find_images(folder)]) for folder in folders}


def degraded(plane: Plane, kind: str) -> Plane:
    """Return ``plane`` (H x W, uint8 luma) degraded as networks of ``kind`` expect; always the same."""
    still: Clip = np.repeat(plane[None], FRAMES, 0)
    worse: Plane = PROBES[kind][1](still, np.random.default_rng(0))[-1]
    return worse


def _scores(model: Model, kind: str, path: Path) -> dict[str, float]:
    original = rgb_to_y(read_image(path)).round().astype(np.uint8)
    worse = degraded(original, kind)
    restored = model(worse)
    sharp, output = original.astype(np.float64), restored.astype(np.float64)
    return {
        "psnr_y": psnr(output, sharp),
        "ssim": ssim(output, sharp),
        "input_psnr_y": psnr(worse.astype(np.float64), sharp),
    }


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: fmean(row[key] for row in rows) for key in rows[0]}
