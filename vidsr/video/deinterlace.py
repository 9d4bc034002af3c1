"""Interlaced pictures: recognised by their flags and by measuring, and made progressive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import av.filter
from av.filter import Graph
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from vidsr.frames import FieldOrder, VideoInfo
from vidsr.options.source import Reading
from vidsr.video.demux import packets
from vidsr.video.probe import picture_stream
from vidsr.video.source import is_pipe, open_source

HEIGHTS = (480, 486, 576, 1080)  # of interlaced broadcast and disc standards
MEASURED = 25  # frames
ENOUGH = 5  # frames that show fields, to believe it of a clip that does not say so
CLEARLY = 10  # times as many frames with fields as without
PARITY: dict[FieldOrder, str] = {"top": "tff", "bottom": "bff"}


def field_order(path: Path, info: VideoInfo, reading: Reading | None = None) -> FieldOrder:
    """The field shown first, or progressive: what the clip says, unless its pictures clearly show otherwise.

    Only clips that say to be interlaced, or have the height of an interlaced standard, are measured; and no pipe,
    which can be read only once.

    Raises:
        InputError: the clip cannot be opened.
    """
    said = info.field_order or "progressive"
    if is_pipe(path) or (said == "progressive" and info.height not in HEIGHTS):
        return said
    seen = measure(path, reading)
    top, bottom, whole = (seen[kind] for kind in ("tff", "bff", "progressive"))
    if said == "progressive":
        return said if not _clearly(top + bottom, whole) else "top" if top >= bottom else "bottom"
    if _clearly(whole, top + bottom):
        return "progressive"
    if said == "top":
        return "bottom" if _clearly(bottom, top) else said
    return "top" if _clearly(top, bottom) else said


def _clearly(frames: int, others: int) -> bool:
    """Whether so many frames show one thing and so many another that the clip is believed to be the one."""
    return frames >= max(ENOUGH, CLEARLY * others)


def measure(path: Path, reading: Reading | None = None) -> Counter[str]:
    """How many of the first frames show the top field first (tff), the bottom one (bff), no fields (progressive).

    FFmpeg's idet filter; a frame without motion is undetermined.
    """
    with open_source(path, reading) as opened:
        stream = picture_stream(opened, path)
        stream.codec_context.thread_type = "AUTO"
        frames = (frame for packet in packets(opened, [stream]) for frame in _decoded(stream.codec_context, packet))
        seen: Counter[str] = Counter()
        for frame in islice(_filtered(frames, "idet"), MEASURED):
            seen[frame.metadata.get("lavfi.idet.multiple.current_frame", "undetermined")] += 1
            if seen["progressive"] == CLEARLY and not seen["tff"] + seen["bff"]:
                break  # as clear as it will be, and most clips are
        return seen


def _decoded(context: av.VideoCodecContext, packet: Packet[Stream]) -> list[VideoFrame]:
    with suppress(av.FFmpegError):
        return context.decode(packet if packet.size else None)
    return []


def deinterlaced(frames: Iterable[VideoFrame], order: FieldOrder) -> Iterator[VideoFrame]:
    """One whole picture for each of ``frames``, at its time: FFmpeg's bwdif filter."""
    return _filtered(frames, "bwdif", mode="send_frame", parity=PARITY[order], deint="all")


def _filtered(frames: Iterable[VideoFrame], name: str, **options: str) -> Iterator[VideoFrame]:
    graph: Graph | None = None
    for frame in frames:
        if graph is None:
            graph = _graph(frame, name, **options)
        graph.push(frame)
        yield from _ready(graph)
    if graph is not None:
        graph.push(None)
        yield from _ready(graph)


def _graph(first: VideoFrame, name: str, **options: str) -> Graph:
    graph = Graph()
    base = first.time_base or Fraction(1, 1000)  # a frame that the decoder gave up at the clip's end has none
    source = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=base)
    chosen, sink = graph.add(name, **options), graph.add("buffersink")
    source.link_to(chosen)
    chosen.link_to(sink)
    graph.configure()
    return graph


def _ready(graph: Graph) -> Iterator[VideoFrame]:
    with suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            frame = graph.pull()
            assert isinstance(frame, VideoFrame)
            yield frame
