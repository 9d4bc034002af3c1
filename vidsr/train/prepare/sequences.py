"""Write sequences of frames in HR and LR, with their optical flow, as one shard.

    python -m vidsr.train.prepare.sequences -o SHARD --scale 4 --clips DIR... --photos DIR... [--scenes 800]
        [--windows 400] [--crf 18 30] [--seed 0]

A sequence is twelve frames, 256 x 352 pixels or less in HR. It comes from a window of a clip, downscaled by two or
taken at every second frame, or from a synthetic scene of moving layers (`moving_layers.py`). LR is made by the
antialiased bicubic and, with ``--crf``, encoded by libx264 at a random CRF and decoded again. Flow is stored so that
training needs no search: from each LR frame to the one before it, and to the one after it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from vidsr.flow.search import find_fine_flow
from vidsr.options.input_folder import CLIP_SUFFIXES
from vidsr.runtime.output_file import OutputFile
from vidsr.train.data.sequences import KIND
from vidsr.train.prepare import moving_layers
from vidsr.train.prepare.dataset import downscale, find_files, luma_planes
from vidsr.video.encode_decode import encode_and_decode
from vidsr.video.luma import read_luma

Luma = NDArray[np.uint8]  # T x H x W
Array = NDArray[Any]

FRAMES = 12
HEIGHT, WIDTH = moving_layers.HEIGHT, moving_layers.WIDTH
REDUCTION = 2  # of clips and photos, which removes most of their coding noise
MAX_CLIP_FRAMES = 130
SKIPPED = 0.3  # share of the windows that take every second frame
LEAST_MOTION = 1.0  # mean change of a window in code values; stiller ones are mostly left out
STILL_KEPT = 0.2  # share of those that are kept
FLAT = 8.0  # standard deviation of a frame below which it has too little detail
SHAKEN = 0.5  # share of the scenes that move unevenly
UNEVENNESS = 0.25  # intervals, standard deviation of the time of their frames
GRAIN = 0.1  # share of the scenes that keep their noise: HR should be clean
VALIDATION_EVERY = 16  # one source in this many is for validation


def build(
    clips: Sequence[Path],
    photos: Sequence[Path],
    scale: int,
    scenes: int,
    windows: int,
    out: Path,
    crfs: tuple[int, int] | None = None,
    seed: int = 0,
) -> int:
    """Write ``windows`` windows of ``clips`` and ``scenes`` scenes cut from ``photos``; return the number of sequences.

    ``clips`` and ``photos`` are files or folders.
    """

    def sources() -> Iterator[Luma]:
        paths = [path for path in find_files(clips) if path.suffix.lower() in CLIP_SUFFIXES]
        if paths:
            yield from draw_windows(paths, windows, seed)
        images = [plane.numpy() for path in find_files(photos) for plane in luma_planes(path, REDUCTION, 1)]
        if images:
            yield from draw_scenes(images, scenes, seed)

    return write_shard(sources(), scale, crfs, seed, out)


def draw_scenes(photos: Sequence[Array], count: int, seed: int) -> Iterator[Luma]:
    """Yield synthetic sequences of layers cut from ``photos``."""
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        scene = moving_layers.draw_scene(photos, rng)
        if rng.random() >= GRAIN:
            scene = replace(scene, noise=0.0)
        unevenness = UNEVENNESS if rng.random() < SHAKEN else 0.0
        times = np.arange(FRAMES) - FRAMES / 2 + rng.normal(0, unevenness, FRAMES)
        yield np.stack([scene.at(float(time)) for time in times])


def draw_windows(clips: Sequence[Path], count: int, seed: int) -> Iterator[Luma]:
    """Yield ``count`` windows of clips, each at a random place and time, half of them reversed."""
    rng = np.random.default_rng((seed, 1))
    order = np.sort(rng.integers(len(clips), size=count))  # clip by clip: only one is decoded at a time
    for index in order:
        frames = read_clip(clips[index])
        for _ in range(20):  # attempts
            window = draw_window(frames, rng)
            if window is not None:
                yield window
                break


@lru_cache(maxsize=1)
def read_clip(path: Path) -> Luma:
    """Return the first frames of a clip, downscaled by area."""
    frames = []
    for y in read_luma(path):
        size = (y.shape[1] // REDUCTION, y.shape[0] // REDUCTION)
        frames.append(cv2.resize(y.numpy(), size, interpolation=cv2.INTER_AREA))
        if len(frames) == MAX_CLIP_FRAMES:
            break
    return np.stack(frames)


def draw_window(frames: Luma, rng: np.random.Generator) -> Luma | None:
    """Return a random window, or None for one that is too short, too flat or too still."""
    step = 2 if rng.random() < SKIPPED else 1
    count, h, w = frames.shape
    if count < FRAMES * step or min(h, w) < HEIGHT // 2:
        return None
    first = int(rng.integers(count - FRAMES * step + 1))
    high, wide = min(h, HEIGHT), min(w, WIDTH)
    top, left = int(rng.integers(h - high + 1)), int(rng.integers(w - wide + 1))
    window = frames[first : first + FRAMES * step : step, top : top + high, left : left + wide]
    change = np.abs(window[0].astype(np.float32) - window[-1]).mean()
    if window[0].std() < FLAT or (change < LEAST_MOTION and rng.random() >= STILL_KEPT):
        return None
    return window[::-1].copy() if rng.random() < 0.5 else window.copy()


def make_lr(hr: Luma, scale: int, crf: int | None) -> Luma:
    """Return the LR frames of ``hr``, encoded at ``crf`` unless it is None."""
    small = downscale(torch.from_numpy(np.moveaxis(hr, 0, -1).copy()), scale).round().clamp(0, 255)
    lr = np.ascontiguousarray(np.moveaxis(small.to(torch.uint8).numpy(), -1, 0))
    return lr if crf is None else encode_and_decode(lr, "libx264", crf)


def flows(lr: Luma) -> tuple[Array, Array]:
    """Return the flow of each frame to the one before it and to the one after it, T x 2 x h x w float16.

    It is zero where there is no such frame.
    """
    back, ahead = (np.zeros((len(lr), 2, *lr.shape[1:]), np.float16) for _ in range(2))
    for index in range(1, len(lr)):
        back[index] = np.moveaxis(find_fine_flow(lr[index], lr[index - 1]), -1, 0)
        ahead[index - 1] = np.moveaxis(find_fine_flow(lr[index - 1], lr[index]), -1, 0)
    return back, ahead


def write_shard(sources: Iterator[Luma], scale: int, crfs: tuple[int, int] | None, seed: int, out: Path) -> int:
    """Write the sequences as the shard ``out``; return their number."""
    rng = np.random.default_rng((seed, 2))
    planes: dict[str, list[Array]] = {"hr": [], "lr": [], "back": [], "ahead": []}
    rows: list[tuple[int, int, int, int]] = []  # offset in LR pixels, height and width of LR, validation
    offset = 0
    for number, frames in enumerate(sources):
        h, w = (side // scale * scale for side in frames.shape[1:])
        hr = np.ascontiguousarray(frames[:, :h, :w])
        lr = make_lr(hr, scale, None if crfs is None else int(rng.integers(crfs[0], crfs[1] + 1)))
        back, ahead = flows(lr)
        for name, plane in zip(planes, (hr, lr, back, ahead), strict=True):
            planes[name].append(plane.reshape(-1))
        rows.append((offset, *lr.shape[1:], int(number % VALIDATION_EVERY == VALIDATION_EVERY - 1)))
        offset += lr.size
        if number % 50 == 0:
            print(f"{number} sequences", flush=True)
    tensors = {name: torch.from_numpy(np.concatenate(parts)) for name, parts in planes.items()}
    with OutputFile(out, make_folders=True) as file:
        save_file({**tensors, "table": torch.tensor(rows)}, file.part, {"kind": KIND, "scale": str(scale)})
    return len(rows)


def main() -> None:
    """Write the shard that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="clips or folders of clips")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="images to cut the layers of scenes from")
    parser.add_argument("--scenes", type=int, default=800, help="number of synthetic scenes")
    parser.add_argument("--windows", type=int, default=400, help="number of windows of clips")
    parser.add_argument("--crf", type=int, nargs=2, help="lowest and highest CRF at which LR is encoded")
    parser.add_argument("--seed", type=int, default=0, help="seed of scenes, windows and CRFs")
    given = parser.parse_args()

    crfs = None if given.crf is None else (given.crf[0], given.crf[1])
    sources, counts = (given.clips, given.photos), (given.scenes, given.windows)
    count = build(*sources, given.scale, *counts, given.output, crfs, given.seed)
    print(f"{given.output}: {count} sequences")


if __name__ == "__main__":
    main()
