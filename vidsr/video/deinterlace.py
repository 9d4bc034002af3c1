"""Interlaced clips: detect the field order and telecine by flags and by measuring, and make progressive frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
TELECINE_RATES = (Fraction(30000, 1001), Fraction(30))
TELECINE_FRAMES = 20  # that must be measured
LEAST_REPEATED = 0.12  # share of frames with a repeated top field, and of those with a bottom one; 0.2 in theory
PARITY: dict[FieldOrder, str] = {"top": "tff", "bottom": "bff"}


@dataclass(frozen=True)
class Interlacing:
    """How the frames of a clip are made of fields."""

    order: FieldOrder
    telecine: bool = False  # film of 24 frames a second in 60 fields, by 3:2 pulldown


def interlacing(path: Path, info: VideoInfo, reading: Reading | None = None) -> Interlacing:
    """Return the interlacing by the clip's flags, unless its frames clearly differ.

    Only clips with interlaced flags, or with the height of an interlaced standard, are measured. A pipe is not
    measured, because it can be read only once.

    Raises:
        InputError: the clip cannot be opened.
    """
    flagged = info.field_order or "progressive"
    if is_pipe(path) or (flagged == "progressive" and info.height not in INTERLACED_HEIGHTS):
        return Interlacing(flagged)
    counts = count_field_orders(path, reading)
    return Interlacing(_order(flagged, counts), _is_telecine(info, counts))


def _is_telecine(info: VideoInfo, counts: Counter[str]) -> bool:
    """Whether fields repeat as 3:2 pulldown repeats them: one top and one bottom field in five frames."""
    frames = counts["tff"] + counts["bff"] + counts["progressive"] + counts["undetermined"]
    repeated = min(counts["repeated_top"], counts["repeated_bottom"])
    return info.fps in TELECINE_RATES and frames >= TELECINE_FRAMES and repeated >= LEAST_REPEATED * frames


def _order(flagged: FieldOrder, counts: Counter[str]) -> FieldOrder:
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

    Keys are tff (top field first), bff (bottom field first), progressive and undetermined; and repeated_top and
    repeated_bottom for frames with a field of the frame before.

    Uses FFmpeg's idet filter, for which a frame without motion is undetermined.
    """
    with readable(path), open_source(path, reading) as opened:
        stream = video_stream(opened, path, reading)
        stream.codec_context.thread_type = "AUTO"
        frames = (frame for packet in packets(opened, [stream]) for frame in _decoded(stream.codec_context, packet))
        counts: Counter[str] = Counter()
        for frame in islice(_filtered(frames, ("idet", {})), MEASURED_FRAMES):
            counts[frame.metadata.get("lavfi.idet.multiple.current_frame", "undetermined")] += 1
            if (field := frame.metadata.get("lavfi.idet.repeated.current_frame", "neither")) != "neither":
                counts[f"repeated_{field}"] += 1
            if counts["progressive"] == LEAST_RATIO and not counts["tff"] + counts["bff"]:
                break  # decided already, as for most clips
        return counts


def _decoded(context: av.VideoCodecContext, packet: Packet[Stream]) -> list[VideoFrame]:
    with suppress(av.FFmpegError):
        return context.decode(packet if packet.size else None)
    return []


def deinterlaced(frames: Iterable[VideoFrame], order: FieldOrder, fields: bool = False) -> Iterator[VideoFrame]:
    """Progressive frames by FFmpeg's bwdif filter: one for each of ``frames``, or one for each of their ``fields``."""
    mode = "send_field" if fields else "send_frame"
    return _filtered(frames, ("bwdif", {"mode": mode, "parity": PARITY[order], "deint": "all"}))


def inverse_telecine(frames: Iterable[VideoFrame], order: FieldOrder, fps: Fraction) -> Iterator[VideoFrame]:
    """Return the film frames of a clip of ``fps``, four of five: fields are matched, and the repeated frame dropped.

    Frames that stay combed, as at a cut, are deinterlaced.
    """
    parity = PARITY["top" if order == "progressive" else order]
    filters: tuple[Filter, ...] = (
        ("fieldmatch", {"order": parity}),
        ("bwdif", {"mode": "send_frame", "parity": parity, "deint": "interlaced"}),
        ("decimate", {}),
    )
    return _filtered(frames, *filters, rate=fps)


Filter = tuple[str, dict[str, str]]  # name and options


def _filtered(frames: Iterable[VideoFrame], *filters: Filter, rate: Fraction | None = None) -> Iterator[VideoFrame]:
    """Frames after ``filters``; a graph for each run of frames of one size, format and colour.

    A graph reads every frame in the layout of its first one: others would make it read and write past their planes.
    """
    base = Fraction(1, 1000)
    for _, run in groupby(frames, _graph_input):
        first = next(run)
        base = first.time_base or base  # the last frames of some decoders have none
        graph = _graph(first, base, filters, rate)
        for frame in chain([first], run):
            graph.push(frame)
            yield from _ready(graph)
        graph.push(None)
        yield from _ready(graph)


def _graph_input(frame: VideoFrame) -> tuple[int | str, ...]:
    """Return the properties of a frame that must not change within a graph."""
    return frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range


def _graph(first: VideoFrame, base: Fraction, filters: Sequence[Filter], rate: Fraction | None) -> Graph:
    graph = Graph()
    source = {"video_size": f"{first.width}x{first.height}", "pix_fmt": first.format.name, "time_base": str(base)}
    last = graph.add("buffer", **source, **({} if rate is None else {"frame_rate": str(rate)}))
    for name, options in (*filters, ("buffersink", {})):
        following = graph.add(name, **options)
        last.link_to(following)
        last = following
    graph.configure()
    return graph


def _ready(graph: Graph) -> Iterator[VideoFrame]:
    with suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            frame = graph.pull()
            assert isinstance(frame, VideoFrame)
            yield frame
