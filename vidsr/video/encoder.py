"""Set up a video encoder: stream, options, colour tags, HDR10 metadata, threads and lookahead."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor, lcm

import av
import av.logging
import torch
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.errors import Notes, OptionError, OutputError
from vidsr.frames import VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.runtime.process import keep_scheduling, processors
from vidsr.video.containers import MATROSKA, MP4_LIKE
from vidsr.video.formats import MATRICES, PRIMARIES, RANGES, TRANSFERS, encoder, number, pix_fmt
from vidsr.video.sidedata import hdr_options, scaled_matrix, turns
from vidsr.video.source import reason

DEFAULT_TICKS = 90_000  # per second, for clips of unknown time base
MOST_TICKS = 1 << 31  # per second; containers store 32 bits
MATROSKA_TICK = Fraction(1, 1000)
HALF = Fraction(1, 2)
USUAL_LOOKAHEAD, LEAST_LOOKAHEAD = 40, 5  # frames; x265 needs more than its number of consecutive B-frames
LOOKAHEAD_SAMPLES = USUAL_LOOKAHEAD * 3840 * 2160
PARAMETER_LIST = "-params"  # ends the name of an option that holds parameters of the encoder's library
REFUSED = re.compile(r"(?:Error parsing option '?|Unknown option: |Invalid value for )([\w-]+)")  # in its log
# With AVX-512, libx264 reads memory that nothing wrote, and its bytes differ from run to run (PyAV 18.1).
X264_WITHOUT_AVX512 = {"asm": "AVX2"}
APPLE_TAG = "hvc1"  # codec tag of HEVC in MP4 that Apple players need


def tick(info: VideoInfo) -> Fraction:
    """Return the time base to write, in seconds.

    It is that of ``info``, or one that represents its frame rate exactly.
    """
    if info.time_base is not None and info.time_base.denominator < MOST_TICKS:
        return info.time_base
    ticks = lcm(DEFAULT_TICKS, info.fps.numerator) if info.fps is not None else DEFAULT_TICKS
    return Fraction(1, ticks if ticks < MOST_TICKS else DEFAULT_TICKS)


def file_tick(container: str, tick: Fraction) -> Fraction:
    """Return the time base to which ``container`` rounds times in units of ``tick``, in seconds."""
    return MATROSKA_TICK if container in MATROSKA else tick


def next_stamp(time: Fraction, last: int | None, tick: Fraction, file_tick: Fraction) -> int:
    """Round ``time`` to the nearest tick that is later than ``last``, also once the file rounds both to ``file_tick``.

    The first frame has no ``last``.
    """
    stamp = round(time / tick)
    if last is None:
        return stamp
    next_in_file = floor(last * tick / file_tick + HALF) + 1
    return max(stamp, last + 1, ceil((next_in_file - HALF) * file_tick / tick))


def add_video_stream(output: OutputContainer, info: VideoInfo, encoding: Encoding, tick: Fraction) -> VideoStream:
    """Add a stream for frames of ``info`` with the time base ``tick``.

    Its encoder is not yet open.

    Raises:
        OptionError: the frames are too narrow for the encoder.
        OutputError: the container cannot hold the codec.
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
    if info.alpha:
        stream.metadata["alpha_mode"] = "1"  # in WebM, by which players look for it
    stream.time_base = tick
    context = stream.codec_context
    context.time_base = tick
    context.sample_aspect_ratio = info.sar
    # frame threads, as in ffmpeg, unless memory is short; PyAV's default is slice threads
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
    """Open the encoder of ``stream``.

    Raises:
        OptionError: the encoder has no such option.
        OutputError: the encoder does not start.
    """
    context = stream.codec_context
    size = f"{context.width}x{context.height}"  # a failure resets them
    os.environ.setdefault("SVT_LOG", "1")  # keeps SVT-AV1 from printing its settings
    try:
        with keep_scheduling():
            refused = _open_and_read_refusals(context, encoding)
    except (av.FFmpegError, ValueError) as error:
        needs = f"; it needs {encoding.table_entry.requires}" if encoding.table_entry.requires else ""
        raise OutputError(
            f"{encoding.codec} does not start with frames of {size} ({reason(error)}){needs}: "
            "choose another --codec, another size or other options"
        ) from None
    if refused is not None:
        raise OptionError(
            f"--encoder-option: the library of {encoding.codec} does not know {refused}, or refuses its value: "
            "see its documentation"
        )
    unknown = [key for key, _ in encoding.options if key in context.options]
    if unknown:
        raise OptionError(f"--encoder-option {unknown[0]} is unknown to {encoding.codec}: see ffmpeg -h full")


