"""Sequences of frames to train temporal upscaling on: reading shards, walks through a sequence, and augmentation.

`train/prepare/sequences.py` writes such shards.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vidsr.errors import InputError

KIND = "sequences"  # in the metadata of a shard

Luma = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sequence:
    """Frames of a clip or scene, views of the memory-mapped file."""

    hr: Luma  # T x scale*h x scale*w
    lr: Luma  # T x h x w
    back: npt.NDArray[np.float16]  # T x 2 x h x w: flow of each LR frame to the one before it, pixels
    ahead: npt.NDArray[np.float16]  # to the one after it


@dataclass(frozen=True, eq=False)
class Walk:
    """Frames in the order in which a network sees them."""

    hr: Luma
    lr: Luma
    flow: Array  # T x 2 x h x w: of each frame to the one seen before it; zero for the first


@dataclass(frozen=True, eq=False)
class Walks:
    """A batch of walks: luma in [0, 1], N x T x H x W, and flow in pixels, N x T x 2 x h x w."""

    hr: Tensor
    lr: Tensor
    flow: Tensor


def read_sequences(path: Path, scale: int, validation: bool) -> list[Sequence]:
    """Return the training sequences of a shard, or those for ``validation``.

    Raises:
        InputError: the file is absent, not a shard of sequences, or of another scale.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("kind") != KIND:
                raise InputError(f"{path}: not a shard of sequences: make one with vidsr.train.prepare.sequences")
            tensors = {key: file.get_tensor(key).numpy() for key in ("hr", "lr", "back", "ahead", "table")}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a readable shard: {error}") from None
    if metadata.get("scale") != str(scale):
        raise InputError(f"{path} holds sequences for x{metadata.get('scale')}: x{scale} is needed")
    rows = tensors["table"].tolist()
    ends = [row[0] for row in rows[1:]] + [len(tensors["lr"])]
    found = []
    for (start, h, w, set_aside), end in zip(rows, ends, strict=True):
        if bool(set_aside) is validation:
            count, area = (end - start) // (h * w), scale * scale
            found.append(
                Sequence(
                    tensors["hr"][start * area : end * area].reshape(count, h * scale, w * scale),
                    tensors["lr"][start:end].reshape(count, h, w),
                    *(tensors[key][2 * start : 2 * end].reshape(count, 2, h, w) for key in ("back", "ahead")),
                )
            )
    return found


def whole(sequence: Sequence) -> Walk:
    """Return the walk through all frames in order."""
    return Walk(sequence.hr, sequence.lr, sequence.back.astype(np.float32))


def there_and_back(sequence: Sequence, frames: int, rng: np.random.Generator) -> Walk:
    """Return a walk of any length: it starts at a random frame and turns round at both ends."""
    count = len(sequence.lr)
    place, step = int(rng.integers(count)), int(rng.choice((-1, 1)))
    places, flow = [place], [np.zeros_like(sequence.back[0])]
    while len(places) < frames:
        if not 0 <= place + step < count:
            step = -step
        place += step
        places.append(place)
        flow.append((sequence.back if step > 0 else sequence.ahead)[place])
    return Walk(sequence.hr[places], sequence.lr[places], np.stack(flow).astype(np.float32))


def still(sequence: Sequence, frames: int, rng: np.random.Generator) -> Walk:
    """Return one frame, repeated."""
    places = [int(rng.integers(len(sequence.lr)))] * frames
    return Walk(sequence.hr[places], sequence.lr[places], np.zeros((frames, *sequence.back.shape[1:]), np.float32))


def random_crop(walk: Walk, side: int, rng: np.random.Generator) -> Walk:
    """Return a crop of ``side`` LR pixels or less, at a random place."""
    h, w = walk.lr.shape[1:]
    scale = walk.hr.shape[1] // h
    high, wide = min(side, h), min(side, w)
    top, left = int(rng.integers(h - high + 1)), int(rng.integers(w - wide + 1))
    rows, columns = slice(top, top + high), slice(left, left + wide)
    fine_rows, fine_columns = (slice(part.start * scale, part.stop * scale) for part in (rows, columns))
    return Walk(walk.hr[:, fine_rows, fine_columns], walk.lr[:, rows, columns], walk.flow[..., rows, columns])


def augment(walk: Walk, rng: np.random.Generator) -> Walk:
    """Return ``walk`` flipped and transposed, each at random."""
    hr, lr, flow = walk.hr, walk.lr, walk.flow
    if rng.integers(2):
        hr, lr, flow = hr[..., ::-1], lr[..., ::-1], flow[..., ::-1] * SIGNS["x"]
    if rng.integers(2):
        hr, lr, flow = hr[..., ::-1, :], lr[..., ::-1, :], flow[..., ::-1, :] * SIGNS["y"]
    if rng.integers(2):
        hr, lr, flow = hr.swapaxes(1, 2), lr.swapaxes(1, 2), flow.swapaxes(2, 3)[:, ::-1]
    return Walk(hr, lr, flow)


# axis of a flip -> sign of both components of the flow
SIGNS = {
    "x": np.array([-1, 1], np.float32).reshape(2, 1, 1),
    "y": np.array([1, -1], np.float32).reshape(2, 1, 1),
}


def stack(walks: Many[Walk], device: torch.device) -> Walks:
    """Return walks of one size as a batch on ``device``."""

    def tensor(arrays: list[Luma] | list[Array]) -> Tensor:
        return torch.from_numpy(np.stack(arrays)).to(device).float()

    return Walks(
        tensor([walk.hr for walk in walks]) / 255,
        tensor([walk.lr for walk in walks]) / 255,
        tensor([walk.flow for walk in walks]),
    )
