"""Measure what restoration does to chroma: PSNR of Cb and Cr of noisy and of compressed clips before and after.

    python benchmarks/chroma_noise.py [--clips bee ...] [--json PATH]

Each clip of $VIDSR_DATA/clips gives frames of at most 360 columns. They get Gaussian noise (of luma and chroma, white
or in blotches: blurred by one sample), or go through libx264; nothing else damages "clean". The stages of `--denoise 1`
or `--restore 1` restore them, rounded to 8 bits; the figures are of the middle frame. "remaining" is the standard
deviation of what is wrong in chroma, before and after. "worst" is the smallest gain of a clip.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from _timer import machine
from chroma import DATA, as_batch, downscaled, halved
from numpy.typing import NDArray

from vidsr.frames import VideoInfo, concat
from vidsr.metrics import psnr
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import make_plan
from vidsr.stages.build import build_stages
from vidsr.stages.diagnosis import ClipSamples
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.stopwatch import Stopwatch
from vidsr.video import VideoReader
from vidsr.video.encode_decode import encode_and_decode_420

FIRST, FRAMES, WIDEST, MULTIPLE = 10, 5, 360, 8
QUANTIZER = 6.0  # above the CRF: the mean quantizer of x264 in a short clip, roughly

Clip = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # luma T x H x W, chroma T x 2 x h x w


class Damage(NamedTuple):
    """What happens to a clip, and what shall restore it."""

    luma: float = 0.0  # standard deviation of noise, code values
    chroma: float = 0.0
    blotches: bool = False
    crf: int | None = None
    task: str = "denoise"
    strength: float | str = 1.0


DAMAGES = {
    "noise 5, chroma 2": Damage(5, 2),
    "noise 10, chroma 4": Damage(10, 4),
    "noise 10, chroma 4 in blotches": Damage(10, 4, True),
    "x264 CRF 28": Damage(crf=28, task="restore"),
    "x264 CRF 35": Damage(crf=35, task="restore"),
    "clean, --denoise auto": Damage(strength="auto"),
    "clean, --restore auto": Damage(task="restore", strength="auto", crf=12),
}


def clips(names: list[str] | None) -> Iterator[tuple[str, Clip]]:
    for path in sorted((DATA / "clips").iterdir()):
        if names is not None and path.stem not in names:
            continue
        with VideoReader(path, frames=FIRST + FRAMES) as reader:
            frames = [halved(frame, reader.info, MULTIPLE) for frame in list(reader.batches(1))[-FRAMES:]]
        if frames[0][0].shape[1] > WIDEST:
            frames = [downscaled(planes, 2) for planes in frames]
        yield (
            path.stem,
            (np.stack([y for y, _ in frames]).astype(np.uint8), np.stack([uv for _, uv in frames]).astype(np.uint8)),
        )


def damaged(clip: Clip, damage: Damage) -> Clip:
    luma, uv = clip
    if damage.crf is not None:
        return encode_and_decode_420(luma, uv, "libx264", damage.crf)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, uv.shape)
    if damage.blotches:
        noise = np.stack([[cv2.GaussianBlur(plane, (0, 0), 1.0) for plane in frame] for frame in noise])
        noise /= noise.std()
    return _codes(luma + damage.luma * rng.normal(0, 1, luma.shape)), _codes(uv + damage.chroma * noise)


def _codes(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def restored(clip: Clip, damage: Damage) -> Clip:
    luma, uv = clip
    frames = [as_batch((y, chroma)) for y, chroma in zip(luma, uv, strict=True)]
    frames = [replace(frame, times=(Fraction(n, 25),)) for n, frame in enumerate(frames)]
    info = VideoInfo(luma.shape[2], luma.shape[1], Fraction(25), codec="h264" if damage.crf else "ffv1")
    samples = ClipSamples(tuple(frame.y for frame in frames), None if damage.crf is None else damage.crf + QUANTIZER)
    options = parse_options(**{damage.task: damage.strength, "device": "cpu"})
    result = concat(
        list(build_stages(make_plan(options, info, samples).stages, info)(mark_repeats(iter(frames)), Stopwatch()))
    )
    assert result.uv is not None
    return _codes(result.y[:, 0].numpy()), _codes(result.uv.numpy())


def row(damage: Damage, names: list[str] | None) -> dict[str, Any]:
    before, after, gains, left = [], [], {}, []
    for name, clip in clips(names):
        bad = damaged(clip, damage)
        good = restored(bad, damage)
        middle, true = FRAMES // 2, clip[1]
        if damage.strength == "auto":  # clean: what `auto` changes of the input
            changed = not all(np.array_equal(a, b) for a, b in zip(bad, good, strict=True))
            gains[name] = float(-changed)
            continue
        scores = [fmean(psnr(planes[middle, p], true[middle, p]) for p in range(2)) for planes in (bad[1], good[1])]
        before.append(scores[0])
        after.append(scores[1])
        gains[name] = scores[1] - scores[0]
        left.append([float(np.std(planes[middle].astype(float) - true[middle])) for planes in (bad[1], good[1])])
    worst = min(gains, key=lambda name: gains[name])
    if damage.strength == "auto":
        return {"clips": len(gains), "changed": sum(gain < 0 for gain in gains.values())}
    return {
        "clips": len(gains),
        "psnr_before": round(fmean(before), 2),
        "psnr_after": round(fmean(after), 2),
        "gain": round(fmean(gains.values()), 2),
        "worst": round(gains[worst], 2),
        "worst_name": worst,
        "remaining_before": round(fmean(one[0] for one in left), 2),
        "remaining_after": round(fmean(one[1] for one in left), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", help="default: all")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no data folder at {DATA}: name one with VIDSR_DATA")
    torch.set_num_threads(1)
    table = {}
    for label, damage in DAMAGES.items():
        table[label] = row(damage, arguments.clips)
        print(f"{label:32s}", "  ".join(f"{key} {value}" for key, value in table[label].items()), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "rows": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
