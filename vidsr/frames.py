"""Batches of planes with exact times, and the properties of a clip."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import atan2, degrees
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor

Chroma = Literal["gray", "420", "422", "444"]
FieldOrder = Literal["progressive", "top", "bottom"]  # the field shown first

# chroma format -> (horizontal, vertical) luma samples per chroma sample
SUBSAMPLING: dict[Chroma, tuple[int, int]] = {"gray": (1, 1), "420": (2, 2), "422": (2, 1), "444": (1, 1)}


@dataclass(frozen=True, slots=True)
class Origin:
    """Origin of an output frame.

    It is source frame ``index``, or with ``phase`` above 0 it lies between that and the next source frame.
    """

    index: int
    phase: Fraction = Fraction(0)
    scene_cut: bool = False  # the next source frame lies across a scene cut, so this one is held
    flow_confidence: float | None = None  # share of the frame whose flow agrees in both directions; None without flow


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """N consecutive frames of one clip, in presentation order.

    Planes hold code values (0 to ``2**depth - 1``): uint8 or uint16 as decoded, float32 (not yet rounded) between
    stages. Chroma is subsampled as in the clip.
    """

    y: Tensor  # N x 1 x H x W
    uv: Tensor | None  # N x 2 x h x w; None for grey
    times: tuple[Fraction, ...]  # presentation time of each frame, seconds, exact
    origins: tuple[Origin, ...]
    repeats: tuple[bool, ...] = ()  # whether each frame equals the previous one of the stream; () means none does

    def __post_init__(self) -> None:
        n = self.y.shape[0]
        if not self.repeats:
            object.__setattr__(self, "repeats", (False,) * n)
        lengths = [len(self.times), len(self.origins), len(self.repeats), n if self.uv is None else len(self.uv)]
        if lengths != [n] * 4:
            raise ValueError(f"a batch of {n} frames has {lengths} times, origins, repeats and chroma planes")

    def __len__(self) -> int:
        return self.y.shape[0]

    def __getitem__(self, key: slice) -> FrameBatch:
        """Return frames ``key`` as a view."""
        uv = None if self.uv is None else self.uv[key]
        return FrameBatch(self.y[key], uv, self.times[key], self.origins[key], self.repeats[key])

    def __repr__(self) -> str:
        chroma = None if self.uv is None else tuple(self.uv.shape)
        first, last = (float(self.times[0]), float(self.times[-1])) if self.times else (None, None)
        return f"FrameBatch(y={tuple(self.y.shape)} {self.y.dtype}, uv={chroma}, times={first}..{last} s)"

    @property
    def nbytes(self) -> int:
        """Bytes held by the planes."""
        return self.y.nbytes + (0 if self.uv is None else self.uv.nbytes)

    def planes(self, y: Tensor, uv: Tensor | None) -> FrameBatch:
        """Return the same frames with other planes."""
        return replace(self, y=y, uv=uv)


def concat(batches: list[FrameBatch]) -> FrameBatch:
    """Return one batch of all frames in order; planes of mixed dtype become float32."""

    def join(planes: list[Tensor]) -> Tensor:
        mixed = len({p.dtype for p in planes}) > 1
        return torch.cat([p.float() for p in planes] if mixed else planes)

    uvs = [b.uv for b in batches if b.uv is not None]
    return FrameBatch(
        join([b.y for b in batches]),
        join(uvs) if uvs else None,
        tuple(t for b in batches for t in b.times),
        tuple(o for b in batches for o in b.origins),
        tuple(r for b in batches for r in b.repeats),
    )


@dataclass(frozen=True)
class ColorInfo:
    """Colour tags by FFmpeg's names; None where the clip has no tag."""

    matrix: str | None = None  # bt709, smpte170m, bt470bg, bt2020nc ...
    primaries: str | None = None
    transfer: str | None = None
    range: Literal["limited", "full"] | None = None
    chroma_location: str | None = None  # left, center, topleft ...


Chromaticity = tuple[Fraction, Fraction]  # CIE 1931 x, y


@dataclass(frozen=True)
class HdrInfo:
    """HDR10 metadata: mastering display and light level; None or 0 where absent.

    Standards: SMPTE ST 2086 and CTA-861.3.
    """

    primaries: tuple[Chromaticity, Chromaticity, Chromaticity] | None = None  # red, green, blue
    white: Chromaticity | None = None
    luminance: tuple[Fraction, Fraction] | None = None  # minimum and maximum, cd/m2
    max_cll: int = 0  # brightest pixel, cd/m2
    max_fall: int = 0  # brightest frame average, cd/m2


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video stream, known before its first frame.

    A stage maps the properties of its input to those of its output.
    """

    width: int
    height: int
    fps: Fraction | None  # average rate; None for a still image
    chroma: Chroma = "420"
    depth: int = 8  # bits per sample
    color: ColorInfo = field(default_factory=ColorInfo)
    sar: Fraction = Fraction(1)  # sample aspect ratio
    display_matrix: tuple[int, ...] | None = None  # nine numbers in FFmpeg's order; carried, never applied
    hdr: HdrInfo | None = None
    field_order: FieldOrder | None = None  # None where the clip has no flag
    duration: Fraction | None = None  # seconds
    frames: int | None = None  # estimate, for progress only
    codec: str = ""
    bit_rate: int | None = None  # of the video stream, bits per second
    alpha: bool = False  # whether frames can be transparent
    time_base: Fraction | None = None  # of the source's timestamps, so that a writer can keep them exactly

    @property
    def square_size(self) -> tuple[int, int]:
        """Width and height in square pixels.

        One side grows to an even number, no side shrinks.
        """
        if self.sar >= 1:
            return self.width if self.sar == 1 else 2 * round(self.width * self.sar / 2), self.height
        return self.width, 2 * round(self.height / self.sar / 2)

    @property
    def rotation(self) -> int:
        """Degrees by which players rotate the frame counter-clockwise."""
        return 0 if self.display_matrix is None else round(-degrees(atan2(*self.display_matrix[1::-1])))

    @property
    def is_on_its_side(self) -> bool:
        """Whether players rotate the frame by a quarter turn."""
        return self.display_matrix is not None and self.display_matrix[0] == self.display_matrix[4] == 0

    @property
    def peak(self) -> int:
        """Largest code value."""
        return (1 << self.depth) - 1

    @property
    def dtype(self) -> torch.dtype:
        """Integer type of the rounded planes."""
        return torch.uint8 if self.depth == 8 else torch.uint16

    @property
    def chroma_size(self) -> tuple[int, int]:
        """Width and height of each chroma plane; an odd luma size rounds up."""
        sx, sy = SUBSAMPLING[self.chroma]
        return -(-self.width // sx), -(-self.height // sy)


class _FramesModule(ModuleType):
    """This module, which is also the function `vidsr.frames`: a package has one attribute of a name."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Return `vidsr.api.frames` of the arguments."""
        from importlib import import_module

        return import_module("vidsr.api").frames(*arguments, **options)


sys.modules[__name__].__class__ = _FramesModule