def _open_and_read_refusals(context: VideoCodecContext, encoding: Encoding) -> str | None:
    """Open the encoder, and return the first entry of the user's parameter list that its library refuses.

    Libraries only log what they refuse in ``x264-params`` and the like.
    """
    if not any(key.endswith(PARAMETER_LIST) for key, _ in encoding.options):
        context.open()
        return None
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture() as messages:
            context.open()
    finally:
        av.logging.set_level(None)
    matches = (REFUSED.search(text) for _, _, text in messages)
    return next((match[1] for match in matches if match is not None), None)


def set_color(target: VideoCodecContext | VideoFrame, info: VideoInfo) -> None:
    """Set the colour tags that ``info`` has."""
    color = info.color
    for attribute, value in (
        ("colorspace", number(MATRICES, color.matrix)),
        ("color_primaries", number(PRIMARIES, color.primaries)),
        ("color_trc", number(TRANSFERS, color.transfer)),
        ("color_range", number(RANGES, color.range)),
    ):
        if value is not None:
            setattr(target, attribute, value)


def writable(info: VideoInfo, encoding: Encoding, container: str, notes: Notes) -> VideoInfo:
    """Return ``info`` without the properties that neither the encoder nor the container can store; note each."""
    lost, kept = [], info
    codec = encoding.codec
    if container in MATROSKA and info.sar != 1 and not encoding.table_entry.writes_sar:
        lost.append(f"sample aspect ratio {info.sar} ({codec} in Matroska cannot hold it, .mp4 can)")
        kept = replace(kept, sar=Fraction(1))
    if container in MATROSKA and info.rotation and not turns(info.display_matrix):
        lost.append(f"rotation by {info.rotation} degrees with distortion (Matroska cannot hold it, .mp4 can)")
        kept = replace(kept, display_matrix=None)
    if container == "mov" and info.color.range == "full" and codec == "prores_ks":
        lost.append("full range (prores_ks in .mov cannot hold it, .mkv can)")
        kept = replace(kept, color=replace(kept.color, range=None))
    tags = (info.color.matrix, info.color.primaries, info.color.transfer)
    if container in MP4_LIKE and codec == "ffv1" and any(tags) and not all(tags):
        lost.append("colour tags (ffv1 in MP4 holds only all of them together, .mkv can hold each)")
        kept = replace(kept, color=replace(kept.color, matrix=None, primaries=None, transfer=None, range=None))
    if info.hdr is not None and encoding.table_entry.params is None:
        lost.append(f"HDR10 metadata ({codec} cannot write it; libx265, libx264 and libsvtav1 can)")
        kept = replace(kept, hdr=None)
    for metadata in lost:
        notes.info("metadata_left_out", f"left out: {metadata}")
    return kept


def _coded_pix_fmt(info: VideoInfo, encoding: Encoding) -> str:
    names = {f.name for f in encoder(encoding).video_formats or ()}
    if info.alpha:
        return "yuva420p"
    planar = pix_fmt(info.chroma, info.depth)
    return "p010le" if names and planar not in names and "p010le" in names else planar


def _options(encoding: Encoding, info: VideoInfo) -> dict[str, str]:
    """Return the encoder's options, including HDR10, threads and log level in its own parameter list."""
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
    if encoding.codec == "libx264" and torch.backends.cpu.get_cpu_capability() == "AVX512":
        params |= X264_WITHOUT_AVX512
    if encoding.threads and encoding.table_entry.threads:
        params[encoding.table_entry.threads] = str(encoding.threads)
    if lookahead and name == "x265-params":
        params["rc-lookahead"] = str(lookahead)
    params |= {} if info.hdr is None else hdr_options(info.hdr, name)
    texts = [f"{key}={value}" for key, value in params.items()] + ([options[name]] if name in options else [])
    return options | ({name: ":".join(texts)} if texts else {})


def _lookahead(info: VideoInfo) -> int | None:
    """Return a shorter lookahead for large frames, in frames; None for the usual one.

    With large frames the usual lookahead would fill the memory.
    """
    frames = LOOKAHEAD_SAMPLES // (info.width * info.height)
    return None if frames >= USUAL_LOOKAHEAD else max(LEAST_LOOKAHEAD, frames)
