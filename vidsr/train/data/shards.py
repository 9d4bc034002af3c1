"""Shards of luma planes: one memory-mapped safetensors file for each data set.

A shard holds the pixels of all images end to end as uint8, and a table with the offset, height, width and split of
each. Shards of pairs also hold the LR pixels. Safetensors and not HDF5: it is memory-mapped without copying, needs no
further dependency, and reading it is one call. A compact shard holds JPEGs instead of pixels (compact.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidsr.errors import InputError
from vidsr.runtime.output_file import OutputFile
from vidsr.train.data.compact import decode
from vidsr.train.data.patches import Pair, make_pair

SPLITS = ("train", "validation", "test")


def read_shard(path: Path, split: str) -> list[Tensor]:
    """Return the luma planes of one split.

    They are H x W uint8, views of the memory-mapped file.

    Raises:
        InputError: the file is absent or not a shard.
    """
    tensors, _ = _open(path)
    return _planes(tensors, split)


def read_pairs(path: Path, split: str, scale: int) -> list[Pair]:
    """Return the LR and HR images of one split.

    These are the stored pairs, or LR made by the antialiased bicubic.

    Raises:
        InputError: the file is absent or not a shard, or its pairs are of another scale.
    """
    tensors, metadata = _open(path)
    planes = _planes(tensors, split)
    if "lr_pixels" not in tensors:
        return [make_pair(plane, scale) for plane in planes]
    if metadata.get("scale") != str(scale):
        raise InputError(f"{path} holds pairs for x{metadata.get('scale')}: x{scale} is needed")
    small = tensors["lr_pixels"]
    rows = _rows(tensors["table"], split)
    area = scale * scale
    return [
        Pair(small[offset // area : (offset + h * w) // area].view(h // scale, w // scale), plane)
        for (offset, h, w), plane in zip(rows, planes, strict=True)
    ]


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a shard.

    Raises:
        InputError: the file is absent or not a shard.
    """
    return _open(path)[1]


def write_pairs(
    train: Sequence[Pair],
    validation: Sequence[Pair],
    out: Path,
    scale: int,
    metadata: Mapping[str, str] = MappingProxyType({}),
    overwrite: bool = False,
) -> None:
    """Write pairs of ``scale`` as the shard ``out``, completely or not at all.

    Raises:
        OutputError: ``out`` exists and ``overwrite`` is not set, or it cannot be written.
    """
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
    with OutputFile(out, overwrite, make_folders=True) as file:
        save_file(tensors, file.part, {"scale": str(scale), **metadata})


def _planes(tensors: dict[str, Tensor], split: str) -> list[Tensor]:
    rows = _rows(tensors["table"], split)
    return [tensors["pixels"][offset : offset + h * w].view(h, w) for offset, h, w in rows]


def _open(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of the shard ``path``, JPEGs decoded."""
    if not path.exists():
        raise InputError(f"{path}: no such shard; make it with `vidsr dataset PATHS... -o {path}`")
    try:
        with safe_open(path, framework="pt") as shard:
            tensors = {key: shard.get_tensor(key) for key in shard.keys()}  # noqa: SIM118
            metadata = shard.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a shard made by `vidsr dataset`: {error}") from None
    if "jpeg" in tensors:
        tensors["pixels"] = decode(tensors)
    if not {"pixels", "table"} <= tensors.keys():
        raise InputError(f"{path}: not a shard made by `vidsr dataset`")
    return tensors, metadata


def _rows(table: Tensor, split: str) -> list[tuple[int, int, int]]:
    """Return offset, height and width of each image of ``split``."""
    return [(offset, h, w) for offset, h, w, which in table.tolist() if which == SPLITS.index(split)]
