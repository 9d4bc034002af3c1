"""Sound, subtitles, chapters, fonts and tags of a clip, copied packet for packet beside the new picture."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.stream import AttachmentStream, Discard, Stream
from av.video.stream import VideoStream

from vidsr.errors import Note
from vidsr.options.source import Reading
from vidsr.video.containers import (
    CONTAINERS,
    FRAMES_ONLY,
    Y4M,
    can_carry,
    container_format,
    file_tags,
    free_tags,
    is_cover,
    lost_tags,
    muxer_options,
    stream_tags,
)
from vidsr.video.demux import packets
from vidsr.video.probe import MICROSECONDS, first_frame, on_clock, video_stream
from vidsr.video.sidedata import side_data
from vidsr.video.source import has_copyable_streams, open_source
from vidsr.video.streams import stream_info

if TYPE_CHECKING:
    from av.container.core import Chapter  # exists for the type checker only

RUN_UP = Fraction(1, 10)  # seconds that a codec may need before what it is to play
SLACK = 10  # seconds by which the packets of a file may be out of order between its streams
NOT_CARRIED = {
    Type.A53_CC: "closed captions inside the picture",
    Type.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
    Type.DOVI_RPU_BUFFER: "Dolby Vision metadata",
    Type.SPHERICAL: "the mark of a 360 degree picture",
    Type.STEREO3D: "the mark of a stereoscopic picture",
}
COVER_TYPES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


Which = Callable[[Stream], bool]


def every(stream: Stream) -> bool:
    """Any stream at all."""
    return True


def preflight(source: Path, target: Path, reading: Reading | None = None, which: Which = every) -> list[Note]:
    """What of ``source`` beside its picture cannot be carried to ``target``, a line each, and what would keep it.

    Of the streams beside the picture those are looked at that ``which`` takes.

    Raises:
        InputError: the source cannot be opened.
        OutputError: the target's suffix names no container that is written.
    """
    container = container_format(target)
    if not has_copyable_streams(source, reading):
        return []
    with open_source(source) as opened:
        picture = video_stream(opened, source)
        losses = []
        for stream in (picture, *filter(which, others(opened, picture))):
            if stream is not picture and not can_carry(stream, container):
                losses.append(_lost_stream(stream, target))
            elif keys := lost_tags(container, stream.metadata):
                text = f"left out, {target.suffix} holds no such tags of #{stream.index}: {', '.join(keys)}"
                losses.append(Note("tags_left_out", text))
        if container in FRAMES_ONLY:
            losses += _lost_beside_pictures(opened, target)
        if _has_cover(opened, container) and (keys := free_tags(container, opened.metadata)):
            text = f"left out, {target.suffix} holds no such tags beside a cover: {', '.join(keys)}"
            losses.append(Note("tags_left_out", text))
        beside = side_data(first_frame(opened, picture, source))
        losses += [
            Note("side_data_left_out", f"left out, cannot be carried: {words}")
            for kind, words in NOT_CARRIED.items()
            if kind in beside
        ]
        return losses


def carried(source: Path, target: Path, reading: Reading | None = None, which: Which = every) -> list[str]:
    """The streams of ``source`` beside its picture that ``target`` will hold, of those that ``which`` takes, in words.

    Raises:
        InputError: the source cannot be opened.
        OutputError: the target's suffix names no container that is written.
    """
    container = container_format(target)
    if not has_copyable_streams(source, reading):
        return []
    with open_source(source) as opened:
        beside = others(opened, video_stream(opened, source))
        return [str(stream_info(stream)) for stream in beside if which(stream) and can_carry(stream, container)]


def _lost_stream(stream: Stream, target: Path) -> Note:
    keeper = next((suffix for suffix, name in CONTAINERS.items() if can_carry(stream, name)), None)
    remedy = f"{keeper} would keep it" if keeper else "no container written here does"
    return Note("stream_left_out", f"left out, {_kind(target)} cannot hold it ({remedy}): {stream_info(stream)}")


def _kind(target: Path) -> str:
    """What is written, for a message."""
    return "y4m or raw video" if container_format(target) == Y4M else target.suffix


def _lost_beside_pictures(opened: InputContainer, target: Path) -> list[Note]:
    lost = {"chapters": opened.chapters(), "tags": file_tags(opened.metadata)}
    words = [f"{len(found)} {name}" for name, found in lost.items() if found]
    text = f"left out, {_kind(target)} holds pictures only: {', '.join(words)}"
    return [Note("metadata_left_out", text)] if words else []


def _has_cover(opened: InputContainer, container: str) -> bool:
    return any(is_cover(stream) and can_carry(stream, container) for stream in opened.streams)


def others(container: InputContainer, picture: VideoStream) -> list[Stream]:
    """All streams but the picture and the tracks that MP4 makes of tags: titles of chapters, the time code."""
    return [
        stream
        for stream in container.streams
        if stream is not picture
        and not (stream.type == "data" and (stream.discard is Discard.all or "timecode" in stream.metadata))
    ]


class StreamCopier:
    """The streams of ``source`` other than its picture, written into another file as they are.

    With ``start`` (seconds from where the source begins to play) packets before it are left out and the rest moves to
    begin at zero; with ``end``, packets from there on are left out.
    """

    def __init__(self, source: Path, start: Fraction | None, end: Fraction | None) -> None:
        self._container = open_source(source)
        self._picture = video_stream(self._container, source)
        self.range = on_clock(self._container, start, end)
        self._start, self._end = self.range[0] or Fraction(0), self.range[1]
        self.problems: Counter[str] = Counter()
        self._container_format = ""
        self._copies: dict[int, Stream] = {}
        self._last: dict[int, int] = {}  # decoding time in ticks of the last packet written, by the source's index
        self._pending: Packet[Stream] | None = None
        self._packets: Iterator[Packet[Stream]] = iter(())

    def close(self) -> None:
        """Closes the source."""
        self._container.close()

    def muxer_options(self, container: str) -> dict[str, str]:
        """What the muxer of ``container`` needs to be told to keep the file's tags."""
        return muxer_options(container, self._container.metadata, _has_cover(self._container, container))

    def wants(self, stream: Stream, container: str) -> bool:
        """Whether a stream is to be copied."""
        return can_carry(stream, container)

    def add_to(self, output: OutputContainer, container: str, add_picture: Callable[[], VideoStream]) -> VideoStream:
        """Adds all streams that ``output`` can hold, in the source's order, the new picture where the old one was."""
        self._container_format = container
        result: VideoStream | None = None
        copied = others(self._container, self._picture)
        for stream in self._container.streams:
            if stream is self._picture:
                result = add_picture()
                result.metadata.update(stream_tags(container, stream.metadata))
                result.disposition = stream.disposition
            elif stream in copied and self.wants(stream, container):
                self._add(stream, output, container)
        assert result is not None  # `video_stream` found it among the streams
        output.metadata.update(file_tags(self._container.metadata))
        output.set_chapters(list(self._chapters()))
        self._packets = self._wanted()
        return result

    def _add(self, stream: Stream, output: OutputContainer, container: str) -> None:
        if isinstance(stream, AttachmentStream):
            copy = output.add_attachment(stream.name or "attachment", stream.mimetype or "", stream.data)
            copy.metadata.update(stream.metadata)
        elif is_cover(stream) and container == "matroska":
            self._attach_cover(stream, output)
        else:
            self._copies[stream.index] = copied = output.add_stream_from_template(stream, opaque=True)
            copied.metadata.update(stream_tags(container, stream.metadata))
            copied.disposition = stream.disposition

    def _attach_cover(self, stream: Stream, output: OutputContainer) -> None:
        """Matroska keeps a cover as an attached file."""
        name, mime = COVER_TYPES.get(stream.codec_context.name, ("cover", "image/*"))
        whitelist = {"protocol_whitelist": "file"}
        with av.open(self._container.name, metadata_errors="replace", options=whitelist) as again:
            packet = next(again.demux(again.streams[stream.index]), None)
            if packet is not None and packet.size:
                copy = output.add_attachment(name, mime, bytes(packet))
                copy.metadata.update(stream.metadata)

    def _chapters(self) -> Iterator[Chapter]:
        for chapter in self._container.chapters():
            base = chapter["time_base"] or Fraction(1, MICROSECONDS)
            first = max(chapter["start"] * base - self._start, Fraction(0))
            last = chapter["end"] * base - self._start
            if self._end is not None:
                last = min(last, self._end - self._start)
            if first < last:
                yield {**chapter, "start": round(first / base), "end": round(last / base)}

    def _wanted(self) -> Iterator[Packet[Stream]]:
        """Packets to write, in the file's order, in the output's clock."""
        if not self._copies:
            return
        streams = [self._container.streams[index] for index in self._copies]
        if self._start > SLACK:
            self._container.seek(int((self._start - SLACK) * MICROSECONDS))
        for packet in packets(self._container, streams, self.problems):
            if is_cover(packet.stream) and packet.size:
                packet.pts = packet.dts = 0
                yield packet
                continue
            if (packet.dts is None and packet.pts is None) or is_left_out(packet, self._container_format):
                continue
            time = _shown(packet)
            if self._end is not None and time >= self._end:
                if time > self._end + SLACK:
                    return
                continue
            if self._start and time < self._start:
                continue  # without a start, what lies before zero stays: it is the run-up of the sound's codec
            _move(packet, self._start)
            yield packet

    def write_until(self, output: OutputContainer, time: Fraction | None) -> None:
        """Writes the packets up to ``time`` of the output's clock; None writes the rest."""
        due = self._packets if self._pending is None else chain([self._pending], self._packets)
        self._pending = None
        for packet in due:
            if time is not None and _time(packet) > time:
                self._pending = packet
                return
            try:
                output.mux(self._moved(packet))
            except av.FFmpegError as error:
                if not isinstance(error, av.error.InvalidDataError) and error.errno != errno.EINVAL:
                    raise  # the disk's fault, not the packet's
                self.problems["damaged packets, left out"] += 1

    def _moved(self, packet: Packet[Stream]) -> Packet[Stream]:
        """The packet on its new stream, decoded later than the one before, as containers ask."""
        last = self._last.get(packet.stream.index)
        dts = packet.dts if packet.dts is not None else _guessed_dts(packet, last)
        if dts is not None:
            packet.dts = dts if last is None else max(dts, last + 1)
            if packet.pts is not None:
                packet.pts = max(packet.pts, packet.dts)
            self._last[packet.stream.index] = packet.dts
        packet.stream = self._copies[packet.stream.index]
        return packet


