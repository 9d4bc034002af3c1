"""Mean quantizer of a clip, as exported by its decoder: how coarsely it was encoded."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from vidsr.options.source import Reading
from vidsr.video.demux import packets
from vidsr.video.probe import video_stream
from vidsr.video.sidedata import side_data
from vidsr.video.source import open_source, readable

EXPORT = {"export_side_data": "venc_params"}  # option of a decoder
FRAMES = 24  # from the start: some of each frame type (I, P, B)
HEADER = "INNii"  # AVVideoEncParams: number of blocks, offset, block size, quantizer type, quantizer of the frame
BLOCK = np.dtype("5i4")  # AVVideoBlockParams: x, y, width, height, offset to the frame's quantizer


def mean_quantizer(path: Path, reading: Reading | None = None) -> float | None:
    """Return the mean quantizer of the first frames; None if the decoder does not export it.

    Units are those of the codec: H.264 0 to 51, MPEG-2 and MPEG-4 2 to 62, VP9 0 to 255. Decoders of HEVC, AV1 and
    lossless codecs export none.
    """
    with readable(path), open_source(path, reading) as container:
        stream = video_stream(container, path, reading)
        stream.codec_context.options = EXPORT
        found: list[float | None] = []
        with suppress(FFmpegError):  # of a damaged clip, use the readable frames
            decoded = (frame for packet in packets(container, [stream]) for frame in stream.decode(packet))
            found.extend(_quantizer(frame) for frame in islice(decoded, FRAMES))
    return _mean(found)


def quantizer_of(frames: Iterable[VideoFrame]) -> float | None:
    """Return the mean quantizer of frames from a decoder with the options `EXPORT`; None if it exported none."""
    return _mean(map(_quantizer, frames))


def _mean(found: Iterable[float | None]) -> float | None:
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None


def _quantizer(frame: VideoFrame) -> float | None:
    raw = side_data(frame).get(Type.VIDEO_ENC_PARAMS)
    if raw is None:
        return None
    count, offset, size, _, base = struct.unpack_from(HEADER, raw)
    if not count:
        return float(base)
    blocks = np.frombuffer(raw, np.uint8, count * size, offset).reshape(count, size)
    return float(base + blocks[:, : BLOCK.itemsize].copy().view(np.int32)[:, -1].mean())
