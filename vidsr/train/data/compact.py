"""Reading compact shards, which hold grey JPEGs instead of pixels.

A compact shard carries a data set to another machine. Our two sets take 66 MB as PNG and 43 MB as JPEG of quality 96,
whose error of about 50 dB lies twenty decibels below that of any network trained on them. `vidsr dataset --compact`
writes such shards.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vidsr.errors import InputError


def decode(tensors: dict[str, Tensor]) -> Tensor:
    """Return the pixels of all images of a compact shard, end to end, uint8.

    ``tensors``: ``jpeg`` holds all files end to end, ``jpeg_ends`` where each ends.

    Raises:
        InputError: neither torchvision nor OpenCV is installed.
    """
    ends = tensors["jpeg_ends"].tolist()
    files = (tensors["jpeg"][start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True))
    return torch.cat([_decode_jpeg(file).reshape(-1) for file in files])


def _decode_jpeg(file: Tensor) -> Tensor:
    """Return a grey JPEG as H x W uint8.

    torchvision and OpenCV are both optional on a machine that only trains.
    """
    try:
        from torchvision.io import ImageReadMode, decode_jpeg
    except ImportError:
        return _decode_with_opencv(file)
    plane: Tensor = decode_jpeg(file.clone(), mode=ImageReadMode.GRAY)
    return plane[0]


def _decode_with_opencv(file: Tensor) -> Tensor:
    try:
        import cv2
    except ImportError:
        raise InputError("a compact shard needs torchvision or opencv-python-headless: install either") from None
    return torch.from_numpy(cv2.imdecode(file.numpy(), cv2.IMREAD_GRAYSCALE))