def is_left_out(packet: Packet[Stream], container: str) -> bool:
    """Whether the packet has no place in ``container``.

    That is the empty text between two subtitles of MP4, which the muxer makes anew; and what an edit list cuts off, in
    Matroska, which has none and would play it before the picture.
    """
    context = packet.stream.codec_context
    is_gap = packet.size == 2 and context is not None and context.name == "mov_text"
    return is_gap or (container in ("matroska", "webm") and packet.is_discard and _shown(packet) < -RUN_UP)


def _guessed_dts(packet: Packet[Stream], last: int | None) -> int | None:
    """When the packet is decoded, of which its file says only when it is shown; ``last``: that of the one before.

    Matroska says no more, and FFmpeg knows it from the first pictures that were decoded in another order.
    """
    if packet.pts is None or not isinstance(packet.stream, VideoStream):
        return packet.pts
    if last is not None:
        return min(packet.pts, last + 1)
    return packet.pts - packet.stream.codec_context.reorder_depth * max(1, packet.duration or 0)


def _time(packet: Packet[Stream]) -> Fraction:
    """When the packet is due, in seconds."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    assert ticks is not None
    return ticks * packet.time_base


def _shown(packet: Packet[Stream]) -> Fraction:
    """When the packet is presented, in seconds."""
    ticks = packet.pts if packet.pts is not None else packet.dts
    assert ticks is not None
    return ticks * packet.time_base


def _move(packet: Packet[Stream], start: Fraction) -> None:
    """Moves the packet ``start`` earlier."""
    shift = round(start / packet.time_base)
    for name in ("pts", "dts"):
        ticks = getattr(packet, name)
        if ticks is not None:
            setattr(packet, name, ticks - shift)
