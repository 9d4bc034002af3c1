"""Interlaced clips: detect the field order from flags and by measuring, and deinterlace frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain, groupby, islice
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
from vidsr.video.probe import video_stream
from vidsr.video.source import is_pipe, open_source, readable

INTERLACED_HEIGHTS = (480, 486, 576, 1080)  # of interlaced broadcast and disc standards
MEASURED_FRAMES = 25
LEAST_FRAMES = 5  # frames that must show a field order to override the flags
LEAST_RATIO = 10  # and how many times more frequent it must be than the alternative
PARITY: dict[FieldOrder, str] = {"top": "tff", "bottom": "bff"}


def field_order(path: Path, info: VideoInfo, reading: Reading | None = None) -> FieldOrder:
    """Return the field order by the clip's flags, unless its frames clearly differ.

    Only clips with interlaced flags, or with the height of an interlaced standard, are measured. A pipe is not
    measured, because it can be read only once.

    Raises:
        InputError: the clip cannot be opened.
    """
    flagged = info.field_order or "progressive"
    if is_pipe(path) or (flagged == "progressive" and info.height not in INTERLACED_HEIGHTS):
        return flagged
    counts = count_field_orders(path, reading)
    top, bottom, progressive = (counts[kind] for kind in ("tff", "bff", "progressive"))
    if flagged == "progressive":
        return flagged if not _outweighs(top + bottom, progressive) else "top" if top >= bottom else "bottom"
    if _outweighs(progressive, top + bottom):
        return "progressive"
    if flagged == "top":
        return "bottom" if _outweighs(bottom, top) else flagged
    return "top" if _outweighs(top, bottom) else flagged


def _outweighs(frames: int, others: int) -> bool:
    """Whether ``frames`` frames of one kind against ``others`` of another kind are enough evidence."""
    return frames >= max(LEAST_FRAMES, LEAST_RATIO * others)


def count_field_orders(path: Path, reading: Reading | None = None) -> Counter[str]:
    """Count the first frames by field order.

    Keys are tff (top field first), bff (bottom field first), progressive and undetermined.

    Uses FFmpeg's idet filter, for which a frame without motion is undetermined.
    """
    with readable(path), open_source(path, reading) as opened:
        stream = video_stream(opened, path, reading)
        stream.codec_context.thread_type = "AUTO"
        frames = (frame for packet in packets(opened, [stream]) for frame in _decoded(stream.codec_context, packet))
        counts: Counter[str] = Counter()
        for frame in islice(_filtered(frames, "idet"), MEASURED_FRAMES):
            counts[frame.metadata.get("lavfi.idet.multiple.current_frame", "undetermined")] += 1
            if counts["progressive"] == LEAST_RATIO and not counts["tff"] + counts["bff"]:
                break  # decided already, as for most clips
        return counts


def _decoded(context: av.VideoCodecContext, packet: Packet[Stream]) -> list[VideoFrame]:
    with suppress(av.FFmpegError):
        return context.decode(packet if packet.size else None)
    return []


def deinterlaced(frames: Iterable[VideoFrame], order: FieldOrder) -> Iterator[VideoFrame]:
    """One progressive frame for each of ``frames``, at its time, by FFmpeg's bwdif filter."""
    return _filtered(frames, "bwdif", mode="send_frame", parity=PARITY[order], deint="all")


def _filtered(frames: Iterable[VideoFrame], name: str, **options: str) -> Iterator[VideoFrame]:
    """Frames after a filter; a graph for each run of frames of one size, format and colour.

    A graph reads every frame in the layout of its first one: others would make it read and write past their planes.
    """
    base = Fraction(1, 1000)
    for _, run in groupby(frames, _graph_input):
        first = next(run)
        base = first.time_base or base  # the last frames of some decoders have none
        graph = _graph(first, base, name, **options)
        for frame in chain([first], run):
            graph.push(frame)
            yield from _ready(graph)
        graph.push(None)
        yield from _ready(graph)


def _graph_input(frame: VideoFrame) -> tuple[int | str, ...]:
    """Return the properties of a frame that must not change within a graph."""
    return frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range


def _graph(first: VideoFrame, base: Fraction, name: str, **options: str) -> Graph:
    graph = Graph()
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
