"""Properties of a clip's video stream, from its headers and first frame."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.filter
import av.logging
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.errors import InputError
from vidsr.frames import ColorInfo, FieldOrder, VideoInfo
from vidsr.options.input_folder import IMAGE_SUFFIXES, is_animation
from vidsr.options.source import Reading
from vidsr.video.declared_sizes import check_clip, image_size
from vidsr.video.demux import MICROSECONDS, packets
from vidsr.video.formats import MATRICES, PRIMARIES, RANGES, TRANSFERS, PlanarFormat, planar_format
from vidsr.video.planes import has_alpha, hides_alpha
from vidsr.video.sidedata import read_display_matrix, read_hdr, side_data
from vidsr.video.source import open_source, readable

# FFmpeg's AVFieldOrder -> the field displayed first, whichever is coded first
FIELD_ORDERS: dict[int, FieldOrder] = {1: "progressive", 2: "top", 3: "bottom", 4: "bottom", 5: "top"}
FALLBACK_FPS = Fraction(25)  # for a clip whose header has no rate
HIGHEST_FPS = 1000  # a header with a higher rate is wrong
HEAD_BYTES = 1 << 20  # of an image; metadata may come before its size


def video_stream(container: InputContainer, path: Path, reading: Reading | None = None) -> VideoStream:
    """Return the stream to enhance: the one that ``reading`` names, or that players display.

    Raises:
        InputError: the file has no such video stream, this FFmpeg build cannot decode it, or its frames are larger
            than ``reading`` allows.
    """
    candidates = video_tracks(container)
    number = None if reading is None else reading.video_track
    if not candidates:
        raise InputError(f"{path} has no video stream: nothing to enhance")
    if number is not None and number > len(candidates):
        raise InputError(f"{path} has {len(candidates)} video tracks: --video-track {number} is too large")
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in candidates else candidates[0]
    if number is not None:
        stream = candidates[number - 1]
    if stream.codec_context is None:
        raise InputError(f"{path} has a video stream that this FFmpeg build cannot decode: convert it first")
    check_clip(path, container, stream, (reading or Reading()).max_pixels)
    return stream


def video_tracks(container: InputContainer) -> list[VideoStream]:
    """Return the video streams of the file except covers."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def frame_pixels(path: Path, reading: Reading) -> int:
    """Return the pixels of a frame or an image by the header of its file; 0 if that cannot be read."""
    with suppress(InputError, OSError, av.FFmpegError, struct.error):
        if path.suffix.lower() in IMAGE_SUFFIXES and not is_animation(path):
            with path.open("rb") as file:
                width, height = image_size(memoryview(file.read(HEAD_BYTES))) or (0, 0)
            return width * height
        with open_source(path, reading) as container:
            stream = video_stream(container, path, reading)
            return stream.width * stream.height
    return 0


def to_file_clock(
    container: InputContainer, start: Fraction | None, end: Fraction | None
) -> tuple[Fraction | None, Fraction | None]:
    """Convert ``start`` and ``end``, seconds from where playback begins, to the file's own clock."""
    begins = [
        stream.start_time * stream.time_base
        for stream in (*container.streams.video, *container.streams.audio)
        if stream.start_time is not None and stream.time_base and not stream.disposition & Disposition.attached_pic
    ]
    # packets before zero are the pre-roll of the audio codec, which is not played
    begin = max(Fraction(0), min(begins, default=Fraction(0)))
    return None if start is None else begin + start, None if end is None else begin + end


def first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame:
    """Return the first frame that can be decoded.

    Raises:
        InputError: no frame can be decoded.
    """
    for packet in packets(container, [stream]):
        with suppress(av.FFmpegError):
            if frames := stream.decode(packet):
                return frames[0]
    raise InputError(f"{path} has no frame that can be decoded: check that it plays")


def probe(path: Path) -> VideoInfo:
    """Return the properties of the clip's video stream.

    Raises:
        InputError: the file is not a clip.
    """
    with readable(path), open_source(path) as container:
        stream = video_stream(container, path)
        stream.codec_context.thread_count = 1  # threads would only delay a single frame
        return video_info(container, stream, first_frame(container, stream, path))


def video_info(container: InputContainer, stream: VideoStream, frame: VideoFrame) -> VideoInfo:
    """Return the properties of ``stream``, whose first frame is ``frame``."""
    planar = planar_format(frame)
    found = side_data(frame)
    duration = _duration(container, stream)
    fps = frame_rate(stream)
    frames = stream.frames or (None if duration is None else round(duration * fps))
    return VideoInfo(
        width=frame.width,
        height=frame.height,
        fps=fps,
        chroma=planar.chroma,
        depth=planar.depth,
        color=ColorInfo(
            matrix=planar.matrix or MATRICES.get(frame.colorspace),
            primaries=PRIMARIES.get(frame.color_primaries),
            transfer=TRANSFERS.get(frame.color_trc),
            range=planar.range or RANGES.get(frame.color_range) or _untagged_range(container, planar),
            chroma_location=chroma_location(frame) if planar.chroma == "420" else None,
        ),
        sar=sample_aspect_ratio(stream),
        display_matrix=read_display_matrix(found),
        hdr=read_hdr(found),
        field_order=_field_order(stream, frame),
        duration=duration,
        frames=frames or None,
        codec=stream.codec_context.name,
        bit_rate=stream.codec_context.bit_rate,
        alpha=has_alpha(frame.format) or hides_alpha(stream),
        time_base=stream.time_base,
    )


def _untagged_range(container: InputContainer, planar: PlanarFormat) -> Literal["full"] | None:
    """Return full for grey images: TIFF has no tag for their range."""
    return "full" if planar.chroma == "gray" and container.format.name == "image2" else None


def chroma_location(frame: VideoFrame) -> str | None:
    """Return the frame's chroma location, which PyAV does not expose.

    It is read from the log of FFmpeg's showinfo filter.
    """
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1))
    shown, sink = graph.add("showinfo", checksum="0"), graph.add("buffersink")
    source.link_to(shown)
    shown.link_to(sink)
    av.logging.set_level(av.logging.INFO)
    try:
        with av.logging.Capture() as messages:
            graph.configure()
            graph.push(frame)
            graph.pull()
    finally:
        av.logging.set_level(None)
    found = re.search(r" cl:(\w+)", "".join(text for _, _, text in messages))
    return None if found is None or found[1] == "unspecified" else found[1]


def _field_order(stream: VideoStream, frame: VideoFrame) -> FieldOrder | None:
    order = FIELD_ORDERS.get(stream.codec_context.field_order)
    if frame.interlaced_frame and order in (None, "progressive"):
        return "top"  # the frame is flagged as interlaced without a field order
    return order


def sample_aspect_ratio(stream: VideoStream) -> Fraction:
    """Return the shape of a sample; square where a damaged one leaves no line or column, as FFmpeg's decoders do."""
    sar = stream.sample_aspect_ratio or Fraction(1)
    return sar if stream.width * sar >= 1 and stream.height / sar >= 1 else Fraction(1)


def frame_rate(stream: VideoStream) -> Fraction:
    """Return the average rate of the stream; without a plausible one, its nominal rate or 25."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and 0 < rate <= HIGHEST_FPS:
            return Fraction(rate)
    return FALLBACK_FPS


def _duration(container: InputContainer, stream: Stream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, MICROSECONDS) if container.duration else None
