"""The encoder of a picture: opened for a stream of a file, told all that is known of the picture."""

from __future__ import annotations

import os
from fractions import Fraction
from math import lcm

import av
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.errors import Notes, OptionError, OutputError
from vidsr.frames import VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.runtime import processors
from vidsr.video.formats import MATRICES, PRIMARIES, RANGES, TRANSFERS, encoder, number, pix_fmt
from vidsr.video.sidedata import hdr_options, scaled_matrix
from vidsr.video.source import reason

PARTS = 90_000  # parts of a second for clips whose own are not known
MOST_TICKS = 1 << 31  # per second; containers keep 32 bits
USUAL_LOOKAHEAD, LEAST_LOOKAHEAD = 40, 5  # frames; x265 asks for more than it has B-frames in a row
LOOKAHEAD_SAMPLES = USUAL_LOOKAHEAD * 3840 * 2160
APPLE_TAG = "hvc1"  # of HEVC in MP4, which Apple's players ask for


def tick(info: VideoInfo) -> Fraction:
    """The length of the stamps to write: that of ``info``'s times, or one in which its frame rate is exact."""
    if info.time_base is not None and info.time_base.denominator < MOST_TICKS:
        return info.time_base
    parts = lcm(PARTS, info.fps.numerator) if info.fps is not None else PARTS
    return Fraction(1, parts if parts < MOST_TICKS else PARTS)


def add_picture(output: OutputContainer, info: VideoInfo, encoding: Encoding, tick: Fraction) -> VideoStream:
    """A stream of ``output`` for frames of ``info`` with stamps of length ``tick``; its encoder is not yet open.

    Raises:
        OptionError: the encoder does not take pictures that narrow.
        OutputError: the container does not take the codec.
    """
    encoding.check_width(info.width)
    try:
        stream = output.add_stream(encoding.codec, rate=info.fps or Fraction(25))
    except ValueError:
        name = output.format.name
        raise OutputError(
            f"{name} cannot hold {encoding.codec}: end the name in .mkv, or choose another --codec"
        ) from None
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = info.width, info.height
    stream.pix_fmt = _coded_pix_fmt(info, encoding)
    stream.time_base = tick
    context = stream.codec_context
    context.time_base = tick
    context.sample_aspect_ratio = info.sar
    # several pictures at a time, as the ffmpeg program has it, unless memory is short; PyAV's own choice is slices
    sliced = encoding.slices or _lookahead(info) is not None
    context.thread_type = "SLICE" if sliced else "AUTO"
    context.thread_count = encoding.threads if sliced else encoding.frame_threads(info.height, processors())
    context.options = _options(encoding, info)
    set_color(context, info)
    if info.display_matrix is not None:
        stream.set_display_matrix(scaled_matrix(info.display_matrix, info.width, info.height))
    if context.codec.canonical_name == "hevc" and output.format.name in ("mp4", "mov"):
        context.codec_tag = APPLE_TAG
    return stream


def open_encoder(stream: VideoStream, encoding: Encoding) -> None:
    """Opens the encoder of ``stream``.

    Raises:
        OptionError: the encoder does not know one of its options.
        OutputError: it does not start.
    """
    context = stream.codec_context
    size = f"{context.width}x{context.height}"  # a failure resets them
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes its settings to the terminal, and asks only this
    try:
        context.open()
    except (av.FFmpegError, ValueError) as error:
        needs = f"; it needs {encoding.table_entry.requires}" if encoding.table_entry.requires else ""
        raise OutputError(
            f"{encoding.codec} does not start with pictures of {size} ({reason(error)}){needs}: "
            "choose another --codec, another size or other options"
        ) from None
    unknown = [key for key, _ in encoding.options if key in context.options]
    if unknown:
        raise OptionError(f"--encoder-option {unknown[0]} is unknown to {encoding.codec}: see ffmpeg -h full")


def set_color(target: VideoCodecContext | VideoFrame, info: VideoInfo) -> None:
    """Sets the colour tags that ``info`` has."""
    color = info.color
    for attribute, value in (
        ("colorspace", number(MATRICES, color.matrix)),
        ("color_primaries", number(PRIMARIES, color.primaries)),
        ("color_trc", number(TRANSFERS, color.transfer)),
        ("color_range", number(RANGES, color.range)),
    ):
        if value is not None:
            setattr(target, attribute, value)


def note_unwritable(info: VideoInfo, encoding: Encoding, container: str, notes: Notes) -> None:
    """Note the facts of ``info`` that neither the encoder nor the container can write."""
    words = []
    codec = encoding.codec
    if container in ("matroska", "webm") and info.sar != 1 and not encoding.table_entry.writes_sar:
        words.append(f"the sample aspect ratio {info.sar} of {codec} cannot be written there: end the name in .mp4")
    if container == "mov" and info.color.range == "full" and codec == "prores_ks":
        words.append("full range of prores_ks cannot be written there: end the name in .mkv")
    if info.hdr is not None and encoding.table_entry.params is None:
        words.append(f"HDR10 metadata cannot be written by {codec}: choose libx265, libx264 or libsvtav1")
    for word in words:
        notes.info("metadata_left_out", word)


def _coded_pix_fmt(info: VideoInfo, encoding: Encoding) -> str:
    names = {f.name for f in encoder(encoding).video_formats or ()}
    planar = pix_fmt(info.chroma, info.depth)
    return "p010le" if names and planar not in names and "p010le" in names else planar


def _options(encoding: Encoding, info: VideoInfo) -> dict[str, str]:
    """The encoder's options, with what its own parameter list has to say besides: HDR10, threads, silence."""
    lookahead = _lookahead(info)
    options = encoding.arguments
    if lookahead and encoding.table_entry.params == "x264-params":
        options.setdefault("rc-lookahead", str(lookahead))
    if info.color.chroma_location is not None:
        options["chroma_sample_location"] = info.color.chroma_location
    name = encoding.table_entry.params
    if name is None:
        return options
    params = dict(encoding.table_entry.quiet)
    if encoding.threads and encoding.table_entry.threads:
        params[encoding.table_entry.threads] = str(encoding.threads)
    if lookahead and name == "x265-params":
        params["rc-lookahead"] = str(lookahead)
    params |= {} if info.hdr is None else hdr_options(info.hdr, name)
    texts = [f"{key}={value}" for key, value in params.items()] + ([options[name]] if name in options else [])
    return options | ({name: ":".join(texts)} if texts else {})


def _lookahead(info: VideoInfo) -> int | None:
    """Frames to hold before the first is written, for pictures of which the usual number would fill the memory."""
    frames = LOOKAHEAD_SAMPLES // (info.width * info.height)
    return None if frames >= USUAL_LOOKAHEAD else max(LEAST_LOOKAHEAD, frames)
