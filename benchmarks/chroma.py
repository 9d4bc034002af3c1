"""Measure the chroma of an upscale, guided by luma and by bicubic: PSNR of Cb and Cr, and CIEDE2000.

    python benchmarks/chroma.py [--parts photos ...] [--scales 4 2] [--model balanced] [--json PATH]

Images become Y'CbCr (BT.601) and are downscaled by the antialiased bicubic, chroma to 4:2:0 of left siting, all planes
rounded to 8 bits. The network upscales luma, and both methods upscale the same chroma. PSNR is the mean of Cb and Cr,
over all pixels, against the 4:2:0 chroma of the large image. CIEDE2000 is the mean difference between the output and
the large image, both as RGB. "worst" is the smallest gain of an image or clip.

Parts: photos (every fifth of $VIDSR_DATA/train/photos, at most 640x640 of its centre), set14 (Set5 and Set14), drawings
(flat colours with dark outlines, made from those photos), text (drawn by OpenCV), clips ($VIDSR_DATA/clips at each CRF
of libx264, two frames each; wide ones at half their size), speed (milliseconds of processor time for a frame of 480x270
on one thread).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from _ciede2000 import ciede2000, to_lab
from _timer import machine
from numpy.typing import NDArray

from vidsr.color import convert_chroma, rgb_to_ycbcr, to_rgb
from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.kernels.guided_chroma import at_chroma
from vidsr.kernels.resample import resize
from vidsr.kernels.rounding import round_codes
from vidsr.metrics import psnr
from vidsr.options.choices import ChromaFrom
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import make_plan
from vidsr.stages.build import build_upscale
from vidsr.stages.upscale import Upscale
from vidsr.train.prepare.drawings import drawing
from vidsr.video import VideoReader
from vidsr.video.encode_decode import encode_and_decode_420
from vidsr.video.image import RGB_COLOR

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
METHODS: tuple[ChromaFrom, ...] = ("kernel", "guided")
CRFS = (0, 18, 23, 28, 33)  # 0: not encoded
SIDE, WIDEST, FRAMES, MEASURED = 640, 720, 20, (12, 18)
TEXTS, COLOURS = 8, ((0, 0, 255), (255, 0, 0), (0, 128, 0), (0, 128, 255), (160, 0, 160), (200, 160, 0), (0, 255, 255))

Planes = tuple[NDArray[Any], NDArray[Any]]  # luma H x W, chroma 2 x h x w
Image = NDArray[np.uint8]  # H x W x 3, BGR


class Case(NamedTuple):
    """A small frame and the truth."""

    name: str
    small: Planes  # uint8
    true: Planes  # float32; chroma 4:2:0
    rgb: NDArray[Any]  # H x W x 3, 0 to 1


# --- images


def photos() -> Iterator[tuple[str, Image]]:
    for path in sorted((DATA / "train" / "photos").iterdir())[::5]:
        image = cv2.imread(str(path))
        top, left = (max(0, side - SIDE) // 2 for side in image.shape[:2])
        yield path.stem, image[top : top + SIDE, left : left + SIDE].astype(np.uint8)


def set14() -> Iterator[tuple[str, Image]]:
    for folder in ("set5", "set14"):
        for path in sorted((DATA / folder).iterdir()):
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if image.ndim == 3:
                yield f"{folder} {path.stem}", image[..., :3].astype(np.uint8)


def drawings() -> Iterator[tuple[str, Image]]:
    for number, (name, photo) in enumerate(photos()):
        rng = np.random.default_rng(number)
        shades = drawing(cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY).astype(np.uint8), rng)
        palette = rng.integers(30, 256, (256, 3)).astype(np.float32) * (np.arange(256)[:, None] > 62)  # dark outlines
        positions = np.linspace(0, 255, 256)
        kept = np.unique(
            shades[:: max(1, shades.size // 4096)]
        )  # shades in between mix the colours of their neighbours
        colours = np.stack([np.interp(positions, kept, palette[kept, channel]) for channel in range(3)], 1)
        yield name, np.rint(colours[shades]).astype(np.uint8)


def texts() -> Iterator[tuple[str, Image]]:
    for number in range(TEXTS):
        rng = np.random.default_rng(number)
        ground = (255, 255, 255) if number % 2 == 0 else tuple(int(v) for v in rng.integers(0, 256, 3))
        image = np.full((640, 960, 3), ground, np.uint8)
        top = 0
        while top < image.shape[0]:
            size = float(rng.uniform(0.8, 2.4))
            font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
            thickness = int(rng.integers(2, 5))
            top, left = top + int(40 * size), 8
            while left < image.shape[1]:
                word = "".join(chr(97 + int(c)) for c in rng.integers(0, 26, int(rng.integers(2, 9))))
                colour = COLOURS[int(rng.integers(len(COLOURS)))]
                cv2.putText(image, word, (left, top), font, size, colour, thickness, cv2.LINE_AA)
                left += cv2.getTextSize(word + " ", font, size, thickness)[0][0]
        yield f"text {number}", image


IMAGES: dict[str, Callable[[], Iterator[tuple[str, Image]]]] = {
    "photos": photos,
    "set14": set14,
    "drawings": drawings,
    "text": texts,
}


def to_420(uv: NDArray[Any]) -> NDArray[Any]:
    return np.stack([at_chroma(np.ascontiguousarray(plane), 2, 0.0, 2, 0.5) for plane in uv])


def image_cases(part: str, scale: int) -> Iterator[Case]:
    for name, image in IMAGES[part]():
        height, width = (side // (2 * scale) * 2 * scale for side in image.shape[:2])
        rgb = np.ascontiguousarray(image[:height, :width, ::-1]).astype(np.float32) / 255
        y, uv = rgb_to_ycbcr(torch.from_numpy(rgb).permute(2, 0, 1)[None], RGB_COLOR, 8)
        luma, chroma = y[0, 0].numpy(), uv[0].numpy()
        small = [resize(plane, width // scale, height // scale) for plane in (luma, chroma)]
        coded = round_codes(small[0], 255), round_codes(to_420(small[1]), 255)
        yield Case(name, coded, (luma, to_420(chroma)), rgb)


def clip_cases(scale: int, crf: int) -> Iterator[Case]:
    for path in sorted((DATA / "clips").iterdir()):
        with VideoReader(path, frames=FRAMES) as reader:
            frames, info = list(reader.batches(1)), reader.info
        large = [halved(frame, info, 4 * scale) for frame in frames]
        small = [downscaled(planes, scale) for planes in large]
        luma, chroma = np.stack([y for y, _ in small]), np.stack([uv for _, uv in small])
        if crf:
            luma, chroma = encode_and_decode_420(luma, chroma, "libx264", crf)
        for index in MEASURED:
            if index < len(large):
                y, uv = large[index]
                rgb = as_rgb(torch.from_numpy(y)[None, None], torch.from_numpy(uv)[None])
                yield Case(path.stem, (luma[index], chroma[index]), large[index], rgb)


def halved(frame: FrameBatch, info: VideoInfo, multiple: int) -> Planes:
    """Return 4:2:0 planes cropped to ``multiple``; a wide frame at half its size."""
    assert frame.uv is not None
    y, uv = frame.y[0, 0].numpy(), convert_chroma(frame.uv, info.chroma, "420", (info.width, info.height))[0].numpy()
    half = 2 if y.shape[1] > WIDEST else 1
    height, width = (side // (half * multiple) * half * multiple for side in y.shape)
    y, uv = y[:height, :width].astype(np.float32), np.ascontiguousarray(uv[:, : height // 2, : width // 2])
    planes = (y, uv) if half == 1 else _resized((y, uv), width // 2, height // 2)
    return np.rint(planes[0]), np.rint(planes[1])


def downscaled(planes: Planes, scale: int) -> Planes:
    height, width = planes[0].shape
    y, uv = _resized(planes, width // scale, height // scale)
    return round_codes(y, 255), round_codes(uv, 255)


def _resized(planes: Planes, width: int, height: int) -> Planes:
    """Resize 4:2:0 planes of left siting."""
    shift = 0.25 - 0.25 * planes[0].shape[1] / width
    y = resize(planes[0], width, height)
    return y, resize(planes[1], width // 2, height // 2, shift_x=shift)


# --- measures


def as_batch(planes: Planes) -> FrameBatch:
    y, uv = (torch.from_numpy(np.ascontiguousarray(plane)) for plane in planes)
    return FrameBatch(y[None, None], uv[None], (Fraction(0),), (Origin(0),))


def as_rgb(y: torch.Tensor, uv: torch.Tensor) -> NDArray[Any]:
    info = VideoInfo(y.shape[-1], y.shape[-2], None, color=RGB_COLOR)
    frame = FrameBatch(y.float(), uv.float(), (Fraction(0),), (Origin(0),))
    return to_rgb(frame, info)[0].permute(1, 2, 0).numpy()


def upscalers(model: str, scale: int, domain: str, size: tuple[int, int]) -> dict[ChromaFrom, Upscale]:
    """Return the stage of each method for frames of ``size``; outputs are rounded."""
    info = VideoInfo(*size, Fraction(25), color=RGB_COLOR)
    stages = {}
    for method in METHODS:
        options = parse_options(scale=scale, model=model, domain=domain, chroma_from=method, device="cpu")
        spec = make_plan(options, info).upscale
        assert spec is not None
        stages[method] = build_upscale(spec, info)
    return stages


def scores(case: Case, model: str, scale: int, domain: str) -> dict[ChromaFrom, tuple[float, float]]:
    """Return PSNR of chroma and CIEDE2000 of each method."""
    found = {}
    truth = to_lab(case.rgb.astype(np.float64))
    size = case.small[0].shape[::-1]
    for method, stage in upscalers(model, scale, domain, (size[0], size[1])).items():
        (result,) = stage(iter([as_batch(case.small)]))
        assert result.uv is not None
        channels = [psnr(plane.numpy(), true) for plane, true in zip(result.uv[0], case.true[1], strict=True)]
        difference = ciede2000(to_lab(as_rgb(result.y, result.uv).astype(np.float64)), truth)
        found[method] = fmean(min(channel, 60.0) for channel in channels), float(difference.mean())
    return found


def summary(cases: Iterator[Case], model: str, scale: int, domain: str) -> dict[str, Any]:
    by_name: dict[str, list[dict[ChromaFrom, tuple[float, float]]]] = {}
    for case in cases:
        by_name.setdefault(case.name, []).append(scores(case, model, scale, domain))
    gains = {name: fmean(s["guided"][0] - s["kernel"][0] for s in found) for name, found in by_name.items()}
    every = [score for found in by_name.values() for score in found]
    row: dict[str, Any] = {"images": len(by_name)}
    for method in METHODS:
        row[f"{method}_psnr"] = round(fmean(score[method][0] for score in every), 3)
        row[f"{method}_ciede2000"] = round(fmean(score[method][1] for score in every), 3)
    worst = min(gains, key=lambda name: gains[name])
    return row | {"gain": round(fmean(gains.values()), 3), "worst": round(gains[worst], 3), "worst_name": worst}


def speed(model: str, scale: int) -> dict[str, Any]:
    """Return processor milliseconds per frame of the network and of each method for chroma."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    taken: dict[str, list[float]] = {name: [] for name in ("network", *METHODS)}
    stages = upscalers(model, scale, "clean", (480, 270))
    for _ in range(9):
        # a new frame each time: unchanged tiles are not computed again
        frame = as_batch((rng.integers(0, 256, (270, 480), np.uint8), rng.integers(0, 256, (2, 135, 240), np.uint8)))
        for method, stage in stages.items():
            stage.watch.seconds.clear()
            stage.watch._clock = time.process_time
            list(stage(iter([frame])))
            taken["network"].append(stage.watch.seconds["network"])
            taken[method].append(stage.watch.seconds["chroma"])
    row = {f"{name}_ms": round(1000 * median(values[2:]), 2) for name, values in taken.items()}
    return row | {"share_of_network": round(row["guided_ms"] / row["network_ms"], 3)}


def rows(parts: list[str], scales: list[int], model: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for scale in scales:
        for part in parts:
            if part in IMAGES:
                yield f"{part} x{scale}", summary(image_cases(part, scale), model, scale, "clean")
            elif part == "clips":
                for crf in CRFS:
                    domain = "compressed" if crf > 18 else "clean"
                    yield f"clips CRF {crf} x{scale}", summary(clip_cases(scale, crf), model, scale, domain)
            else:
                yield f"speed x{scale}", speed(model, scale)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=[*IMAGES, "clips", "speed"], default=[*IMAGES, "clips", "speed"])
    parser.add_argument("--scales", nargs="+", type=int, default=[4, 2])
    parser.add_argument("--model", default="balanced")
    parser.add_argument("--json", type=Path, help="file to write; rows of other parts are kept")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no data folder at {DATA}: name one with VIDSR_DATA")
    table: dict[str, Any] = {}
    if arguments.json and arguments.json.exists():
        table = json.loads(arguments.json.read_text())["rows"]
    for label, row in rows(arguments.parts, arguments.scales, arguments.model):
        table[label] = {"model": arguments.model, **row}
        print(f"{label:18s}", "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "rows": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
