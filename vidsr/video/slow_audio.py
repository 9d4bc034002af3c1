"""What goes beside a picture in slow motion: nothing that is timed, but the sound if asked for, slowed at its pitch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import AttachmentStream, Stream
from av.video.stream import VideoStream

from vidsr.errors import Note, OutputError
from vidsr.options.source import Reading
from vidsr.video.containers import FRAMES_ONLY, container_format, is_cover
from vidsr.video.demux import packets
from vidsr.video.probe import MICROSECONDS, video_stream
from vidsr.video.source import has_copyable_streams, open_source, reason
from vidsr.video.stream_copy import StreamCopier, carried, every, others, preflight
from vidsr.video.streams import stream_info

SLOWEST = Fraction(1, 2)  # of one atempo filter; more of them follow each other
ENCODERS = {"webm": ("libopus", 48000)}  # container -> encoder and its samples a second; else AAC at those there are
RUN_UP = 1  # seconds read before the start
# seconds by which atempo gives sound too early, for each time slower: 7 ms for voices and tones, 14 for noise
EARLY = Fraction(1, 100)


@dataclass(frozen=True)
class SlowMotion:
    """How many times slower a clip is written than it was read, and whether its sound is slowed down with it."""

    factor: Fraction
    sound: bool = False


def kept(source: Path, target: Path, reading: Reading | None = None, slow: SlowMotion | None = None) -> list[str]:
    """The streams beside the picture that ``target`` will hold as they are, in words.

    Raises:
        InputError: the source cannot be opened.
        OutputError: the target's suffix names no container that is written.
    """
    return carried(source, target, reading, every if _copied_whole(source, target, reading, slow) else timeless)


def lost(source: Path, target: Path, reading: Reading | None = None, slow: SlowMotion | None = None) -> list[Note]:
    """What of ``source`` beside its picture ``target`` will lack or hold changed, a line each. Raises as `kept`."""
    if slow is None or _copied_whole(source, target, reading, slow):
        return preflight(source, target, reading)
    return [*left_out(source, slow), *preflight(source, target, reading, timeless)]


def _copied_whole(source: Path, target: Path, reading: Reading | None, slow: SlowMotion | None) -> bool:
    """Whether slow motion takes nothing away: there is none, or no streams are read or written."""
    return slow is None or not has_copyable_streams(source, reading) or container_format(target) in FRAMES_ONLY


def left_out(source: Path, slow: SlowMotion) -> list[Note]:
    """What slow motion leaves out or changes of the streams beside the picture, a line each."""
    with open_source(source) as opened:
        timed = [s for s in others(opened, video_stream(opened, source)) if not timeless(s)]
        sound = next((s for s in timed if s.type == "audio"), None) if slow.sound else None
        notes = [Note("stream_left_out", f"left out of slow motion: {stream_info(s)}") for s in timed if s is not sound]
        if opened.chapters():
            notes.append(Note("chapters_left_out", "left out of slow motion: chapters"))
        if sound is not None:
            notes.append(Note("audio_slowed", f"slowed, and encoded again: {stream_info(sound)}"))
        return notes


def timeless(stream: Stream) -> bool:
    """Whether a stream is shown at no time: a font, a cover."""
    return isinstance(stream, AttachmentStream) or is_cover(stream)


class SlowMotionCopier(StreamCopier):
    """Fonts, covers and tags of ``source``; and its first sound, if asked for, slowed and encoded anew."""

    def __init__(self, source: Path, start: Fraction | None, end: Fraction | None, slow: SlowMotion) -> None:
        super().__init__(source, start, end)
        self._slow = slow
        self._sound: Iterator[Packet[AudioStream]] = iter(())
        self._next: Packet[AudioStream] | None = None

    def wants(self, stream: Stream, container: str) -> bool:
        """Whether a stream belongs to no time and can be carried."""
        return super().wants(stream, container) and timeless(stream)

    def add_to(self, output: OutputContainer, container: str, add_picture: Callable[[], VideoStream]) -> VideoStream:
        """Adds what belongs to no time, the new picture, and the sound."""
        picture = super().add_to(output, container, add_picture)
        output.set_chapters([])
        stream = next(iter(self._container.streams.audio), None)
        if self._slow.sound and stream is not None:
            self._sound = encoded(self._slowed(stream), add_sound(output, container, stream))
        return picture

    def write_until(self, output: OutputContainer, time: Fraction | None) -> None:
        """Writes the packets up to ``time`` of the output's clock; None writes the rest."""
        super().write_until(output, time)
        while (packet := self._next or next(self._sound, None)) is not None:
            self._next = packet
            if time is not None and (packet.pts or 0) * packet.time_base > time:
                return
            self._next = None
            output.mux(packet)

    def _slowed(self, stream: AudioStream) -> Iterator[AudioFrame]:
        """Slowed frames on the output's clock, counted in samples from where the first one belongs."""
        position: int | None = None
        for frame in self._stretched(stream):
            if position is None:
                assert frame.pts is not None and frame.time_base is not None
                # the filter keeps the first time as it was
                began = (frame.pts * frame.time_base - self._start) * self._slow.factor
                position = round((began + EARLY * (self._slow.factor - 1)) * frame.sample_rate)
            frame.pts, frame.time_base = position, Fraction(1, frame.sample_rate)
            position += frame.samples
            yield frame

    def _stretched(self, stream: AudioStream) -> Iterator[AudioFrame]:
        graph = slowing(stream, self._slow.factor, self._start, self._end)
        self._container.seek(int(max(self._start - RUN_UP, Fraction(0)) * MICROSECONDS))
        for packet in packets(self._container, [stream], self.problems):
            if self._end is not None and packet.pts is not None and packet.pts * packet.time_base > self._end + RUN_UP:
                break
            for frame in self._decoded(stream, packet):
                yield from through(graph, frame)
        yield from through(graph, None)

    def _decoded(self, stream: AudioStream, packet: Packet[Stream]) -> list[AudioFrame]:
        try:
            return list(stream.decode(packet))
        except av.FFmpegError:
            self.problems["damaged packets, left out"] += 1
            return []


