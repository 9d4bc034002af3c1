"""Y'CbCr and RGB: matrices, ranges and chroma siting, for tensors on any device."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from vidsr.errors import InputError, Notes
from vidsr.frames import SUBSAMPLING, Chroma, ColorInfo, FrameBatch, VideoInfo

# Luma weights of red and blue; green has the rest. ITU-R BT.601, BT.709, BT.2020; SMPTE 240M; FCC 73.682.
WEIGHTS: dict[str, tuple[float, float]] = {
    "bt709": (0.2126, 0.0722),
    "smpte170m": (0.299, 0.114),
    "bt470bg": (0.299, 0.114),
    "bt2020nc": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}
# FFmpeg's chroma locations: how far right of and below the first luma sample of its group a chroma sample lies.
LOCATIONS: dict[str, tuple[float, float]] = {
    "left": (0.0, 0.5),
    "center": (0.5, 0.5),
    "topleft": (0.0, 0.0),
    "top": (0.5, 0.0),
    "bottomleft": (0.0, 1.0),
    "bottom": (0.5, 1.0),
}
DEFAULT_LOCATION = "left"  # of MPEG-2, H.264 and H.265 where the clip does not say
# Position within a pair of luma samples -> the luma samples that make one chroma sample, and their weights.
REDUCING: dict[float, tuple[tuple[int, float], ...]] = {
    0.0: ((-1, 0.25), (0, 0.5), (1, 0.25)),
    0.5: ((0, 0.5), (1, 0.5)),
    1.0: ((0, 0.25), (1, 0.5), (2, 0.25)),
}
HD_WIDTH, HD_HEIGHT = 1280, 720  # from either on, an untagged picture is taken to be BT.709


def with_defaults(color: ColorInfo, width: int, height: int) -> ColorInfo:
    """``color`` with a matrix and a range: where untagged, BT.601 for SD and BT.709 for HD, limited."""
    matrix = color.matrix or ("bt709" if width >= HD_WIDTH or height >= HD_HEIGHT else "smpte170m")
    return replace(color, matrix=matrix, range=color.range or "limited")


# What is said of an untagged clip, by the matrix it is taken to have; then, where players would take its result to have
# another.
UNTAGGED = {
    "smpte170m": "no colour tags: taken as BT.601, as SD clips are",
    "bt709": "no colour tags: taken as BT.709, as HD clips are",
}
TAGGED = {matrix: f"{words}, and the result, which is not, is tagged so" for matrix, words in UNTAGGED.items()}


def tagged(before: VideoInfo, after: VideoInfo, notes: Notes) -> VideoInfo:
    """Return ``after``, made of ``before``, with a matrix tag if players would assume another one now.

    An untagged clip stays untagged as long as that means the same.
    """
    if before.color.matrix is not None or before.chroma == "gray":
        return after
    taken, now = (with_defaults(info.color, info.width, info.height).matrix for info in (before, after))
    assert taken is not None  # a default is always one of the two
    if taken == now:
        notes.info("color_assumed", UNTAGGED[taken])
        return after
    notes.info("color_tagged", TAGGED[taken])
    return replace(after, color=replace(after.color, matrix=taken))


class Codes(NamedTuple):
    """Where black, white and neutral chroma lie, in code values."""

    black: float
    luma: float  # from black to white
    neutral: float
    chroma: float  # from the least to the greatest


def codes(color: ColorInfo, depth: int) -> Codes:
    """The code values of ``color``'s range at ``depth`` bits."""
    neutral = float(1 << (depth - 1))
    if color.range == "full":
        peak = float((1 << depth) - 1)
        return Codes(0.0, peak, neutral, peak)
    unit = 2.0 ** (depth - 8)
    return Codes(16 * unit, 219 * unit, neutral, 224 * unit)


def ycbcr_to_rgb(y: Tensor, uv: Tensor, color: ColorInfo, depth: int) -> Tensor:
    """RGB (N x 3 x H x W float32, 0 black to 1 white) of 4:4:4 planes (N x 1 and N x 2 x H x W code values).

    Nothing is clipped, so colours outside the RGB cube come back unchanged from `rgb_to_ycbcr`. ``color`` must name
    a matrix and a range (see `with_defaults`).

    Raises:
        InputError: the matrix is not a linear one of known weights.
    """
    at = codes(color, depth)
    to_codes = _rgb_to_codes(color, depth)
    from_codes = torch.linalg.inv(to_codes)
    shift = from_codes @ torch.tensor([at.black, at.neutral, at.neutral], dtype=torch.float64)
    return _affine(torch.cat([y.float(), uv.float()], dim=1), from_codes, -shift)


def rgb_to_ycbcr(rgb: Tensor, color: ColorInfo, depth: int) -> tuple[Tensor, Tensor]:
    """4:4:4 planes (N x 1 and N x 2 x H x W float32 code values, not rounded) of RGB (N x 3 x H x W, 0 to 1).

    Raises:
        InputError: the matrix is not a linear one of known weights.
    """
    at = codes(color, depth)
    shift = torch.tensor([at.black, at.neutral, at.neutral], dtype=torch.float64)
    planes = _affine(rgb.float(), _rgb_to_codes(color, depth), shift)
    return planes[:, :1], planes[:, 1:]


