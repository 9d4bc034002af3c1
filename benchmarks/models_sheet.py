"""Picture and cost of the community networks: docs/models.jpg and the cost column of docs/models.md.

    python benchmarks/models_sheet.py [--output docs/models.jpg]

Three crops without a true high resolution are enlarged by four: a photo (samples/phone_dog.mp4), an animated film
($VIDSR_DATA/train/clips/bbb_1080p24.mp4 at a third of its size) and a compressed clip (samples/city_cut.mp4). Networks
of scale 2 run twice. Costs are multiply-accumulates per input pixel, and processor time per input megapixel on one
thread in float32.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from time import process_time

import cv2
import numpy as np
import torch
from _timer import machine

from vidsr import color
from vidsr.models import Model, available_scales, load_model
from vidsr.models.model import codes
from vidsr.stages.upscale import resize_planes
from vidsr.video import VideoReader

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
SCALE = 4
KERNEL = "bicubic"
MODELS = ("best", "animevideov3", "x4plus", "x4plus-anime", "cugan", "waifu2x", "waifu2x-anime", "waifu2x-photo")
WIDTH, HEIGHT = 56, 44  # of a crop, source pixels
Image = np.ndarray

# (clip, frame, reduction before the crop, left, top)
CROPS = (
    (ROOT / "samples" / "phone_dog.mp4", 4, 1, 168, 108),
    (DATA / "train" / "clips" / "bbb_1080p24.mp4", 40, 3, 304, 60),
    (ROOT / "samples" / "city_cut.mp4", 3, 1, 130, 70),
)


def crop(clip: Path, number: int, reduction: int, left: int, top: int) -> Image:
    """Return a crop of a frame, H x W x 3 RGB."""
    with VideoReader(clip, frames=number + 1) as reader:
        *_, frame = reader.batches(1)
        rgb = color.to_rgb(frame, reader.info)[0].clamp(0, 1) * 255
    _, h, w = rgb.shape
    small = resize_planes(rgb[None], w // reduction, h // reduction, KERNEL)
    return codes(small[0, :, top : top + HEIGHT, left : left + WIDTH].permute(1, 2, 0)).numpy()


def enlarge(name: str, image: Image) -> tuple[Image, Model | None, float]:
    """Return the image enlarged by `SCALE`, the model, and processor seconds of its first call."""
    if name == KERNEL:
        planes = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        large = resize_planes(planes, SCALE * WIDTH, SCALE * HEIGHT, KERNEL)
        return codes(large[0].permute(1, 2, 0)).numpy(), None, 0.0
    scale = max(available_scales(name))
    model = load_model(name, scale)
    started = process_time()
    large = model(image)
    seconds = process_time() - started
    return (large if scale == SCALE else model(large)), model, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "models.jpg")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images = [crop(*row) for row in CROPS]
    columns = []
    for name in (KERNEL, *MODELS):
        results = [enlarge(name, image) for image in images]
        model, seconds = results[0][1], min(seconds for *_, seconds in results)
        if model is not None:
            cost = (
                f"{model.kmac_per_pixel:9.1f} kMAC per pixel, {seconds / (WIDTH * HEIGHT / 1e6):7.1f} s per megapixel"
            )
            print(f"{name:14s} x{model.scale} {cost}", flush=True)
        column = np.vstack([large for large, *_ in results])[:, :, ::-1].copy()
        header = np.full((18, column.shape[1], 3), 255, np.uint8)
        cv2.putText(header, name, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        columns.append(np.vstack([header, column]))
    half = (len(columns) + 1) // 2
    blank = [np.full_like(columns[0], 255)] * (2 * half - len(columns))
    rows = [np.hstack(part) for part in (columns[:half], columns[half:] + blank)]
    cv2.imwrite(str(arguments.output), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 92])
    print(f"one thread, float32; {machine()}")


if __name__ == "__main__":
    main()
