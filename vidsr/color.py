"""Convert between Y'CbCr and RGB, and between chroma formats, on any device."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from vidsr.errors import InputError, Notes
from vidsr.frames import SUBSAMPLING, Chroma, ColorInfo, FrameBatch, VideoInfo

# Luma weights of red and blue; green has the remainder. ITU-R BT.601, BT.709, BT.2020; SMPTE 240M; FCC 73.682.
WEIGHTS: dict[str, tuple[float, float]] = {
    "bt709": (0.2126, 0.0722),
    "smpte170m": (0.299, 0.114),
    "bt470bg": (0.299, 0.114),
    "bt2020nc": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}
# FFmpeg's chroma locations: offset of a chroma sample from the first luma sample of its group, rightwards and down.
LOCATIONS: dict[str, tuple[float, float]] = {
    "left": (0.0, 0.5),
    "center": (0.5, 0.5),
    "topleft": (0.0, 0.0),
    "top": (0.5, 0.0),
    "bottomleft": (0.0, 1.0),
    "bottom": (0.5, 1.0),
}
DEFAULT_LOCATION = "left"  # default of MPEG-2, H.264 and H.265
# Offset within a pair of luma samples -> full-resolution samples that make one chroma sample, and their weights.
DOWNSAMPLING_TAPS: dict[float, tuple[tuple[int, float], ...]] = {
    0.0: ((-1, 0.25), (0, 0.5), (1, 0.25)),
    0.5: ((0, 0.5), (1, 0.5)),
    1.0: ((0, 0.25), (1, 0.5), (2, 0.25)),
}
HD_WIDTH, HD_HEIGHT = 1280, 720  # an untagged frame at least that wide or high is assumed to be BT.709


def default_matrix(width: int, height: int) -> Literal["bt709", "smpte170m"]:
    """Return the matrix of untagged frames and of RGB: BT.709 for HD, BT.601 for SD."""
    return "bt709" if width >= HD_WIDTH or height >= HD_HEIGHT else "smpte170m"


def with_defaults(color: ColorInfo, width: int, height: int) -> ColorInfo:
    """Return ``color`` with a matrix and a range.

    The defaults are BT.601 for SD, BT.709 for HD, and limited range.
    """
    return replace(color, matrix=color.matrix or default_matrix(width, height), range=color.range or "limited")


NAMES = {"smpte170m": ("BT.601", "SD"), "bt709": ("BT.709", "HD")}  # of the default matrices, and their usual clips


def with_unambiguous_matrix(before: VideoInfo, after: VideoInfo, notes: Notes) -> VideoInfo:
    """Return ``after`` with a matrix tag if players would assume another matrix.

    ``after`` is the output made from the clip ``before``, at another size.

    Other untagged clips stay untagged. ``notes`` gets the assumed matrix of an untagged clip.
    """
    if before.color.matrix is not None or before.chroma == "gray":
        return after
    assumed, new = (with_defaults(info.color, info.width, info.height).matrix for info in (before, after))
    assert assumed is not None and new is not None  # `with_defaults` sets both
    name, kind = NAMES[assumed]
    text = f"clip has no colour tags: assuming {name} (usual for {kind})"
    if assumed == new:
        notes.info("color_assumed", text)
        return after
    notes.info("color_tagged", f"{text}; the {NAMES[new][1]} output is tagged {name}")
    return replace(after, color=replace(after.color, matrix=assumed))


class Codes(NamedTuple):
    """Code values of black and neutral chroma, and the extents of luma and chroma."""

    black: float
    luma: float  # white minus black
    neutral: float
    chroma: float  # largest minus smallest chroma


def codes(color: ColorInfo, depth: int) -> Codes:
    """Return the code values of ``color``'s range at ``depth`` bits."""
    neutral = float(1 << (depth - 1))
    if color.range == "full":
        peak = float((1 << depth) - 1)
        return Codes(0.0, peak, neutral, peak)
    unit = 2.0 ** (depth - 8)
    return Codes(16 * unit, 219 * unit, neutral, 224 * unit)


def ycbcr_to_rgb(y: Tensor, uv: Tensor, color: ColorInfo, depth: int) -> Tensor:
    """Convert 4:4:4 planes to RGB.

    Planes are N x 1 x H x W and N x 2 x H x W code values. RGB is N x 3 x H x W float32, from 0 (black) to 1 (white).

    Values are not clipped, so `rgb_to_ycbcr` restores colours outside the RGB cube. ``color`` must have a matrix and a
    range (see `with_defaults`).

    Raises:
        InputError: the matrix has no linear conversion to RGB.
    """
    at = codes(color, depth)
    to_codes = _rgb_to_codes(color, depth)
    from_codes = torch.linalg.inv(to_codes)
    shift = from_codes @ torch.tensor([at.black, at.neutral, at.neutral], dtype=torch.float64)
    return _affine(torch.cat([y.float(), uv.float()], dim=1), from_codes, -shift)


