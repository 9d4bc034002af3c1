"""Side data of a frame: the display matrix and static HDR10 metadata."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, cast

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from vidsr.frames import Chromaticity, HdrInfo

MATRIX = struct.Struct("=9i")  # rows (a b u), (c d v), (x y w); 16.16 fixed point, last column 2.30
MASTERING = struct.Struct("=22i")  # AVMasteringDisplayMetadata: ten rationals and two flags
LIGHT = struct.Struct("=2I")  # AVContentLightMetadata
CHROMATICITY_UNIT, LUMINANCE_UNIT = 50_000, 10_000  # of the HEVC and H.264 SEI messages
LIGHT_OPTIONS = {"x264-params": "cll", "x265-params": "max-cll", "svtav1-params": "content-light"}


def _unnamed(cls: type[Type], value: Any) -> Type:
    member = object.__new__(cls)
    member._name_, member._value_ = f"UNNAMED_{value}", value
    return member


# PyAV fails on side data of a type that it has no name for, such as EXIF, which FFmpeg 8 attaches to images.
Type._missing_ = classmethod(_unnamed)  # type: ignore[assignment]  # the hook of Python's enums


def side_data(frame: VideoFrame) -> dict[Type, bytes]:
    """Return all side data of the frame by type."""
    items = cast(Iterable[Any], frame.side_data)  # typed as a dictionary by PyAV, but iterates its values
    return {item.type: bytes(item) for item in items}


def read_display_matrix(data: dict[Type, bytes]) -> tuple[int, ...] | None:
    """Return the display matrix of the frame; None without one."""
    matrix = data.get(Type.DISPLAYMATRIX)
    return None if matrix is None else MATRIX.unpack(matrix)


def scaled_matrix(matrix: tuple[int, ...], width: int, height: int) -> tuple[int, ...]:
    """Return a display ``matrix`` for a new frame size.

    Its translation moves the rotated frame back into view.
    """
    a, b, u, c, d, v, x, y, w = matrix
    if not (x or y):
        return matrix
    left = min(0, a * width, c * height, a * width + c * height)
    top = min(0, b * width, d * height, b * width + d * height)
    return a, b, u, c, d, v, -left, -top, w


def turns(matrix: tuple[int, ...] | None) -> bool:
    """Whether a display ``matrix`` turns or mirrors the frame without distortion."""
    if matrix is None:
        return False
    a, b, u, c, d, v, *_ = matrix
    return u == v == 0 and (a, b) in ((d, -c), (-d, c))


def read_hdr(data: dict[Type, bytes]) -> HdrInfo | None:
    """Return the mastering display and light level of the frame; None without both."""
    mastering, light = data.get(Type.MASTERING_DISPLAY_METADATA), data.get(Type.CONTENT_LIGHT_LEVEL)
    if mastering is None and light is None:
        return None
    max_cll, max_fall = (0, 0) if light is None else LIGHT.unpack_from(light)
    if mastering is None:
        return HdrInfo(max_cll=max_cll, max_fall=max_fall)
    *numbers, has_primaries, has_luminance = MASTERING.unpack(mastering)
    values = [Fraction(top, bottom or 1) for top, bottom in zip(numbers[::2], numbers[1::2], strict=True)]
    red, green, blue, white, luminance = zip(values[::2], values[1::2], strict=True)
    return HdrInfo(
        primaries=(red, green, blue) if has_primaries else None,
        white=white if has_primaries else None,
        luminance=luminance if has_luminance else None,
        max_cll=max_cll,
        max_fall=max_fall,
    )


def hdr_options(hdr: HdrInfo, params: str) -> dict[str, str]:
    """Return ``hdr`` as options of the encoder parameter list ``params`` (of libx264, libx265 or libsvtav1)."""
    options = {}
    if hdr.primaries is not None and hdr.white is not None and hdr.luminance is not None:
        red, green, blue = hdr.primaries
        least, most = hdr.luminance
        points = (("G", green), ("B", blue), ("R", red), ("WP", hdr.white), ("L", (most, least)))
        text = "".join(f"{name}({_pair(name, pair, params)})" for name, pair in points)
        options["master-display" if params == "x265-params" else "mastering-display"] = text
    if hdr.max_cll or hdr.max_fall:
        options[LIGHT_OPTIONS[params]] = f"{hdr.max_cll},{hdr.max_fall}"
    return options


def _pair(name: str, pair: Chromaticity, params: str) -> str:
    if params == "svtav1-params":
        return ",".join(f"{float(value):.6g}" for value in pair)
    unit = LUMINANCE_UNIT if name == "L" else CHROMATICITY_UNIT
    return ",".join(str(round(value * unit)) for value in pair)
