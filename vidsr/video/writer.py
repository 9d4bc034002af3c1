"""A clip written from planes: encoded, timed to the tick, with the other streams of its source beside it."""

from __future__ import annotations

import os
from array import array
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import av
import torch
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.encoding import Encoding
from vidsr.errors import OptionError, OutputError
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.video.containers import container_format
from vidsr.video.copier import StreamCopier
from vidsr.video.formats import MATRICES, PRIMARIES, RANGES, TRANSFERS, encoder, nearest_format, number, pix_fmt
from vidsr.video.planes import empty_frame, fill, view
from vidsr.video.probe import reason
from vidsr.video.sidedata import fitted, hdr_options

PARTS = 90_000  # parts of a second for clips whose own are not known
MOST_TICKS = 1 << 31  # per second; containers keep 32 bits


@dataclass(frozen=True)
class Written:
    """What a finished file should hold."""

    path: Path
    info: VideoInfo  # as encoded
    times: tuple[Fraction, ...]  # of every frame, on the file's own clock
    source: Path | None  # whose other streams it carries, from ``start`` to ``end`` of that clock
    start: Fraction | None = None
    end: Fraction | None = None


class Writer(Protocol):
    """Takes the frames of one clip."""

    notes: list[str]  # what the file says differently than asked, in words

    @property
    def written(self) -> Written | None:
        """What the file should hold, for checking it; None if there is none."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
    def write(self, batch: FrameBatch) -> None:
        """Takes the next frames, rounded to integers."""
        ...


def open_writer(
    path: Path,
    info: VideoInfo,
    encoding: Encoding,
    streams_from: Path | None = None,
    start: Fraction | None = None,
    end: Fraction | None = None,
) -> Writer:
    """The writer that ``encoding`` asks for: a `VideoWriter`, or one that writes nothing."""
    return NullWriter() if encoding.is_null else VideoWriter(path, info, encoding, streams_from, start, end)


class NullWriter:
    """Takes frames and forgets them: for measuring everything but the encoder."""

    written = None

    def __init__(self) -> None:
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def write(self, batch: FrameBatch) -> None:
        """Forgets the frames."""


class VideoWriter:
    """Writes frames of ``info`` to ``path``; the file appears when the block is left without an exception.

    Until then it is ``<name>.part<suffix>`` beside it, and an exception removes that. ``streams_from`` is the clip
    whose other streams and tags are copied. With ``start`` and ``end`` (seconds of the source's clock) the output's
    clock begins at ``start`` and copied packets end before ``end``.

    Raises:
        OptionError: the encoder or one of its options is unknown.
        OutputError: the encoder does not start, or the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        encoding: Encoding,
        streams_from: Path | None = None,
        start: Fraction | None = None,
        end: Fraction | None = None,
    ) -> None:
        self.path = path
        self.info = info
        self._coded, self.notes = nearest_format(info, encoding)
        self._encoding = encoding
        self._range = (start, end)
        self._start = start or Fraction(0)
        self._source = streams_from
        self._stamps = array("q")
        self._tick = tick(info)
        self._first: int | None = None  # ticks of the first and last frame given to the encoder
        self._last: int | None = None
        self._decoded: int | None = None  # decoding time in ticks of the last packet from the encoder
        self._part = path.with_name(f"{path.stem}.part{path.suffix}")
        container = container_format(path)
        encoder(encoding)  # an unknown one is said before anything is opened
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes its settings to the terminal, and asks only this
        self._copier = None if streams_from is None else StreamCopier(streams_from, start, end)
        try:
            self.notes += untold(info, encoding, container)
            options = {} if self._copier is None else self._copier.muxer_options(container)
            self._output = _create(self._part, container, options | _clock(container, self._tick))
            self._stream = self._add_streams(container)
            self._open_encoder()
        except BaseException:
            self._abandon()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            self._finish()
        except BaseException:
            self._abandon()
            raise

    def write(self, batch: FrameBatch) -> None:
        """Encodes the next frames.

        Raises:
            OutputError: the file cannot be written.
        """
        for i, time in enumerate(batch.times):
            uv = None if batch.uv is None else batch.uv[i]
            self._encode(self._frame(batch.y[i, 0], uv, time))

    @property
    def written(self) -> Written:
        """What the file should hold, for checking it."""
        times = tuple(stamp * self._tick for stamp in self._stamps)
        return Written(self.path, self._coded, times, self._source, *self._range)

    def _add_streams(self, container: str) -> VideoStream:
        if self._copier is None:
            return self._add_picture()
        return self._copier.add_to(self._output, container, self._add_picture)

    def _add_picture(self) -> VideoStream:
        info = self._coded
        try:
            stream = self._output.add_stream(self._encoding.codec, rate=info.fps or Fraction(25))
        except ValueError:
            raise OutputError(
                f"{self.path} cannot hold {self._encoding.codec}: end the name in .mkv, or choose another --codec"
            ) from None
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = info.width, info.height
        stream.pix_fmt = _coded_pix_fmt(info, self._encoding)
        stream.time_base = self._tick
        context = stream.codec_context
        context.time_base = self._tick
        context.sample_aspect_ratio = info.sar
        context.thread_count = self._encoding.threads
        context.options = _options(self._encoding, info)
        for attribute, names, tag in _tags(info):
            value = number(names, tag)
            if value is not None:
                setattr(context, attribute, value)
        if info.display_matrix is not None:
            stream.set_display_matrix(fitted(info.display_matrix, info.width, info.height))
        if self._encoding.codec in ("libx265", "hevc_nvenc") and container_format(self.path) in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # the tag that Apple's players ask for
        return stream

    def _open_encoder(self) -> None:
        context = self._stream.codec_context
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise OutputError(
                f"{self._encoding.codec} does not start ({reason(error)}): choose another --codec or other options"
            ) from None
        unknown = [key for key, _ in self._encoding.options if key in context.options]
        if unknown:
            raise OptionError(f"--encoder-option {unknown[0]} is unknown to {self._encoding.codec}: see ffmpeg -h full")

    def _frame(self, y: torch.Tensor, uv: torch.Tensor | None, time: Fraction) -> VideoFrame:
        coded = self._coded
        # libswscale converts depth and chroma where the encoder asks for it, but takes grey to be full range
        chroma = coded.chroma if uv is None else self.info.chroma
        info = replace(self.info, width=coded.width, height=coded.height, chroma=chroma)
        frame = empty_frame(info)
        fill(frame, 0, info.depth, y.numpy())
        if uv is not None:
            fill(frame, 1, info.depth, uv[0].numpy())
            fill(frame, 2, info.depth, uv[1].numpy())
        elif chroma != "gray":
            for index in (1, 2):
                view(frame, index, info.depth)[:] = 1 << (info.depth - 1)
        frame.pts = self._ticks(time)
        frame.time_base = self._tick
        for attribute, names, tag in _tags(info):
            value = number(names, tag)
            if value is not None:
                setattr(frame, attribute, value)
        if info.fps is not None:
            frame.duration = round(1 / info.fps / self._tick)
        return frame

    def _ticks(self, time: Fraction) -> int:
        """The one rounding of a time: to the nearest tick, later than the frame before."""
        ticks = round((time - self._start) / self._tick)
        self._last = ticks if self._last is None else max(ticks, self._last + 1)
        self._first = self._last if self._first is None else self._first
        self._stamps.append(self._last)
        return self._last

    def _encode(self, frame: VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._mux(packet)
        except av.FFmpegError as error:
            raise OutputError(f"{self.path} cannot be written ({reason(error)}): check the disk") from None

    def _mux(self, packet: Packet[VideoStream]) -> None:
        self._put_in_order(packet)
        if self._copier is not None:
            assert packet.dts is not None
            self._copier.write_until(self._output, packet.dts * packet.time_base)
        self._output.mux(packet)

    def _put_in_order(self, packet: Packet[VideoStream]) -> None:
        """Gives a decoding time to a packet that has none or a wrong one: x265 does not set those of very short clips.

        A right one is later than the one before, not later than the picture is shown, and no further ahead of the
        first picture than the last one is behind it.
        """
        assert packet.pts is not None and self._first is not None and self._last is not None
        earliest = 2 * self._first - self._last if self._decoded is None else self._decoded + 1
        if packet.dts is None or not earliest <= packet.dts <= packet.pts:
            packet.dts = min(earliest, packet.pts)
        self._decoded = packet.dts

    def _finish(self) -> None:
        self._encode(None)
        try:
            if self._copier is not None:
                self._copier.write_until(self._output, None)
                self._copier.close()
                self.notes += [f"copied streams of the source: {n} {name}" for name, n in self._copier.problems.items()]
            self._output.close()
            self._part.replace(self.path)
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"{self.path} cannot be written ({reason(error)}): check the disk") from None

    def _abandon(self) -> None:
        """Closes everything and leaves nothing behind."""
        if self._copier is not None:
            self._copier.close()
        output = getattr(self, "_output", None)
        if output is not None:
            with suppress(av.FFmpegError, OSError):
                output.close()
        self._part.unlink(missing_ok=True)