def add_sound(output: OutputContainer, container: str, source: AudioStream) -> AudioStream:
    """A stream of ``output`` for what ``source`` sounds like, its encoder open.

    Raises:
        OutputError: the encoder takes no such sound.
    """
    layout, rate = _named(source.layout), source.codec_context.sample_rate
    codec, taken = ENCODERS.get(container, ("aac", rate))
    stream = output.add_stream(codec, taken, layout=layout.name)
    assert isinstance(stream, AudioStream)
    stream.metadata.update({k: v for k, v in source.metadata.items() if k in ("language", "title")})
    try:
        stream.codec_context.open()
    except (av.FFmpegError, ValueError) as error:
        raise OutputError(
            f"sound of {layout.name} at {rate} Hz cannot be slowed, {codec} takes none ({reason(error)}): "
            "leave out --slow-audio"
        ) from None
    return stream


def _named(layout: AudioLayout) -> AudioLayout:
    """The usual layout of so many channels, where a file of plain samples says no more than their number."""
    return AudioLayout(f"{layout.nb_channels}c") if layout.name.endswith(" channels") else layout


def slowing(stream: AudioStream, factor: Fraction, start: Fraction, end: Fraction | None) -> Graph:
    """A filter graph that takes the frames of ``stream`` and gives those from ``start`` to ``end``, slowed."""
    graph = Graph()
    last = "" if end is None else f":end={float(end):.6f}"
    steps = [graph.add_abuffer(template=stream), graph.add("atrim", f"start={float(start):.6f}{last}")]
    steps += [graph.add("atempo", f"{float(speed):.9f}") for speed in speeds(1 / factor)]
    steps.append(graph.add("abuffersink"))
    graph.link_nodes(*steps).configure()
    return graph


def speeds(speed: Fraction) -> list[Fraction]:
    """Speeds that one atempo filter each can make, and that make ``speed`` together."""
    steps = []
    while speed < SLOWEST:
        steps.append(SLOWEST)
        speed /= SLOWEST
    return [*steps, speed]


def through(graph: Graph, frame: AudioFrame | None) -> Iterator[AudioFrame]:
    """The frames that are ready once ``frame`` is in; None ends the stream."""
    with suppress(av.EOFError):  # it takes nothing that lies behind the end
        graph.push(frame)
    while True:
        try:
            ready = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        assert isinstance(ready, AudioFrame)
        yield ready


def encoded(frames: Iterator[AudioFrame], out: AudioStream) -> Iterator[Packet[AudioStream]]:
    """The packets of ``frames``."""
    for frame in frames:
        yield from out.encode(frame)
    yield from out.encode(None)
