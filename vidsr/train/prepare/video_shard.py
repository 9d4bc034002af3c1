"""Write shards of pairs whose LR passed a real video encoder.

They train the networks of the compressed domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from vidsr.degrade.blur import Clip
from vidsr.options.input_folder import CLIP_SUFFIXES
from vidsr.train.data.patches import Pair
from vidsr.train.data.shards import read_shard, write_pairs
from vidsr.train.prepare.dataset import Summary, downscale, find_files
from vidsr.train.prepare.video_pairs import Plane, video_pairs
from vidsr.video.luma import read_luma

FRAMES = 24  # of each clip, to limit memory
SKIPPED_FRAMES = 12  # at the start of each clip
VALIDATION_EVERY = 25  # one pair in this many is for validation


def build(
    photos: Sequence[Path],
    clips: Sequence[Path],
    out: Path,
    scale: int,
    count: int = 2400,
    size: int = 80,
    seed: int = 0,
) -> Summary:
    """Write ``count`` pairs, LR ``size`` pixels a side, as the shard ``out``.

    ``photos``: shards made by `vidsr dataset`; their training split is used. ``clips``: files or folders. Clips are
    downscaled by 2 first, which removes the artefacts of their own encoder.
    """
    made = video_pairs(read_sources(photos, clips), count, scale, seed, size=size)
    pairs = [Pair(torch.from_numpy(p.lr), torch.from_numpy(p.hr)) for p in made]
    return write(pairs, out, scale)


def read_sources(photos: Sequence[Path], clips: Sequence[Path]) -> list[Plane | Clip]:
    """Return the training images of shards, and frames of every clip.

    Images are H x W, clips T x H x W. ``clips``: files or folders.
    """
    images: list[Plane | Clip] = [plane.numpy() for shard in photos for plane in read_shard(shard, "train")]
    return images + [read_clip(file) for file in find_files(clips) if file.suffix.lower() in CLIP_SUFFIXES]


def read_clip(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the luma of ``FRAMES`` frames, downscaled by 2.

    Returns T x H x W uint8.
    """
    frames = islice(read_luma(path), SKIPPED_FRAMES, SKIPPED_FRAMES + FRAMES)
    small = [downscale(y[:, :, None], 2)[:, :, 0].round().to(torch.uint8) for y in frames]
    return torch.stack(small).numpy() if small else np.zeros((0, 0, 0), np.uint8)


def write(pairs: Sequence[Pair], out: Path, scale: int) -> Summary:
    """Write pairs as a shard, one in ``VALIDATION_EVERY`` for validation."""
    validation = pairs[::VALIDATION_EVERY]
    train = [pair for index, pair in enumerate(pairs) if index % VALIDATION_EVERY]
    write_pairs(train, validation, out, scale)
    counts = {"train": len(train), "validation": len(validation), "test": 0}
    return Summary(counts, sum(p.hr.numel() for p in pairs) / 1e6, ())
