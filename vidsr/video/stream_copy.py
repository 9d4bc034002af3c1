"""Copy audio, subtitles, chapters, fonts, covers and tags packet for packet."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from math import ceil
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Stream
from av.video.stream import VideoStream

from vidsr.options.source import Reading
from vidsr.runtime.error_boundary import OUTPUT_ERRORS
from vidsr.video.chapters import chapter_data, copied_chapters, read_chapters
from vidsr.video.containers import (
    MATROSKA,
    MP4_LIKE,
    can_carry,
    file_tags,
    has_cover,
    is_cover,
    muxer_options,
    stream_tags,
)
from vidsr.video.demux import packets, seek_to
from vidsr.video.probe import to_file_clock, video_stream
from vidsr.video.source import open_source
from vidsr.video.streams import other_streams

TIMES_REPAIRED = "packet_times_repaired"
# Seconds by which a repair may move a packet without being counted; the verification allows a millisecond, with what
# the container rounds
INAUDIBLE = Fraction(1, 2000)
PREROLL = Fraction(1, 10)  # seconds that a codec may need before the first packet that is played
INTERLEAVING = 10  # seconds by which packets of different streams may be out of order in a file
COARSE_TICK, FINE_TICK = Fraction(1, 1000), Fraction(1, 90_000)  # seconds
DISK_ERRORS = OUTPUT_ERRORS | {errno.EIO, errno.EACCES, errno.ENOENT}
COVER_TYPES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


class StreamCopier:
    """Copies the streams of ``source`` other than its video stream into an output.

    ``start`` and ``end`` are seconds from where playback of the source begins. Packets before ``start`` and from
    ``end`` on are left out, and the output's clock begins at ``start``.
    """

    def __init__(
        self, source: Path, start: Fraction | None, end: Fraction | None, reading: Reading | None = None
    ) -> None:
        self._source = source
        self._container = open_source(source)
        self._video = video_stream(self._container, source, reading)
        self.range = to_file_clock(self._container, start, end)
        self._start, self._end = self.range[0] or Fraction(0), self.range[1]
        self.problems: Counter[str] = Counter()
        self._container_format = ""
        self._copies: dict[int, Stream] = {}
        self._last: dict[int, int] = {}  # source index -> decoding time of the last packet written, in ticks
        self._steps: dict[int, int] = {}  # source index -> shortest time between two packets without a duration, ticks
        self._pending: Packet[Stream] | None = None
        self._packets: Iterator[Packet[Stream]] = iter(())

    def close(self) -> None:
        """Close the source."""
        self._container.close()

    def muxer_options(self, container: str) -> dict[str, str]:
        """Return the options that the muxer of ``container`` needs to keep the file's tags."""
        return muxer_options(container, self._container.metadata, has_cover(self._container, container))

    def is_copied(self, stream: Stream, container: str) -> bool:
        """Whether ``stream`` is copied into ``container``."""
        return can_carry(stream, container)

    def add_streams(self, output: OutputContainer, container: str, add_video: Callable[[], VideoStream]) -> VideoStream:
        """Add all streams that ``output`` can hold in the source's order; return the new video stream."""
        self._container_format = container
        result: VideoStream | None = None
        others = other_streams(self._container, self._video)
        for stream in self._container.streams:
            if stream is self._video:
                result = add_video()
                result.metadata.update(stream_tags(container, stream.metadata))
                result.disposition = stream.disposition
            elif stream in others and self.is_copied(stream, container):
                self._add(stream, output, container)
        assert result is not None  # `video_stream` found it among the streams
        output.metadata.update(file_tags(self._container.metadata))
        chapters = copied_chapters(read_chapters(self._container), *self.range, container)
        output.set_chapters(chapter_data(chapters))
        self._packets = self._packets_in_range()
        return result

    def _add(self, stream: Stream, output: OutputContainer, container: str) -> None:
        if isinstance(stream, AttachmentStream):
            attachment = output.add_attachment(stream.name or "attachment", stream.mimetype or "", stream.data)
            attachment.metadata.update(stream.metadata)
        elif is_cover(stream) and container == "matroska":
            self._attach_cover(stream, output)
        else:
            self._copies[stream.index] = copy = output.add_stream_from_template(stream, opaque=True)
            copy.metadata.update(stream_tags(container, stream.metadata))
            copy.disposition = stream.disposition

    def _attach_cover(self, stream: Stream, output: OutputContainer) -> None:
        """Add a cover as an attached file, as Matroska stores it."""
        name, mime = COVER_TYPES.get(stream.codec_context.name, ("cover", "image/*"))
        with open_source(self._source) as again:
            packet = next(packets(again, [again.streams[stream.index]]), None)
            if packet is not None and packet.size:
                attachment = output.add_attachment(name, mime, bytes(packet))
                attachment.metadata.update(stream.metadata)

    def _packets_in_range(self) -> Iterator[Packet[Stream]]:
        """Packets to write, in file order, on the output's clock."""
        if not self._copies:
            return
        if self._start > INTERLEAVING:
            self._container.close()
            self._container = open_at(self._source, self._start - INTERLEAVING)
        streams = [self._container.streams[index] for index in self._copies]
        for packet in packets(self._container, streams, self.problems):
            if is_cover(packet.stream) and packet.size:
                packet.pts = packet.dts = 0
                yield packet
                continue
            if (packet.dts is None and packet.pts is None) or is_dropped(packet, self._container_format):
                continue
            time = _presentation_time(packet)
            if self._end is not None and time >= self._end:
                if time > self._end + INTERLEAVING:
                    return
                continue
            if self._start and time < self._start:
                continue  # without a start, packets before zero are kept: they are the pre-roll of the audio codec
            _move_earlier(packet, self._start)
            yield packet

    def write_until(self, output: OutputContainer, time: Fraction | None) -> None:
        """Write the packets up to ``time`` of the output's clock; None writes the rest."""
        due = self._packets if self._pending is None else chain([self._pending], self._packets)
        self._pending = None
        for packet in due:
            if time is not None and _decoding_time(packet) > time:
                self._pending = packet
                return
            try:
                output.mux(self._for_output(packet))
            except av.FFmpegError as error:
                if is_of_disk(error):
                    raise
                self.problems["damaged_packets_left_out"] += 1

    def _for_output(self, packet: Packet[Stream]) -> Packet[Stream]:
        """Assign the packet to its output stream, with a decoding time later than the previous one."""
        last = self._last.get(packet.stream.index)
        dts = packet.dts if packet.dts is not None else _estimated_dts(packet, last)
        if dts is not None:
            packet.dts = dts if last is None else max(dts, last + 1)
            if packet.pts is not None and packet.pts < packet.dts:
                if (packet.dts - packet.pts) * packet.time_base > INAUDIBLE:
                    self.problems[TIMES_REPAIRED] += 1
                packet.pts = packet.dts
            self._last[packet.stream.index] = packet.dts
            if self._container_format in MP4_LIKE and not packet.duration:
                self._set_duration(packet, last)
        packet.stream = self._copies[packet.stream.index]
        return packet

    def _set_duration(self, packet: Packet[Stream], last: int | None) -> None:
        """Set the duration of audio that a damaged file does not state: without it, MP4 does not play the last packet.

        It is that of the codec's frames, or the shortest time between two packets.
        """
        stream = packet.stream
        if not isinstance(stream, AudioStream):
            return
        index, context = stream.index, stream.codec_context
        if context.frame_size and context.sample_rate:
            packet.duration = round(Fraction(context.frame_size, context.sample_rate) / packet.time_base)
        elif last is not None and packet.dts is not None:
            step = packet.dts - last
            self._steps[index] = min(step, self._steps.get(index, step))
            packet.duration = self._steps[index]


