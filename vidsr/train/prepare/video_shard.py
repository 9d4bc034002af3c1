"""A shard of (HR, LR) pairs that went through real video encoders: the data of the `video` domain."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from vidsr.degrade.blur import Clip
from vidsr.options.paths import CLIP_SUFFIXES
from vidsr.train.data.patches import Pair
from vidsr.train.data.shards import read_shard, write_pairs
from vidsr.train.prepare.dataset import Summary, downscale, find_files
from vidsr.train.prepare.video_pairs import Plane, video_pairs
from vidsr.video.luma import read_luma

FRAMES = 24  # kept of each clip, from its middle part: memory
SKIPPED = 12  # frames before them
SPARE = 25  # one pair in this many goes to validation


def build(
    photos: Sequence[Path],
    clips: Sequence[Path],
    out: Path,
    scale: int,
    count: int = 2400,
    size: int = 80,
    seed: int = 0,
) -> Summary:
    """Write ``count`` pairs, LR ``size`` pixels wide, as the shard ``out``.

    ``photos``: shards made by `vidsr dataset`, of which the training split is taken. ``clips``: files or folders; clips
    are reduced by 2 first, which removes what their own encoder left.
    """
    made = video_pairs(read_sources(photos, clips), count, scale, seed, size=size)
    pairs = [Pair(torch.from_numpy(p.lr), torch.from_numpy(p.hr)) for p in made]
    return write(pairs, out, scale)


def read_sources(photos: Sequence[Path], clips: Sequence[Path]) -> list[Plane | Clip]:
    """The training pictures (H x W) of shards, and some frames (T x H x W) of every clip at or under ``clips``."""
    pictures: list[Plane | Clip] = [plane.numpy() for shard in photos for plane in read_shard(shard, "train")]
    return pictures + [read_clip(file) for file in find_files(clips) if file.suffix.lower() in CLIP_SUFFIXES]


def read_clip(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """T x H x W luma of ``FRAMES`` frames, reduced by 2."""
    frames = islice(read_luma(path), SKIPPED, SKIPPED + FRAMES)
    small = [downscale(y[:, :, None], 2)[:, :, 0].round().to(torch.uint8) for y in frames]
    return torch.stack(small).numpy() if small else np.zeros((0, 0, 0), np.uint8)


def write(pairs: Sequence[Pair], out: Path, scale: int) -> Summary:
    """Write pairs as a shard, one in ``SPARE`` of them for validation."""
    validation, train = pairs[::SPARE], [pair for index, pair in enumerate(pairs) if index % SPARE]
    write_pairs(train, validation, out, scale)
    counts = {"train": len(train), "validation": len(validation), "test": 0}
    return Summary(counts, sum(p.hr.numel() for p in pairs) / 1e6, ())
