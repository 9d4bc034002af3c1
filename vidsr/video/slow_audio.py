"""Slow motion: slow down one audio stream at its original pitch.

Fonts, covers and tags are copied; other streams are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, groupby
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from vidsr.errors import OutputError
from vidsr.options.source import Reading
from vidsr.video.containers import is_timeless
from vidsr.video.demux import packets
from vidsr.video.source import reason
from vidsr.video.stream_copy import StreamCopier, open_at

SLOWEST = Fraction(1, 2)  # lowest speed of one atempo filter; lower speeds chain several
ENCODERS = {"webm": ("libopus", 48000)}  # container -> encoder, sample rate; others get AAC at the source's rate
PREROLL = 1  # seconds read before the start
# Seconds by which atempo's output is early, per unit of slow-down: 7 ms for speech and tones, 14 ms for noise.
ATEMPO_LEAD = Fraction(1, 100)


@dataclass(frozen=True)
class SlowMotion:
    """How many times slower a clip is written, with or without audio.

    ``audio``: slow down the first audio stream too.
    """

    factor: Fraction
    audio: bool = False


class SlowMotionCopier(StreamCopier):
    """Copies streams without times, and slows down the first audio stream on request."""

    def __init__(
        self,
        source: Path,
        start: Fraction | None,
        end: Fraction | None,
        slow: SlowMotion,
        reading: Reading | None = None,
    ) -> None:
        super().__init__(source, start, end, reading)
        self._slow = slow
        self._audio: Iterator[Packet[AudioStream]] = iter(())
        self._next: Packet[AudioStream] | None = None

    def is_copied(self, stream: Stream, container: str) -> bool:
        """Whether ``stream`` has no place in time and ``container`` can hold it."""
        return super().is_copied(stream, container) and is_timeless(stream)

    def add_streams(self, output: OutputContainer, container: str, add_video: Callable[[], VideoStream]) -> VideoStream:
        """Add the copied streams, the new video stream and the slowed audio; return the video stream."""
        video = super().add_streams(output, container, add_video)
        output.set_chapters([])
        stream = next(iter(self._container.streams.audio), None)
        if self._slow.audio and stream is not None:
            self._audio = encode(self._slowed(), add_audio(output, container, stream))
        return video

    def write_until(self, output: OutputContainer, time: Fraction | None) -> None:
        """Write the packets up to ``time`` of the output's clock; None writes the rest."""
        super().write_until(output, time)
        while (packet := self._next or next(self._audio, None)) is not None:
            self._next = packet
            if time is not None and (packet.pts or 0) * packet.time_base > time:
                return
            self._next = None
            output.mux(packet)

    def _slowed(self) -> Iterator[AudioFrame]:
        """Slowed frames on the output's clock, timed by counting samples from the first frame's time."""
        position: int | None = None
        for frame in self._stretched():
            if position is None:
                assert frame.pts is not None and frame.time_base is not None
                # the filter leaves the first time unchanged
                began = (frame.pts * frame.time_base - self._start) * self._slow.factor
                position = round((began + ATEMPO_LEAD * (self._slow.factor - 1)) * frame.sample_rate)
            frame.pts, frame.time_base = position, Fraction(1, frame.sample_rate)
            position += frame.samples
            yield frame

    def _stretched(self) -> Iterator[AudioFrame]:
        frames = uniform(self._frames())
        first = next(frames, None)
        if first is None:
            return
        graph = tempo_graph(first, self._slow.factor, self._start, self._end)
        for frame in chain([first], frames):
            yield from filtered(graph, frame)
        yield from filtered(graph, None)

    def _frames(self) -> Iterator[AudioFrame]:
        with open_at(self._source, self._start - PREROLL) as container:
            stream = container.streams.audio[0]
            for packet in packets(container, [stream], self.problems):
                time = None if packet.pts is None else packet.pts * packet.time_base
                if self._end is not None and time is not None and time > self._end + PREROLL:
                    break
                yield from self._decoded(stream, packet)

    def _decoded(self, stream: AudioStream, packet: Packet[Stream]) -> list[AudioFrame]:
        try:
            return list(stream.decode(packet))
        except av.FFmpegError:
            self.problems["damaged_packets_left_out"] += 1
            return []


