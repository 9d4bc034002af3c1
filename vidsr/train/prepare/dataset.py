"""`vidsr dataset`: images and frames of clips into one memory-mapped shard of luma planes.

A shard is a safetensors file: the pixels of all pictures end to end as uint8, a table of where each lies, and the split
of each file. Safetensors, and not HDF5: it is memory-mapped without copying, needs no further dependency, and the
reader is one call. A compact one holds JPEGs instead of pixels (compact.py).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidsr.errors import InputError, OptionError
from vidsr.train.data.compact import decode, encode
from vidsr.train.data.patches import Pair, make_pair

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
CLIPS = {".mp4", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".avi", ".m4v", ".ts"}
KINDS = {"images": IMAGES, "clips": CLIPS}
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
    if path.suffix.lower() in CLIPS:
        for y in islice(clip_luma(path), 0, None, every):
            yield reduce_picture(y[:, :, None], reduce)[:, :, 0].round().to(torch.uint8)
        return
    import cv2  # lazily: training itself needs no codec

    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is not None:
        rgb = torch.from_numpy(np.ascontiguousarray(bgr[:, :, ::-1]))
        yield rgb_to_luma(reduce_picture(rgb, reduce)).round().to(torch.uint8)


def clip_luma(path: Path) -> Iterator[Tensor]:
    """The luma plane of each frame of a clip, H x W in 8 bits and limited range, whatever the clip's own are."""
    from vidsr.video import VideoReader

    with VideoReader(path) as reader:
        depth, full = reader.info.depth, reader.info.color.range == "full"
        for batch in reader.batches(1):
            yield to_limited(batch.y[0, 0], depth, full)


def to_limited(y: Tensor, depth: int, full: bool) -> Tensor:
    """Luma codes of ``depth`` bits as uint8 of limited range (16 to 235); ``full``: they span all code values."""
    codes = y.double()
    codes = 16 + codes * 219 / ((1 << depth) - 1) if full else codes / (1 << (depth - 8))
    return codes.round().clamp(0, 255).to(torch.uint8)


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


