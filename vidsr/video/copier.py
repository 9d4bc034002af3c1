"""Sound, subtitles, chapters, fonts and tags of a clip, copied packet for packet beside the new picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Stream
from av.video.stream import VideoStream

from vidsr.video.containers import CONTAINERS, KEEPS_MOST, can_carry, container_format, is_cover
from vidsr.video.probe import MICROSECONDS, open_source, picture_stream, stream_info

if TYPE_CHECKING:
    from av.container.core import Chapter  # exists for the type checker only

# Written by every muxer itself, or true of the old file only.
OWN_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "rotate"})
STATISTICS = ("bps", "number_of_frames", "number_of_bytes", "_statistics_", "duration")  # of Matroska, per stream
SLACK = 10  # seconds by which the packets of a file may be out of order between its streams
COVER_TYPES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


def preflight(source: Path, target: Path) -> list[str]:
    """What of ``source`` beside its picture cannot be carried to ``target``, a line each, and what would keep it.

    Raises:
        InputError: the source cannot be opened.
        OutputError: the target's suffix names no container that is written.
    """
    container = container_format(target)
    with open_source(source) as opened:
        picture = picture_stream(opened, source)
        return [
            _loss(stream, target)
            for stream in opened.streams
            if stream is not picture and not can_carry(stream, container)
        ]


def _loss(stream: Stream, target: Path) -> str:
    kept = can_carry(stream, CONTAINERS[KEEPS_MOST])
    remedy = f"{KEEPS_MOST} would keep it" if kept else "no container written here keeps it"
    return f"left out, {target.suffix} cannot hold it ({remedy}): {stream_info(stream)}"


class StreamCopier:
    """The streams of ``source`` other than its picture, written into another file as they are.

    With ``start`` (seconds of the source's clock) packets before it are left out and the rest moves to begin at zero;
    with ``end``, packets from there on are left out.
    """

    def __init__(self, source: Path, start: Fraction | None, end: Fraction | None) -> None:
        self._container = open_source(source)
        self._picture = picture_stream(self._container, source)
        self._start, self._end = start or Fraction(0), end
        self._copies: dict[int, Stream] = {}
        self._pending: Packet[Stream] | None = None
        self._packets: Iterator[Packet[Stream]] = iter(())

    def close(self) -> None:
        """Closes the source."""
        self._container.close()

    @property
    def picture(self) -> VideoStream:
        """The source's picture stream, for its tags."""
        return self._picture

    def add_to(self, output: OutputContainer, container: str, add_picture: Callable[[], VideoStream]) -> VideoStream:
        """Adds all streams that ``output`` can hold, in the source's order, the new picture where the old one was."""
        result: VideoStream | None = None
        for stream in self._container.streams:
            if stream is self._picture:
                result = add_picture()
                result.metadata.update(picture_tags(stream))
                result.disposition = stream.disposition
            elif can_carry(stream, container):
                self._add(stream, output, container)
        assert result is not None  # `picture_stream` found it among the streams
        output.metadata.update({key: v for key, v in self._container.metadata.items() if key.lower() not in OWN_TAGS})
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
            copied.metadata.update(stream.metadata)
            copied.disposition = stream.disposition

    def _attach_cover(self, stream: Stream, output: OutputContainer) -> None:
        """Matroska keeps a cover as an attached file."""
        name, mime = COVER_TYPES.get(stream.codec_context.name, ("cover", "image/*"))
        with av.open(self._container.name, options={"protocol_whitelist": "file"}) as again:
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
        for packet in self._container.demux(streams):
            if packet.dts is None and packet.pts is None:
                continue
            time = _time(packet)
            if self._end is not None and time >= self._end:
                if time > self._end + SLACK:
                    return
                continue
            if self._start and not _trim_start(packet, self._start):
                continue
            yield packet

    def write_until(self, output: OutputContainer, time: Fraction | None) -> None:
        """Writes the packets up to ``time`` of the output's clock; None writes the rest."""
        packets = self._packets if self._pending is None else chain([self._pending], self._packets)
        self._pending = None
        for packet in packets:
            if time is not None and _time(packet) > time:
                self._pending = packet
                return
            packet.stream = self._copies[packet.stream.index]
            output.mux(packet)


def picture_tags(stream: Stream) -> dict[str, str]:
    """The tags of a picture stream that are still true when it is made anew."""
    return {
        key: value
        for key, value in stream.metadata.items()
        if key.lower() not in OWN_TAGS and not key.lower().startswith(STATISTICS)
    }


def _time(packet: Packet[Stream]) -> Fraction:
    """When the packet is due, in seconds."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    assert ticks is not None
    return ticks * packet.time_base


def _trim_start(packet: Packet[Stream], start: Fraction) -> bool:
    """Moves the packet ``start`` earlier; False if it belongs before."""
    shift = round(start / packet.time_base)
    for name in ("pts", "dts"):
        ticks = getattr(packet, name)
        if ticks is not None:
            setattr(packet, name, ticks - shift)
    first = packet.pts if packet.pts is not None else packet.dts
    return first is not None and first >= 0
