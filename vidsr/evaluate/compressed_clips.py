"""Measure models on compressed clips.

    python -m vidsr.evaluate.compressed_clips CLIP... [--models fast balanced] [--scale 4]

The luma of each clip is cropped to a multiple of the scale, downscaled with MATLAB's bicubic, encoded by libx264
(medium) at each CRF as 4:2:0, decoded and upscaled. PSNR-Y is against the uncompressed luma, without ``scale`` pixels
at each side, on the frames ``FRAMES``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt

from vidsr.evaluate.protocol import imresize, modcrop, shave
from vidsr.metrics import psnr
from vidsr.models import Model, load_model, weight_files
from vidsr.video.encode_decode import encode_and_decode
from vidsr.video.luma import read_luma

CRFS = (23, 28, 32)
ENCODED = 30  # frames of each clip, from the first
FRAMES = range(5, ENCODED, 8)  # measured

Plane = npt.NDArray[np.uint8]


def measure_clip(path: Path, models: dict[str, Model], scale: int) -> dict[str, dict[int, float]]:
    """Return name of a model (and ``bicubic``) -> CRF -> mean PSNR-Y."""
    originals = [modcrop(y.numpy(), scale) for y in islice(read_luma(path), ENCODED)]
    height, width = originals[0].shape
    small = np.stack([imresize(frame, height // scale, width // scale) for frame in originals])
    scores: dict[str, dict[int, float]] = {name: {} for name in ("bicubic", *models)}
    for crf in CRFS:
        decoded = encode_and_decode(small, "libx264", crf)
        frames = [index for index in FRAMES if index < len(decoded)]
        for name in scores:
            values = [_psnr_y(upscale(decoded[i], models.get(name), scale), originals[i], scale) for i in frames]
            scores[name][crf] = fmean(values)
    return scores


def upscale(plane: Plane, model: Model | None, scale: int) -> Plane:
    """Return a luma plane upscaled by ``model``, or by bicubic without one."""
    height, width = plane.shape
    return imresize(plane, height * scale, width * scale) if model is None else model(plane)


def _psnr_y(output: Plane, original: Plane, scale: int) -> float:
    return psnr(shave(output.astype(np.float64), scale), shave(original.astype(np.float64), scale))


def measure(clips: Sequence[Path], names: Sequence[str], scale: int) -> dict[str, dict[int, float]]:
    """Return the means over ``clips`` of bicubic and of every model in ``names``, in each of its domains."""
    models = {
        f"{e.name}-{e.domain}": load_model(e.name, scale, domain=e.domain)
        for e in weight_files.list_weights()
        if e.name in names and e.scale == scale
    }
    tables = []
    for clip in clips:
        tables.append(measure_clip(clip, models, scale))
        gains = {
            name: [round(scores[c] - tables[-1]["bicubic"][c], 2) for c in CRFS] for name, scores in tables[-1].items()
        }
        print(clip.name, "gain over bicubic at CRF", CRFS, gains, flush=True)
    return {name: {crf: fmean(t[name][crf] for t in tables) for crf in CRFS} for name in ("bicubic", *models)}


def main() -> None:
    """Print the table as text and as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--models", nargs="+", default=["fast", "balanced"])
    parser.add_argument("--scale", type=int, default=4)
    arguments = parser.parse_args()
    table = measure(arguments.clips, arguments.models, arguments.scale)
    for name, scores in table.items():
        gains = "  ".join(f"CRF {c}: {scores[c]:.2f} dB ({scores[c] - table['bicubic'][c]:+.2f})" for c in CRFS)
        print(f"{name:16} {gains}")
    print(json.dumps(table))


if __name__ == "__main__":
    main()
