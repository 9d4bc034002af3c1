"""Triples of frames to train frame interpolation on: reading shards, crops, and augmentation.

A triple is two frames, the true frame between them, and the field by which optical flow interpolates that frame:
displacements to both frames and blend weights, at half size. `train/prepare/windows.py` writes such shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vidsr.errors import InputError
from vidsr.models.frame_network import FramePair, MotionField

MARGIN = 40  # pixels around a crop that motion may reach
BLOCK = 16  # pixels a side of the blocks whose error is stored
SMALL_ERROR = 4.0  # stored units, half a code value: added to a block's error when blocks are drawn
VALIDATION_SIDE = 192  # pixels, of a validation crop

Luma = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Triple:
    """Two frames, the true frame between them, and the field of optical flow.

    The arrays are views of the memory-mapped file.
    """

    first: Luma  # h x w
    second: Luma
    truth: Luma
    phase: float
    displacements: npt.NDArray[np.float16]  # 4 x h/2 x w/2: x and y to the first frame, then to the second
    blend: Luma  # 2 x h/2 x w/2: weights of the second frame and of the plain mean, 255 for 1
    error: Luma  # mean absolute error of optical flow in each block, in eighths of a code value


@dataclass(frozen=True, eq=False)
class Crop:
    """A crop of a triple: luma codes, and the field in float32."""

    first: Luma  # with the margin around it
    second: Luma
    truth: Luma
    phase: float
    field: Array  # 6 x h/2 x w/2: displacements, then blend weights


def read_triples(path: Path, validation: bool) -> list[Triple]:
    """Return the training triples of a shard, or those set aside for ``validation``.

    Raises:
        InputError: the file is absent or not a shard of triples.
    """
    try:
        with safe_open(path, framework="np") as file:
            keys = set(file.keys())
            if (file.metadata() or {}).get("kind") != "triples" or "displacements" not in keys:
                raise InputError(f"{path}: not a shard of triples: make one with vidsr.train.prepare.windows")
            tensors = {key: file.get_tensor(key) for key in keys}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a readable shard: {error}") from None
    frames = [tensors["luma"][at : at + h * w].reshape(h, w) for at, h, w in tensors["frames"]]
    found = []
    for a, b, between, numerator, denominator, field_at, error_at, set_aside in tensors["triples"].tolist():
        if bool(set_aside) is not validation:
            continue
        h, w = frames[between].shape
        area, blocks = (h // 2) * (w // 2), (max(1, h // BLOCK), max(1, w // BLOCK))
        moves = tensors["displacements"][4 * field_at : 4 * (field_at + area)].reshape(4, h // 2, w // 2)
        blend = tensors["blend"][2 * field_at : 2 * (field_at + area)].reshape(2, h // 2, w // 2)
        errors = tensors["errors"][error_at : error_at + blocks[0] * blocks[1]].reshape(blocks)
        found.append(Triple(frames[a], frames[b], frames[between], numerator / denominator, moves, blend, errors))
    return found


def random_crop(triple: Triple, side: int, rng: np.random.Generator) -> Crop:
    """Return a crop of ``side`` pixels around a random block.

    Blocks are drawn in proportion to the squared error of optical flow. A hundredth of the pixels causes half of a
    frame's error. With blocks drawn so, the mean over crops of the logarithm of their error follows the PSNR of whole
    frames.
    """
    weights = np.square(triple.error.reshape(-1), dtype=np.float64) + SMALL_ERROR**2
    block = int(rng.choice(weights.size, p=weights / weights.sum()))
    row, column = divmod(block, triple.error.shape[1])
    jitter = rng.integers(-side // 2, side // 2 + 1, 2)
    h, w = triple.truth.shape
    top = int(np.clip(row * BLOCK + jitter[0] - side // 2, 0, h - side)) // 2 * 2
    left = int(np.clip(column * BLOCK + jitter[1] - side // 2, 0, w - side)) // 2 * 2
    return _crop(triple, top, left, side, side, MARGIN)


def centre_crop(triple: Triple) -> Crop:
    """Return the middle of a triple, at most VALIDATION_SIDE pixels a side, without margin."""
    h, w = (min(VALIDATION_SIDE, n) for n in triple.truth.shape)
    top, left = ((n - side) // 4 * 2 for n, side in zip(triple.truth.shape, (h, w), strict=True))
    return _crop(triple, top, left, h, w, 0)


def _crop(triple: Triple, top: int, left: int, h: int, w: int, margin: int) -> Crop:
    rows = np.arange(top - margin, top + h + margin).clip(0, triple.truth.shape[0] - 1)
    columns = np.arange(left - margin, left + w + margin).clip(0, triple.truth.shape[1] - 1)
    around = np.ix_(rows, columns)
    half = (slice(None), slice(top // 2, (top + h) // 2), slice(left // 2, (left + w) // 2))
    field = np.concatenate([triple.displacements[half].astype(np.float32), triple.blend[half].astype(np.float32) / 255])
    truth = triple.truth[top : top + h, left : left + w]
    return Crop(triple.first[around], triple.second[around], truth, triple.phase, field)


def augment(crop: Crop, rng: np.random.Generator) -> Crop:
    """Return ``crop`` flipped, transposed and reversed in time, each at random."""
    lumas, phase, field = [crop.first, crop.second, crop.truth], crop.phase, crop.field
    if rng.integers(2):
        lumas, field = [luma[:, ::-1] for luma in lumas], field[..., ::-1] * SIGNS["x"]
    if rng.integers(2):
        lumas, field = [luma[::-1] for luma in lumas], field[:, ::-1] * SIGNS["y"]
    if rng.integers(2):
        lumas, field = [luma.T for luma in lumas], field.swapaxes(1, 2)[[1, 0, 3, 2, 4, 5]]
    if rng.integers(2):
        lumas, phase = [lumas[1], lumas[0], lumas[2]], 1 - phase
        field = field[[2, 3, 0, 1, 4, 5]]
        field[4] = 1 - field[4]
    return Crop(lumas[0], lumas[1], lumas[2], phase, field)


# axis of a flip -> sign of each plane of the field
SIGNS = {
    "x": np.array([-1, 1, -1, 1, 1, 1], np.float32).reshape(6, 1, 1),
    "y": np.array([1, -1, 1, -1, 1, 1], np.float32).reshape(6, 1, 1),
}


def stack(crops: Sequence[Crop], margin: int, device: torch.device) -> tuple[FramePair, MotionField, Tensor]:
    """Return the network's input, the field of optical flow, and the true frames.

    Luma is in [0, 1].
    """

    def luma(planes: list[Luma]) -> Tensor:
        return torch.from_numpy(np.stack(planes)).to(device)[:, None].float() / 255

    phase = torch.tensor([c.phase for c in crops], device=device).view(-1, 1, 1, 1)
    pair = FramePair(luma([c.first for c in crops]), luma([c.second for c in crops]), phase, margin)
    fields = torch.from_numpy(np.stack([c.field for c in crops])).to(device)
    return pair, MotionField.from_planes(fields), luma([c.truth for c in crops])