def _rgb_to_codes(color: ColorInfo, depth: int) -> Tensor:
    """The matrix (3 x 3, float64) that makes code values, without their offsets, of red, green and blue.

    Raises:
        InputError: the matrix is not a linear one of known weights.
    """
    kr, kb = _weights(color)
    at = codes(color, depth)
    luma = torch.tensor([kr, 1 - kr - kb, kb], dtype=torch.float64)
    red, _, blue = torch.eye(3, dtype=torch.float64)
    cb, cr = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    return torch.stack([luma * at.luma, cb * at.chroma, cr * at.chroma])


def _affine(planes: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """``matrix`` times the three values of every pixel (N x 3 x H x W), plus ``shift``: one pass over the memory."""
    matrix, shift = matrix.to(planes), shift.to(planes)
    n = len(planes)
    result = torch.baddbmm(shift[None, :, None], matrix.expand(n, -1, -1), planes.flatten(2))
    return result.reshape(planes.shape)


def to_rgb(batch: FrameBatch, info: VideoInfo) -> Tensor:
    """RGB (N x 3 x H x W float32, 0 to 1, not clipped) of a batch, with the clip's own matrix, range and siting.

    Raises:
        InputError: the clip's matrix is not a linear one of known weights.
    """
    color = with_defaults(info.color, info.width, info.height)
    if batch.uv is None:
        at = codes(color, info.depth)
        return ((batch.y.float() - at.black) / at.luma).expand(-1, 3, -1, -1)
    uv = upsample_chroma(batch.uv, info.chroma, (info.width, info.height), color.chroma_location)
    return ycbcr_to_rgb(batch.y, uv, color, info.depth)


def from_rgb(rgb: Tensor, info: VideoInfo) -> tuple[Tensor, Tensor | None]:
    """Planes (float32 code values, not rounded) of RGB, in the chroma format, matrix, range and siting of ``info``."""
    color = with_defaults(info.color, info.width, info.height)
    y, uv = rgb_to_ycbcr(rgb, color, info.depth)
    return y, None if info.chroma == "gray" else downsample_chroma(uv, info.chroma, color.chroma_location)


def upsample_chroma(uv: Tensor, chroma: Chroma, size: tuple[int, int], location: str | None = None) -> Tensor:
    """Chroma at every luma sample (N x 2 x H x W float32; ``size`` is width, height), linear between where it sits."""
    return convert_chroma(uv, chroma, "444", size, location)


def downsample_chroma(uv: Tensor, chroma: Chroma, location: str | None = None) -> Tensor:
    """4:4:4 chroma reduced to ``chroma``, each sample centred on where ``location`` says that it sits."""
    return convert_chroma(uv, "444", chroma, (uv.shape[-1], uv.shape[-2]), location)


def convert_chroma(
    uv: Tensor, given: Chroma, wanted: Chroma, size: tuple[int, int], location: str | None = None
) -> Tensor:
    """Chroma (N x 2 x h x w) of a picture of ``size`` (width, height) in another format, float32, where it sits."""
    uv = uv.float()
    at_xy = LOCATIONS[location or DEFAULT_LOCATION]
    for dim, step, new_step, length, at in zip(
        (-1, -2), SUBSAMPLING[given], SUBSAMPLING[wanted], size, at_xy, strict=True
    ):
        if step > new_step:
            uv = _interpolated(uv, dim, length, at)
        elif step < new_step:
            uv = _reduced(uv, dim, at)
    return uv


def _weights(color: ColorInfo) -> tuple[float, float]:
    if color.matrix not in WEIGHTS:
        raise InputError(f"matrix {color.matrix} cannot be turned into RGB: choose a model that works on luma")
    return WEIGHTS[color.matrix]


def _interpolated(plane: Tensor, dim: int, size: int, offset: float) -> Tensor:
    """``plane`` at twice the samples along ``dim``; sample i of it lies at 2 i + offset of the result."""
    position = (torch.arange(size, device=plane.device) - offset) / 2
    left = position.floor()
    weight = (position - left).to(plane.dtype)
    last = plane.shape[dim] - 1
    before = plane.index_select(dim, left.clamp(0, last).long())
    after = plane.index_select(dim, (left + 1).clamp(0, last).long())
    return torch.lerp(before, after, weight if dim == -1 else weight[:, None])


def _reduced(plane: Tensor, dim: int, offset: float) -> Tensor:
    """Half the samples of ``plane`` along ``dim``, rounded up."""
    size = plane.shape[dim]
    first = torch.arange(0, size, 2, device=plane.device)
    parts = [plane.index_select(dim, (first + tap).clamp(0, size - 1)) * weight for tap, weight in REDUCING[offset]]
    return torch.stack(parts).sum(0)
