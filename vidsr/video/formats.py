"""FFmpeg's pixel formats and colour tags, and the formats that encoders support."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from av.codec import Codec
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from vidsr.color import default_matrix
from vidsr.errors import Notes, OptionError
from vidsr.frames import Chroma, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.runtime.encoders import find_encoder

DEPTHS = (8, 9, 10, 12, 14, 16)
ENDIAN = "le" if sys.byteorder == "little" else "be"


def pix_fmt(chroma: Chroma, depth: int) -> str:
    """Return FFmpeg's name of planar Y'CbCr in that chroma format and depth."""
    return ("gray" if chroma == "gray" else f"yuv{chroma}p") + ("" if depth == 8 else f"{depth}{ENDIAN}")


_CHROMAS: tuple[Chroma, ...] = ("gray", "420", "422", "444")
PLANAR: dict[str, tuple[Chroma, int]] = {pix_fmt(c, d): (c, d) for c in _CHROMAS for d in DEPTHS}

MATRICES = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc",
    10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp",
}  # fmt: skip
PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020", 10: "smpte428",
    11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
TRANSFERS = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100", 10: "log316",
    11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084",
    17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
RANGES: dict[int, Literal["limited", "full"]] = {1: "limited", 2: "full"}


def number(names: Mapping[int, str], name: str | None) -> int | None:
    """Return FFmpeg's number of a colour tag; None for a missing or unknown tag."""
    return next((key for key, value in names.items() if value == name), None)


@dataclass(frozen=True)
class PlanarFormat:
    """The planar format that holds decoded frames, and the colour tags that the decoded format implies."""

    chroma: Chroma
    depth: int
    is_rgb: bool = False  # decoded as RGB
    matrix: str | None = None
    range: Literal["limited", "full"] | None = None

    @property
    def pix_fmt(self) -> str:
        """Return FFmpeg's name of the format."""
        return pix_fmt(self.chroma, self.depth)


def planar_format(frame: VideoFrame) -> PlanarFormat:
    """Return the planar format for frames like ``frame``.

    It is their own format if that is planar Y'CbCr, else the nearest one.

    An alpha channel is dropped.
    """
    name = frame.format.name.replace("yuva", "yuv")
    if name in PLANAR:
        return PlanarFormat(*PLANAR[name])
    if name.startswith("yuvj") and name.replace("yuvj", "yuv") in PLANAR:
        return PlanarFormat(*PLANAR[name.replace("yuvj", "yuv")], range="full")
    components = [component for component in frame.format.components if not component.is_alpha]
    depth = min(d for d in DEPTHS if d >= max(component.bits for component in components) or d == DEPTHS[-1])
    if frame.format.is_rgb or frame.format.has_palette:
        return PlanarFormat("444", depth, True, default_matrix(frame.width, frame.height), "limited")
    if len(components) < 3:
        return PlanarFormat("gray", depth)
    return PlanarFormat(_nearest_chroma(frame.format), depth)


def _nearest_chroma(planar: VideoFormat) -> Chroma:
    """Return a chroma format with at least as many samples in each direction.

    4:1:1 and 4:1:0 have fewer samples across than any; they become 4:2:2 and 4:2:0.
    """
    across = 64 // planar.chroma_width(64)
    down = 64 // planar.chroma_height(64)
    if across == 1:
        return "444"
    return "422" if down == 1 else "420"


def encoder(encoding: Encoding) -> Codec:
    """Return FFmpeg's encoder for ``encoding``.

    Raises:
        OptionError: this FFmpeg build has no such video encoder.
    """
    return find_encoder(encoding.codec)


def nearest_format(info: VideoInfo, encoding: Encoding, notes: Notes) -> VideoInfo:
    """Return ``info`` in a chroma format, depth and size that the encoder supports.

    ``notes`` gets each change.

    Raises:
        OptionError: the encoder does not exist or supports no planar Y'CbCr.
    """
    return _even(nearest_pixel_format(info, encoding, notes), encoding, notes)


def nearest_pixel_format(info: VideoInfo, encoding: Encoding, notes: Notes) -> VideoInfo:
    """Return ``info`` in a chroma format and depth that the encoder supports.

    ``notes`` gets each change.

    Prefers finer chroma to coarser chroma, and a higher depth to a lower depth.

    Raises:
        OptionError: the encoder does not exist or supports no planar Y'CbCr.
    """
    if encoding.is_null:
        return info
    names = [f.name for f in encoder(encoding).video_formats or ()]
    supported = [PLANAR[name] for name in names if name in PLANAR]
    if "p010le" in names:  # interleaved chroma, otherwise the same values
        supported.append(("420", 10))
    if not names:  # the encoder has no list
        supported = [(info.chroma, info.depth)]
    if not supported:
        raise OptionError(f"--codec {encoding.codec} supports no planar Y'CbCr: try libx264")
    chroma, depth = min(supported, key=lambda one: _distance(info, *one))
    if (chroma, depth) != (info.chroma, info.depth):
        asked, written = pix_fmt(info.chroma, info.depth), pix_fmt(chroma, depth)
        notes.info("format_changed", f"{encoding.codec} does not support {asked}: written as {written}")
    return replace(info, chroma=chroma, depth=depth)


def _even(info: VideoInfo, encoding: Encoding, notes: Notes) -> VideoInfo:
    """Return ``info`` with even sizes if the encoder needs them for subsampled chroma."""
    if not encoding.table_entry.even or info.chroma not in ("420", "422"):
        return info
    width = info.width + info.width % 2
    height = info.height + (info.height % 2 if info.chroma == "420" else 0)
    if (width, height) == (info.width, info.height):
        return info
    notes.info(
        "padded_to_even",
        f"{encoding.codec} needs even sizes for {info.chroma}: padded by repeating the edge to {width}x{height}",
    )
    return replace(info, width=width, height=height)


def _distance(info: VideoInfo, chroma: Chroma, depth: int) -> tuple[bool, int, bool, int]:
    """Sort key of a format: first what it loses of ``info``, then what it adds."""
    finer = _CHROMAS.index(chroma) - _CHROMAS.index(info.chroma)
    deeper = depth - info.depth
    return finer < 0, abs(finer), deeper < 0, abs(deeper)
