"""The containers that are written, and whether they can carry a given stream."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import av
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vidsr.errors import OutputError
from vidsr.options.image_sequence import is_sequence

# The one that keeps most first: it is named to the user where another loses something.
CONTAINERS = {".mkv": "matroska", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".webm": "webm"}
PLANES, PICTURES = "yuv4mpegpipe", "image2"
PICTURE_ONLY = (PLANES, PICTURES)  # no sound, no texts, no times


def container_format(path: Path) -> str:
    """FFmpeg's name of the container that the file's suffix asks for; of ``-`` and ``.y4m``, that of plain planes.

    Raises:
        OutputError: it is not one that is written.
    """
    if str(path) == "-" or path.suffix.lower() == ".y4m":
        return PLANES
    if is_sequence(path):
        return PICTURES
    name = CONTAINERS.get(path.suffix.lower())
    if name is None:
        raise OutputError(f"{path} has no container that is written: end the name in {', '.join(CONTAINERS)}")
    return name


def can_carry(stream: Stream, container: str) -> bool:
    """Whether packets of ``stream`` can be copied into ``container``: found by writing the header of an empty file."""
    if container in PICTURE_ONLY:
        return False
    if stream.type == "attachment":
        return container == "matroska"
    if is_cover(stream):
        return container in ("matroska", "mp4")
    if stream.type != "data" and stream.codec_context is None:
        return False  # without a decoder PyAV cannot copy its parameters
    scratch = av.open(io.BytesIO(), "w", format=container)
    try:
        scratch.add_stream_from_template(stream, opaque=True)
        scratch.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    finally:
        with suppress(av.FFmpegError):
            scratch.close()
    return True


def is_cover(stream: Stream) -> bool:
    """Whether the stream is a still picture that stands for the file."""
    return isinstance(stream, VideoStream) and bool(stream.disposition & Disposition.attached_pic)