def add_audio(output: OutputContainer, container: str, source: AudioStream) -> AudioStream:
    """Add an audio stream like ``source`` to ``output`` and open its encoder.

    Raises:
        OutputError: the encoder does not support the layout or sample rate.
    """
    layout, rate = _named(source.layout), source.codec_context.sample_rate
    codec, encoder_rate = ENCODERS.get(container, ("aac", rate))
    stream = output.add_stream(codec, encoder_rate, layout=layout.name)
    assert isinstance(stream, AudioStream)
    stream.metadata.update({k: v for k, v in source.metadata.items() if k in ("language", "title")})
    try:
        stream.codec_context.open()
    except (av.FFmpegError, ValueError) as error:
        raise OutputError(
            f"audio of {layout.name} at {rate} Hz is not supported by {codec} ({reason(error)}): leave out --slow-audio"
        ) from None
    return stream


def _named(layout: AudioLayout) -> AudioLayout:
    """Return the usual layout for the number of channels, for files that state only that number."""
    return AudioLayout(f"{layout.nb_channels}c") if layout.name.endswith(" channels") else layout


def tempo_graph(first: AudioFrame, factor: Fraction, start: Fraction, end: Fraction | None) -> Graph:
    """Return a filter graph that trims and slows down frames like ``first``.

    It keeps ``start`` to ``end``, in seconds of the file's clock.
    """
    graph = Graph()
    last = "" if end is None else f":end={float(end):.6f}"
    source = graph.add_abuffer(
        sample_rate=first.sample_rate, format=first.format, layout=first.layout, time_base=first.time_base
    )
    steps = [source, graph.add("atrim", f"start={float(start):.6f}{last}")]
    steps += [graph.add("atempo", f"{float(speed):.9f}") for speed in speeds(1 / factor)]
    steps.append(graph.add("abuffersink"))
    graph.link_nodes(*steps).configure()
    return graph


def speeds(speed: Fraction) -> list[Fraction]:
    """Return the speeds of a chain of atempo filters that together make ``speed``."""
    steps = []
    while speed < SLOWEST:
        steps.append(SLOWEST)
        speed /= SLOWEST
    return [*steps, speed]


def uniform(frames: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
    """Frames in the sample format, layout, rate and time base of the first one, as filter graphs and encoders need."""
    first: AudioFrame | None = None
    for like, run in groupby(frames, _layout):
        for frame in run if first is None or like == _layout(first) else _resampled(run, first):
            first = first or frame
            yield frame


def _layout(frame: AudioFrame) -> tuple[str, str, int]:
    """Return the properties of audio that must not change within a graph."""
    return frame.format.name, frame.layout.name, frame.sample_rate


def _resampled(frames: Iterable[AudioFrame], first: AudioFrame) -> Iterator[AudioFrame]:
    resampler = AudioResampler(first.format, first.layout, first.sample_rate)
    for frame in chain(frames, [None]):
        for resampled in resampler.resample(frame):
            if resampled.pts is not None and resampled.time_base is not None and first.time_base is not None:
                resampled.pts = round(resampled.pts * resampled.time_base / first.time_base)
                resampled.time_base = first.time_base
            yield resampled


def filtered(graph: Graph, frame: AudioFrame | None) -> Iterator[AudioFrame]:
    """Frames that the graph outputs after receiving ``frame``; None ends the stream."""
    with suppress(av.EOFError):  # the graph accepts nothing after the end of its range
        graph.push(frame)
    while True:
        try:
            ready = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        assert isinstance(ready, AudioFrame)
        yield ready


def encode(frames: Iterator[AudioFrame], stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """Encoded packets of ``frames``."""
    for frame in frames:
        yield from stream.encode(frame)
    yield from stream.encode(None)