def tick(info: VideoInfo) -> Fraction:
    """The length of the stamps to write: that of ``info``'s times, or one in which its frame rate is exact."""
    if info.time_base is not None and info.time_base.denominator < MOST_TICKS:
        return info.time_base
    parts = lcm(PARTS, info.fps.numerator) if info.fps is not None else PARTS
    return Fraction(1, parts if parts < MOST_TICKS else PARTS)


def _create(part: Path, container: str, options: dict[str, str]) -> OutputContainer:
    try:
        part.touch()  # so that a folder that takes no file is said before the work
    except OSError as error:
        raise OutputError(f"{part.parent} cannot be written to ({error.strerror}): choose another --output") from None
    return av.open(f"file:{part}", "w", format=container, container_options=options)


def _clock(container: str, tick: Fraction) -> dict[str, str]:
    """The option that lets MP4 say when streams begin as finely as the frames; otherwise it is in milliseconds."""
    parts = lcm(1000, tick.denominator)
    return {"movie_timescale": str(parts)} if container in ("mp4", "mov") and parts < MOST_TICKS else {}


def untold(info: VideoInfo, encoding: Encoding, container: str) -> list[str]:
    """What neither the encoder nor the container can say of the picture, in words."""
    words = []
    codec = encoding.codec
    if container in ("matroska", "webm") and info.sar != 1 and not encoding.table_entry.says_sar:
        words.append(f"the sample aspect ratio {info.sar} of {codec} cannot be written there: end the name in .mp4")
    if container == "mov" and info.color.range == "full" and codec == "prores_ks":
        words.append("full range of prores_ks cannot be written there: end the name in .mkv")
    if info.hdr is not None and encoding.table_entry.params is None:
        words.append(f"HDR10 metadata cannot be written by {codec}: choose libx265, libx264 or libsvtav1")
    return words


