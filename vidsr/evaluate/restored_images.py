"""Scores of a restoration network on sets of pictures, each made worse in the one way that stands for its training."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt

from vidsr.degrade.blur import Clip, GaussianBlur
from vidsr.degrade.degradations import Blurred, Chain, Degradation, GaussianNoise, VideoCodec
from vidsr.evaluate.images import pictures, read_picture
from vidsr.metrics import psnr, rgb_to_y, ssim
from vidsr.models import Model

Plane = npt.NDArray[np.uint8]  # H x W luma

FRAMES = 3  # of a still picture, so that an encoder predicts the last one

# kind of restoration_set.KINDS -> what is undone, in words, and the same in code
PROBES: dict[str, tuple[str, Degradation]] = {
    "blur": (
        "Gaussian blur of 1.6 pixels, noise of 2 codes",
        Chain((Blurred(GaussianBlur((1.6, 1.6))), GaussianNoise((2, 2)))),
    ),
    "noise": ("noise of 10 codes", GaussianNoise((10, 10))),
    "codec": ("libx264 at CRF 28", VideoCodec("libx264", (28, 28))),
}


def kind_of(metadata: Mapping[str, str]) -> str:
    """What kind of damage weights were trained to undo, by what their file says of itself: a key of PROBES.

    The first shard is named after it, or blur was made from sharp pictures while training went.
    """
    if tomllib.loads(metadata["recipe"]).get("task") == "deblur":
        return "blur"
    return metadata["data"].split(", ")[0].split("-")[0]


def evaluate_restoration(model: Model, kind: str, folders: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Folder name -> mean psnr_y and ssim of the restored pictures, and input_psnr_y of the degraded ones; luma."""
    return {folder.name: _mean([_scores(model, kind, path) for path in pictures(folder)]) for folder in folders}


def degraded(picture: Plane, kind: str) -> Plane:
    """``picture`` (H x W, uint8 luma) with what a network of ``kind`` undoes; always the same."""
    still: Clip = np.repeat(picture[None], FRAMES, 0)
    worse: Plane = PROBES[kind][1](still, np.random.default_rng(0))[-1]
    return worse


def _scores(model: Model, kind: str, path: Path) -> dict[str, float]:
    truth = rgb_to_y(read_picture(path)).round().astype(np.uint8)
    worse = degraded(truth, kind)
    restored = model(worse)
    sharp, result = truth.astype(np.float64), restored.astype(np.float64)
    return {
        "psnr_y": psnr(result, sharp),
        "ssim": ssim(result, sharp),
        "input_psnr_y": psnr(worse.astype(np.float64), sharp),
    }


def _mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: fmean(row[key] for row in rows) for key in rows[0]}
