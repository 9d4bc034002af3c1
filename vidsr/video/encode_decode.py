"""Encode frames and decode them again in memory, to degrade them by a lossy codec."""

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
from vidsr.video.quantizer import EXPORT, quantizer_of

Encoder = Literal["libx264", "libx265", "libvpx-vp9", "mpeg4", "mpeg2video"]

NEUTRAL = 128  # chroma of a grey frame


def _crf(quality: int) -> dict[str, str]:
    return {"crf": str(quality)}


def _quantizer(quality: int) -> dict[str, str]:
    return {"qmin": str(quality), "qmax": str(quality)}


@dataclass(frozen=True)
class _Codec:
    decoder: str
    rate_control: Callable[[int], dict[str, str]]  # encoder options for a quality
    speed: dict[str, str]  # encoder options that keep a small encode quick and silent


_CODECS: dict[Encoder, _Codec] = {
    "libx264": _Codec("h264", _crf, {"preset": "medium"}),
    "libx265": _Codec(
        "hevc", _crf, {"preset": "superfast", "x265-params": "log-level=none:pools=none:frame-threads=1"}
    ),
    "libvpx-vp9": _Codec("vp9", _crf, {"b": "0", "deadline": "realtime", "cpu-used": "6"}),
    "mpeg4": _Codec("mpeg4", _quantizer, {}),
    "mpeg2video": _Codec("mpeg2video", _quantizer, {}),
}


def encode_and_decode(
    luma: npt.NDArray[np.uint8], encoder: Encoder, quality: int, preset: str | None = None
) -> npt.NDArray[np.uint8]:
    """Return the grey clip ``luma`` (T x H x W) after encoding and decoding it.

    It is encoded as 4:2:0 at 25 fps.

    ``quality`` is the CRF of libx264, libx265 and libvpx-vp9, and the quantizer (1 to 31) of mpeg4 and mpeg2video.
    ``preset`` is that of libx264 or libx265. One thread makes the result reproducible.

    Raises:
        OptionError: the frames are too narrow for the encoder.
    """
    height, width = luma.shape[1:]
    even = np.pad(luma, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")  # 4:2:0 needs even sizes
    decoded, _ = encode_and_decode_420(even, _neutral(even), encoder, quality, preset)
    return np.ascontiguousarray(decoded[:, :height, :width])


def encode_and_decode_420(
    luma: npt.NDArray[np.uint8], uv: npt.NDArray[np.uint8], encoder: Encoder, quality: int, preset: str | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the planes of a 4:2:0 clip after encoding and decoding it, as `encode_and_decode` does.

    ``luma`` is T x H x W of even sizes, ``uv`` T x 2 x H/2 x W/2.

    Raises:
        OptionError: the frames are too narrow for the encoder.
    """
    Encoding(encoder).check_width(luma.shape[2])
    codec = _CODECS[encoder]
    speed = codec.speed if preset is None else {**codec.speed, "preset": preset}
    packets = _encode(luma, uv, encoder, {**speed, **codec.rate_control(quality)})
    height = luma.shape[1]
    frames: npt.NDArray[np.uint8] = np.stack([frame.to_ndarray() for frame in _decode(packets, codec.decoder)])
    return frames[:, :height], frames[:, height:].reshape(len(frames), *uv.shape[1:])


def encode_and_measure(
    luma: npt.NDArray[np.uint8], encoder: Encoder, quality: int
) -> tuple[npt.NDArray[np.uint8], float | None]:
    """Return the frames of `encode_and_decode`, sides even, and their mean quantizer; None where it is not exported."""
    height, width = luma.shape[1:]
    codec = _CODECS[encoder]
    even = luma[:, : height & ~1, : width & ~1]
    packets = _encode(even, _neutral(even), encoder, {**codec.speed, **codec.rate_control(quality)})
    frames = list(_decode(packets, codec.decoder, EXPORT))
    return np.stack([frame.to_ndarray()[: height & ~1] for frame in frames]), quantizer_of(frames)


def _neutral(luma: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the 4:2:0 chroma of grey frames."""
    return np.full((len(luma), 2, luma.shape[1] // 2, luma.shape[2] // 2), NEUTRAL, np.uint8)


def _encode(
    luma: npt.NDArray[np.uint8], uv: npt.NDArray[np.uint8], encoder: Encoder, options: dict[str, str]
) -> Iterator[Packet[VideoStream]]:
    height, width = luma.shape[1:]
    context = _context(encoder, "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.options = options
    for index, (y, chroma) in enumerate(zip(luma, uv, strict=True)):
        planes = np.concatenate([y, chroma.reshape(height // 2, width)])
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = index
        yield from context.encode(frame)
    yield from context.encode(None)


def _decode(
    packets: Iterable[Packet[VideoStream]], decoder: str, options: dict[str, str] | None = None
) -> Iterator[av.VideoFrame]:
    context = _context(decoder, "r")
    context.options = options or {}
    for packet in packets:
        yield from context.decode(packet)
    yield from context.decode(None)


def _context(name: str, mode: Literal["r", "w"]) -> av.VideoCodecContext:
    context = av.CodecContext.create(name, mode)
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    return context