def is_of_disk(error: av.FFmpegError | OSError) -> bool:
    """Whether the disk caused an error of a muxer, and not the packet."""
    return error.errno in DISK_ERRORS


def open_at(path: Path, time: Fraction) -> InputContainer:
    """Open a source at a keyframe not after ``time`` of its clock; a file that cannot seek, at its beginning."""
    container = open_source(path)
    if seek_to(container, max(time, Fraction(0))):
        return container
    container.close()
    return open_source(path)


def is_dropped(packet: Packet[Stream], container: str) -> bool:
    """Whether a copy to ``container`` drops the packet.

    Drops the empty text between two subtitles of MP4, which the muxer writes itself. In Matroska, drops packets that an
    edit list cuts off, because Matroska has no edit lists and would play them before the first frame.
    """
    context = packet.stream.codec_context
    is_gap = packet.size == 2 and context is not None and context.name == "mov_text"
    return is_gap or (container in MATROSKA and packet.is_discard and _presentation_time(packet) < -PREROLL)


def _estimated_dts(packet: Packet[Stream], last: int | None) -> int | None:
    """Estimate the decoding time of a packet that has only a presentation time, as in Matroska.

    ``last`` is the decoding time of the previous packet. FFmpeg knows decoding times only after the first frames that
    were decoded out of order.
    """
    if packet.pts is None or not isinstance(packet.stream, VideoStream):
        return packet.pts
    if last is not None:
        return min(packet.pts, last + 1)
    return packet.pts - packet.stream.codec_context.reorder_depth * max(1, packet.duration or 0)


def _decoding_time(packet: Packet[Stream]) -> Fraction:
    ticks = packet.dts if packet.dts is not None else packet.pts
    assert ticks is not None
    return ticks * packet.time_base


def _presentation_time(packet: Packet[Stream]) -> Fraction:
    ticks = packet.pts if packet.pts is not None else packet.dts
    assert ticks is not None
    return ticks * packet.time_base


def _refine(packet: Packet[Stream]) -> None:
    """Divide a coarse time base, such as AVI's: one tick is one packet of MP3, 26 ms."""
    if packet.time_base <= COARSE_TICK:
        return
    parts = ceil(packet.time_base / FINE_TICK)
    packet.time_base /= parts
    packet.duration = (packet.duration or 0) * parts
    for name in ("pts", "dts"):
        ticks = getattr(packet, name)
        if ticks is not None:
            setattr(packet, name, ticks * parts)


def _move_earlier(packet: Packet[Stream], seconds: Fraction) -> None:
    _refine(packet)
    shift = round(seconds / packet.time_base)
    for name in ("pts", "dts"):
        ticks = getattr(packet, name)
        if ticks is not None:
            setattr(packet, name, ticks - shift)