def parse_split(text: str) -> tuple[int, int, int]:
    """``80,10,10`` as three percentages."""
    try:
        train, validation, test = (int(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"--split {text!r}: three whole percentages are needed, such as 80,10,10") from None
    return train, validation, test


def parse_kinds(text: str) -> tuple[str, ...]:
    """``images,clips`` or either of them."""
    kinds = tuple(text.split(","))
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise OptionError(f"--kinds {text!r}: {unknown[0]!r} is unknown; choose of {', '.join(KINDS)}")
    return kinds


def build(
    paths: Sequence[Path],
    out: Path,
    split: tuple[int, int, int] = (80, 10, 10),
    reduce: int = 1,
    every: int = 10,
    seed: int = 0,
    kinds: Sequence[str] = tuple(KINDS),
    compact: bool = False,
) -> Summary:
    """Write the pictures of ``paths`` (files or folders) as the shard ``out``.

    ``reduce``: shrink pictures first, which removes compression noise. ``every``: distance of a clip's frames taken.
    ``compact``: JPEGs instead of pixels.
    """
    if reduce < 1 or every < 1:
        raise OptionError(f"--reduce {reduce} --every {every}: both must be at least 1")
    files = find_files(paths)
    suffixes = set().union(*(KINDS[kind] for kind in kinds))
    usable = [f for f in files if f.suffix.lower() in suffixes]
    skipped = [str(f) for f in files if f not in set(usable)]
    splits = split_files(usable, split, seed)
    pictures: list[Tensor] = []
    rows: list[tuple[int, int, int, int]] = []  # offset, height, width, split
    offset = 0
    for file in usable:
        planes = [p for p in luma_planes(file, reduce, every) if min(p.shape) >= SMALLEST_SIDE]
        if not planes:
            skipped.append(str(file))
        for plane in planes:
            rows.append((offset, plane.shape[0], plane.shape[1], SPLITS.index(splits[file])))
            pictures.append(plane)
            offset += plane.numel()
    if not rows:
        raise InputError(f"{', '.join(map(str, paths))}: no picture of at least {SMALLEST_SIDE} pixels a side")
    out.parent.mkdir(parents=True, exist_ok=True)
    note = {"sources": json.dumps(sorted({f.parent.name for f in usable})), "reduce": str(reduce)}
    pixels = encode(pictures) if compact else {"pixels": torch.cat([plane.reshape(-1) for plane in pictures])}
    save_file({**pixels, "table": torch.tensor(rows)}, out, note)
    counts = {name: sum(r[3] == i for r in rows) for i, name in enumerate(SPLITS)}
    return Summary(counts, offset / 1e6, tuple(skipped))


def read_shard(path: Path, split: str) -> list[Tensor]:
    """The luma planes (H x W uint8, views of the memory-mapped file) of one split of a shard.

    Raises:
        InputError: the file is absent or no shard.
    """
    tensors, _ = _open(path)
    return _planes(tensors, split)


def read_pairs(path: Path, split: str, scale: int) -> list[Pair]:
    """LR and HR pictures of one split: those the shard holds, or LR made by the antialiased bicubic.

    Raises:
        InputError: the file is absent or no shard, or its pairs are of another scale.
    """
    tensors, note = _open(path)
    planes = _planes(tensors, split)
    if "lr_pixels" not in tensors:
        return [make_pair(plane, scale) for plane in planes]
    if note.get("scale") != str(scale):
        raise InputError(f"{path}: holds pairs for x{note.get('scale')}, x{scale} is needed")
    small = tensors["lr_pixels"]
    rows = _rows(tensors["table"], split)
    area = scale * scale
    return [
        Pair(small[offset // area : (offset + h * w) // area].view(h // scale, w // scale), plane)
        for (offset, h, w), plane in zip(rows, planes, strict=True)
    ]


def write_pairs(
    train: Sequence[Pair],
    validation: Sequence[Pair],
    out: Path,
    scale: int,
    note: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write pairs of ``scale`` as the shard ``out``, whole or not at all; ``note``: what it is to say of itself."""
    pairs, table, offset = [*train, *validation], [], 0
    for index, pair in enumerate(pairs):
        height, width = pair.hr.shape
        table.append((offset, height, width, SPLITS.index("train" if index < len(train) else "validation")))
        offset += height * width
    tensors = {
        "pixels": torch.cat([p.hr.reshape(-1) for p in pairs]),
        "lr_pixels": torch.cat([p.lr.reshape(-1) for p in pairs]),
        "table": torch.tensor(table),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    save_file(tensors, part, {"scale": str(scale), **note})
    part.replace(out)


def read_note(path: Path) -> dict[str, str]:
    """What a shard says of itself.

    Raises:
        InputError: the file is absent or no shard.
    """
    return _open(path)[1]


def _planes(tensors: dict[str, Tensor], split: str) -> list[Tensor]:
    rows = _rows(tensors["table"], split)
    return [tensors["pixels"][offset : offset + h * w].view(h, w) for offset, h, w in rows]


def _open(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.exists():
        raise InputError(f"{path}: no such shard; make it with `vidsr dataset PATHS... -o {path}`")
    try:
        with safe_open(path, framework="pt") as shard:
            tensors = {key: shard.get_tensor(key) for key in shard.keys()}  # noqa: SIM118
            note = shard.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a shard made by `vidsr dataset`: {error}") from None
    if "jpeg" in tensors:
        tensors["pixels"] = decode(tensors)
    if not {"pixels", "table"} <= tensors.keys():
        raise InputError(f"{path}: not a shard made by `vidsr dataset`")
    return tensors, note


def _rows(table: Tensor, split: str) -> list[tuple[int, int, int]]:
    return [(offset, h, w) for offset, h, w, which in table.tolist() if which == SPLITS.index(split)]
