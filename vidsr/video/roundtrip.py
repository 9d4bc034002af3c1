"""Encodes frames and decodes them again in memory: what a lossy codec makes of a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import numpy as np
import numpy.typing as npt
from av import Packet, VideoStream

from vidsr.options.codecs import Encoding

Encoder = Literal["libx264", "libx265", "libvpx-vp9", "mpeg4", "mpeg2video"]

NEUTRAL = 128  # chroma of a grey picture


def _crf(quality: int) -> dict[str, str]:
    return {"crf": str(quality)}


def _quantizer(quality: int) -> dict[str, str]:
    return {"qmin": str(quality), "qmax": str(quality)}


@dataclass(frozen=True)
class _Codec:
    decoder: str
    rate: Callable[[int], dict[str, str]]  # the options that ask for a quality
    speed: dict[str, str]  # the options that keep a small encode quick and quiet


_CODECS: dict[Encoder, _Codec] = {
    "libx264": _Codec("h264", _crf, {"preset": "medium"}),
    "libx265": _Codec(
        "hevc", _crf, {"preset": "superfast", "x265-params": "log-level=none:pools=none:frame-threads=1"}
    ),
    "libvpx-vp9": _Codec("vp9", _crf, {"b": "0", "deadline": "realtime", "cpu-used": "6"}),
    "mpeg4": _Codec("mpeg4", _quantizer, {}),
    "mpeg2video": _Codec("mpeg2video", _quantizer, {}),
}


def roundtrip(
    luma: npt.NDArray[np.uint8], encoder: Encoder, quality: int, preset: str | None = None
) -> npt.NDArray[np.uint8]:
    """The grey clip ``luma`` (T x H x W) after encoding at 25 fps as 4:2:0 and decoding.

    ``quality`` is the CRF of libx264, libx265 and libvpx-vp9, and the quantizer (1 to 31) of mpeg4 and mpeg2video.
    ``preset`` is libx264's or libx265's. One thread, so that the result depends on nothing else.

    Raises:
        OptionError: the encoder does not take pictures that narrow.
    """
    Encoding(encoder).check_width(luma.shape[2])
    height, width = luma.shape[1:]
    even = np.pad(luma, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")  # 4:2:0 has no odd sizes
    codec = _CODECS[encoder]
    speed = codec.speed if preset is None else {**codec.speed, "preset": preset}
    packets = _encode(even, encoder, {**speed, **codec.rate(quality)})
    return np.stack([frame.to_ndarray()[:height, :width] for frame in _decode(packets, codec.decoder)])


def _encode(luma: npt.NDArray[np.uint8], encoder: Encoder, options: dict[str, str]) -> Iterator[Packet[VideoStream]]:
    height, width = luma.shape[1:]
    context = _context(encoder, "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.options = options
    planes = np.full((height * 3 // 2, width), NEUTRAL, np.uint8)
    for index, picture in enumerate(luma):
        planes[:height] = picture
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = index
        yield from context.encode(frame)
    yield from context.encode(None)


def _decode(packets: Iterable[Packet[VideoStream]], decoder: str) -> Iterator[av.VideoFrame]:
    context = _context(decoder, "r")
    for packet in packets:
        yield from context.decode(packet)
    yield from context.decode(None)


def _context(name: str, mode: Literal["r", "w"]) -> av.VideoCodecContext:
    context = av.CodecContext.create(name, mode)
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    return context
