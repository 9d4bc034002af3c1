"""How coarsely a clip was encoded, as its decoder tells."""

from __future__ import annotations

import struct
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from vidsr.options.source import Reading
from vidsr.video.probe import picture_stream
from vidsr.video.sidedata import side_data
from vidsr.video.source import open_source

FRAMES = 24  # from the start: some of each kind of picture
HEADER = "INNii"  # AVVideoEncParams: blocks, offset and size of the first, kind of quantizer, quantizer of the frame
BLOCK = np.dtype("5i4")  # AVVideoBlockParams: x, y, width, height, what the block adds to the frame's quantizer


def mean_quantizer(path: Path, reading: Reading | None = None) -> float | None:
    """Mean quantizer of the first frames, in the units of the codec: H.264 0 to 51, MPEG-2 and MPEG-4 2 to 62, VP9 0 to
    255. None where the decoder does not tell (HEVC, AV1, lossless codecs).
    """
    with open_source(path, reading) as container:
        stream = picture_stream(container, path)
        stream.codec_context.options = {"export_side_data": "venc_params"}
        found: list[float | None] = []
        with suppress(FFmpegError):  # a damaged clip tells as far as it can be read
            found.extend(_quantizer(frame) for frame in islice(container.decode(stream), FRAMES))
    told = [value for value in found if value is not None]
    return float(np.mean(told)) if told else None


def _quantizer(frame: VideoFrame) -> float | None:
    raw = side_data(frame).get(Type.VIDEO_ENC_PARAMS)
    if raw is None:
        return None
    count, offset, size, _, base = struct.unpack_from(HEADER, raw)
    if not count:
        return float(base)
    blocks = np.frombuffer(raw, np.uint8, count * size, offset).reshape(count, size)
    return float(base + blocks[:, : BLOCK.itemsize].copy().view(np.int32)[:, -1].mean())
