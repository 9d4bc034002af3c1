"""`vidsr dataset`: write images and frames of clips as one shard.

A shard holds luma planes (train/data/shards.py).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from vidsr.errors import InputError, OptionError, OutputError
from vidsr.options.input_folder import CLIP_SUFFIXES, IMAGE_SUFFIXES
from vidsr.runtime.output_file import OutputFile, refuse_existing
from vidsr.train.data.shards import SPLITS
from vidsr.video.luma import read_luma

KINDS = {"images": IMAGE_SUFFIXES, "clips": CLIP_SUFFIXES}
SMALLEST_SIDE = 96  # a smaller image cannot hold a patch
JPEG_QUALITY = 96  # of a compact shard


@dataclass(frozen=True)
class Summary:
    """What a shard holds."""

    images: dict[str, int]  # split -> number of images
    megapixels: float
    skipped: tuple[str, ...]  # files that are neither images nor clips, unreadable or too small


def build(
    paths: Sequence[Path],
    out: Path,
    split: tuple[int, int, int] = (80, 10, 10),
    reduce: int = 1,
    every: int = 10,
    seed: int = 0,
    kinds: Sequence[str] = tuple(KINDS),
    compact: bool = False,
    overwrite: bool = False,
) -> Summary:
    """Write the images and clips of ``paths`` (files or folders) as the shard ``out``.

    ``reduce``: the factor by which images are downscaled first, which removes compression noise. ``every``: the step
    between the frames taken from a clip. ``compact``: store JPEGs instead of pixels.

    Raises:
        OptionError, InputError: an option is wrong, or there is no image to store.
        OutputError: ``out`` is one of the files to read, or exists and ``overwrite`` is not set.
    """
    if reduce < 1 or every < 1:
        raise OptionError(f"--reduce {reduce} --every {every}: both must be at least 1")
    files = find_files(paths)
    refuse_existing(out, overwrite)
    if out.exists() and any(out.samefile(file) for file in files):
        raise OutputError(f"{out} is one of the inputs: choose another --output")
    suffixes = set().union(*(KINDS[kind] for kind in kinds))
    usable = [f for f in files if f.suffix.lower() in suffixes]
    skipped = [str(f) for f in files if f not in set(usable)]
    splits = split_files(usable, split, seed)
    images: list[Tensor] = []
    rows: list[tuple[int, int, int, int]] = []  # offset, height, width, split
    offset = 0
    for file in usable:
        planes = [p for p in luma_planes(file, reduce, every) if min(p.shape) >= SMALLEST_SIDE]
        if not planes:
            skipped.append(str(file))
        for plane in planes:
            rows.append((offset, plane.shape[0], plane.shape[1], SPLITS.index(splits[file])))
            images.append(plane)
            offset += plane.numel()
    if not rows:
        raise InputError(f"{', '.join(map(str, paths))}: no image of at least {SMALLEST_SIDE} pixels a side")
    metadata = {"sources": json.dumps(sorted({f.parent.name for f in usable})), "reduce": str(reduce)}
    pixels = encode(images) if compact else {"pixels": torch.cat([plane.reshape(-1) for plane in images])}
    with OutputFile(out, overwrite, make_folders=True) as output:
        save_file({**pixels, "table": torch.tensor(rows)}, output.part, metadata)
    counts = {name: sum(r[3] == i for r in rows) for i, name in enumerate(SPLITS)}
    return Summary(counts, offset / 1e6, tuple(skipped))


def parse_split(text: str) -> tuple[int, int, int]:
    """Return ``80,10,10`` as three percentages."""
    try:
        train, validation, test = (int(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"--split {text!r}: three whole percentages are needed, such as 80,10,10") from None
    return train, validation, test


def parse_kinds(text: str) -> tuple[str, ...]:
    """Return ``images,clips``, or either of them, as a tuple."""
    kinds = tuple(text.split(","))
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise OptionError(f"--kinds {text!r}: {unknown[0]!r} is unknown; choose of {', '.join(KINDS)}")
    return kinds


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return every file at or under ``paths``, sorted."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        files += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return files


def split_files(files: Sequence[Path], shares: tuple[int, int, int], seed: int) -> dict[Path, str]:
    """Draw a split for each file.

    ``shares``: percentages of train, validation and test.
    """
    if sum(shares) != 100 or min(shares) < 0:
        raise OptionError(f"split {shares}: three percentages that sum to 100 are needed")
    shuffled = sorted(files)
    random.Random(seed).shuffle(shuffled)
    ends = np.cumsum(shares) / 100 * len(shuffled)
    return {file: SPLITS[int(np.searchsorted(ends, i + 0.5))] for i, file in enumerate(shuffled)}


def luma_planes(path: Path, reduce: int, every: int) -> Iterator[Tensor]:
    """Yield the luma of an image, or of every ``every``-th frame of a clip.

    H x W uint8, downscaled by ``reduce``.
    """
    if path.suffix.lower() in CLIP_SUFFIXES:
        for y in islice(read_luma(path), 0, None, every):
            yield downscale(y[:, :, None], reduce)[:, :, 0].round().to(torch.uint8)
        return
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is not None:
        rgb = torch.from_numpy(np.ascontiguousarray(bgr[:, :, ::-1]))
        yield rgb_to_luma(downscale(rgb, reduce)).round().to(torch.uint8)


def rgb_to_luma(rgb: Tensor) -> Tensor:
    """Return BT.601 limited-range luma of RGB codes.

    H x W x 3 codes, 0 to 255, become H x W float32, 16 to 235.
    """
    weights = torch.tensor([65.481, 128.553, 24.966], device=rgb.device) / 255
    return rgb.float() @ weights + 16


def downscale(image: Tensor, factor: int) -> Tensor:
    """Downscale codes by an integer factor with the antialiased bicubic (a = -0.5).

    H x W x C codes become float32 codes, not rounded.

    Raises:
        OptionError: the image is smaller than the factor.
    """
    if factor == 1:
        return image.float()
    height, width = (n - n % factor for n in image.shape[:2])
    planes = image[:height, :width].permute(2, 0, 1)[None].float()
    size = (height // factor, width // factor)
    if not all(size):
        raise OptionError(f"--reduce {factor}: an image has {image.shape[1]}x{image.shape[0]} pixels: reduce it less")
    small = F.interpolate(planes, size=size, mode="bicubic", antialias=True)
    return small[0].permute(1, 2, 0).clamp(0, 255)


def encode(planes: Sequence[Tensor], quality: int = JPEG_QUALITY) -> dict[str, Tensor]:
    """Return ``planes`` (H x W uint8) as the tensors of a compact shard.

    ``jpeg`` holds all files end to end, ``jpeg_ends`` where each ends.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    files = [torch.from_numpy(cv2.imencode(".jpg", plane.numpy(), options)[1]) for plane in planes]
    ends = torch.tensor([len(file) for file in files]).cumsum(0)
    return {"jpeg": torch.cat(files), "jpeg_ends": ends}
