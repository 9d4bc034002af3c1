"""`vidsr dataset`: images and frames of clips into one memory-mapped shard of luma planes.

A shard is a safetensors file: the pixels of all pictures end to end as uint8, a table of where each lies, and the split
of each file. Safetensors, and not HDF5: it is memory-mapped without copying, needs no further dependency, and the
reader is one call.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidsr.errors import InputError, OptionError

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
CLIPS = {".mp4", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".avi", ".m4v", ".ts"}
SPLITS = ("train", "validation", "test")
SMALLEST_SIDE = 96  # a smaller picture cannot hold a patch


@dataclass(frozen=True)
class Summary:
    """What a shard holds."""

    pictures: dict[str, int]  # split -> number of pictures
    megapixels: float
    skipped: tuple[str, ...]  # files that are neither images nor clips, are unreadable or too small


def rgb_to_luma(rgb: Tensor) -> Tensor:
    """BT.601 limited-range luma, H x W float32 (16 to 235), of an H x W x 3 RGB picture of codes 0 to 255."""
    weights = torch.tensor([65.481, 128.553, 24.966], device=rgb.device) / 255
    return rgb.float() @ weights + 16


def reduce_picture(rgb: Tensor, factor: int) -> Tensor:
    """H x W x 3 reduced by an integer factor with the antialiased bicubic (a = -0.5), float32."""
    if factor == 1:
        return rgb.float()
    height, width = (n - n % factor for n in rgb.shape[:2])
    planes = rgb[:height, :width].permute(2, 0, 1)[None].float()
    size = (height // factor, width // factor)
    small = F.interpolate(planes, size=size, mode="bicubic", antialias=True)
    return small[0].permute(1, 2, 0).clamp(0, 255)


def luma_planes(path: Path, reduce: int, every: int) -> Iterator[Tensor]:
    """The luma of an image, or of every ``every``-th frame of a clip, reduced by ``reduce``; H x W uint8."""
    for rgb in _pictures(path, every):
        yield rgb_to_luma(reduce_picture(torch.from_numpy(rgb), reduce)).round().to(torch.uint8)


def _pictures(path: Path, every: int) -> Iterator[np.ndarray]:
    import cv2  # lazily: training itself needs no codec

    if path.suffix.lower() in IMAGES:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is not None:
            yield np.ascontiguousarray(bgr[:, :, ::-1])
        return
    capture = cv2.VideoCapture(str(path))
    try:
        index = 0
        while True:
            ok, bgr = capture.read()
            if not ok:
                return
            if index % every == 0:
                yield np.ascontiguousarray(bgr[:, :, ::-1])
            index += 1
    finally:
        capture.release()


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Every file at or under ``paths``, sorted."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        files += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return files


def split_files(files: Sequence[Path], shares: tuple[int, int, int], seed: int) -> dict[Path, str]:
    """A split for each file, drawn with ``seed``; the shares of train, validation and test are in percent."""
    if sum(shares) != 100 or min(shares) < 0:
        raise OptionError(f"split {shares}: three percentages that sum to 100 are needed")
    shuffled = sorted(files)
    random.Random(seed).shuffle(shuffled)
    ends = np.cumsum(shares) / 100 * len(shuffled)
    return {file: SPLITS[int(np.searchsorted(ends, i + 0.5))] for i, file in enumerate(shuffled)}


def build(
    paths: Sequence[Path],
    out: Path,
    split: tuple[int, int, int] = (80, 10, 10),
    reduce: int = 1,
    every: int = 10,
    seed: int = 0,
) -> Summary:
    """Write the pictures of ``paths`` (files or folders) as the shard ``out``.

    ``reduce``: shrink pictures first, which removes compression noise. ``every``: distance of a clip's frames taken.
    """
    files = find_files(paths)
    usable = [f for f in files if f.suffix.lower() in IMAGES | CLIPS]
    skipped = [str(f) for f in files if f not in set(usable)]
    splits = split_files(usable, split, seed)
    pixels: list[Tensor] = []
    rows: list[tuple[int, int, int, int]] = []  # offset, height, width, split
    offset = 0
    for file in usable:
        planes = [p for p in luma_planes(file, reduce, every) if min(p.shape) >= SMALLEST_SIDE]
        if not planes:
            skipped.append(str(file))
        for plane in planes:
            rows.append((offset, plane.shape[0], plane.shape[1], SPLITS.index(splits[file])))
            pixels.append(plane.reshape(-1))
            offset += plane.numel()
    if not rows:
        raise InputError(f"{', '.join(map(str, paths))}: no picture of at least {SMALLEST_SIDE} pixels a side")
    out.parent.mkdir(parents=True, exist_ok=True)
    note = {"sources": json.dumps(sorted({f.parent.name for f in usable})), "reduce": str(reduce)}
    save_file({"pixels": torch.cat(pixels), "table": torch.tensor(rows)}, out, note)
    counts = {name: sum(r[3] == i for r in rows) for i, name in enumerate(SPLITS)}
    return Summary(counts, offset / 1e6, tuple(skipped))


def read_shard(path: Path, split: str) -> list[Tensor]:
    """The luma planes (H x W uint8, views of the memory-mapped file) of one split of a shard."""
    try:
        with safe_open(path, framework="pt") as shard:
            pixels, table = shard.get_tensor("pixels"), shard.get_tensor("table")
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a shard made by `vidsr dataset`: {error}") from None
    wanted = SPLITS.index(split)
    rows = table[table[:, 3] == wanted].tolist()
    return [pixels[offset : offset + h * w].view(h, w) for offset, h, w, _ in rows]