def rgb_to_ycbcr(rgb: Tensor, color: ColorInfo, depth: int) -> tuple[Tensor, Tensor]:
    """Convert RGB to 4:4:4 planes.

    RGB is N x 3 x H x W, 0 to 1. Planes are N x 1 x H x W and N x 2 x H x W float32 code values, not rounded.

    Raises:
        InputError: the matrix has no linear conversion to RGB.
    """
    at = codes(color, depth)
    shift = torch.tensor([at.black, at.neutral, at.neutral], dtype=torch.float64)
    planes = _affine(rgb.float(), _rgb_to_codes(color, depth), shift)
    return planes[:, :1], planes[:, 1:]


def _rgb_to_codes(color: ColorInfo, depth: int) -> Tensor:
    """Return the 3 x 3 float64 matrix from RGB to code values without offsets.

    Raises:
        InputError: the matrix has no linear conversion to RGB.
    """
    kr, kb = _weights(color)
    at = codes(color, depth)
    luma = torch.tensor([kr, 1 - kr - kb, kb], dtype=torch.float64)
    red, _, blue = torch.eye(3, dtype=torch.float64)
    cb, cr = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    return torch.stack([luma * at.luma, cb * at.chroma, cr * at.chroma])


def _affine(planes: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """Multiply every pixel by ``matrix`` and add ``shift``.

    ``planes`` is N x 3 x H x W. One pass over the memory.
    """
    matrix, shift = matrix.to(planes), shift.to(planes)
    n = len(planes)
    result = torch.baddbmm(shift[None, :, None], matrix.expand(n, -1, -1), planes.flatten(2))
    return result.reshape(planes.shape)


def to_rgb(batch: FrameBatch, info: VideoInfo) -> Tensor:
    """Convert a batch to RGB by the clip's matrix, range and siting.

    RGB is N x 3 x H x W float32, 0 to 1, not clipped.

    Raises:
        InputError: the clip's matrix has no linear conversion to RGB.
    """
    color = with_defaults(info.color, info.width, info.height)
    if batch.uv is None:
        at = codes(color, info.depth)
        return ((batch.y.float() - at.black) / at.luma).expand(-1, 3, -1, -1)
    uv = convert_chroma(batch.uv, info.chroma, "444", (info.width, info.height), color.chroma_location)
    return ycbcr_to_rgb(batch.y, uv, color, info.depth)


def convert_chroma(
    uv: Tensor, source: Chroma, target: Chroma, size: tuple[int, int], location: str | None = None
) -> Tensor:
    """Convert chroma between formats, linearly and without moving it.

    ``uv`` is N x 2 x h x w; the result is float32.

    ``size`` is the width and height of the luma plane. ``location`` is the chroma siting of a subsampled format.
    """
    uv = uv.float()
    at_xy = LOCATIONS[location or DEFAULT_LOCATION]
    for dim, step, new_step, length, at in zip(
        (-1, -2), SUBSAMPLING[source], SUBSAMPLING[target], size, at_xy, strict=True
    ):
        if step > new_step:
            uv = _upsample(uv, dim, length, at)
        elif step < new_step:
            uv = _downsample(uv, dim, at)
    return uv


def check_rgb(color: ColorInfo) -> None:
    """Refuse a matrix that has no linear conversion to RGB.

    Raises:
        InputError: ``color`` has such a matrix.
    """
    _weights(color)


def _weights(color: ColorInfo) -> tuple[float, float]:
    if color.matrix not in WEIGHTS:
        raise InputError(f"matrix {color.matrix} has no linear conversion to RGB: choose a model that works on luma")
    return WEIGHTS[color.matrix]


def _upsample(plane: Tensor, dim: int, size: int, offset: float) -> Tensor:
    """Double the samples along ``dim`` to ``size``.

    Sample i of ``plane`` lies at 2 i + offset of the result.
    """
    position = (torch.arange(size, device=plane.device) - offset) / 2
    left = position.floor()
    weight = (position - left).to(plane.dtype)
    last = plane.shape[dim] - 1
    before = plane.index_select(dim, left.clamp(0, last).long())
    after = plane.index_select(dim, (left + 1).clamp(0, last).long())
    return torch.lerp(before, after, weight if dim == -1 else weight[:, None])


def _downsample(plane: Tensor, dim: int, offset: float) -> Tensor:
    """Halve the samples of ``plane`` along ``dim``, rounding up."""
    size = plane.shape[dim]
    first = torch.arange(0, size, 2, device=plane.device)
    parts = [
        plane.index_select(dim, (first + tap).clamp(0, size - 1)) * weight for tap, weight in DOWNSAMPLING_TAPS[offset]
    ]
    return torch.stack(parts).sum(0)