def _coded_pix_fmt(info: VideoInfo, encoding: Encoding) -> str:
    names = {f.name for f in encoder(encoding).video_formats or ()}
    planar = pix_fmt(info.chroma, info.depth)
    return "p010le" if names and planar not in names and "p010le" in names else planar


def _tags(info: VideoInfo) -> tuple[tuple[str, Mapping[int, str], str | None], ...]:
    color = info.color
    return (
        ("colorspace", MATRICES, color.matrix),
        ("color_primaries", PRIMARIES, color.primaries),
        ("color_trc", TRANSFERS, color.transfer),
        ("color_range", RANGES, color.range),
    )


def _options(encoding: Encoding, info: VideoInfo) -> dict[str, str]:
    """The encoder's options, with what its own parameter list has to say besides: HDR10, threads, silence."""
    options = encoding.arguments
    if info.color.chroma_location is not None:
        options["chroma_sample_location"] = info.color.chroma_location
    name = encoding.table_entry.params
    if name is None:
        return options
    params = dict(encoding.table_entry.quiet)
    params |= {} if info.hdr is None else hdr_options(info.hdr, name)
    texts = [f"{key}={value}" for key, value in params.items()] + ([options[name]] if name in options else [])
    return options | ({name: ":".join(texts)} if texts else {})
