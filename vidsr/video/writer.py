"""Write a clip: encode planes and copy the source's other streams."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from math import lcm
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidsr.errors import Notes, OptionError, OutputError, VerifyError
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.options.image_sequence import FIRST_NUMBER
from vidsr.options.parse import decimal
from vidsr.options.source import Reading
from vidsr.runtime.output_file import OutputFile
from vidsr.video.alpha import AlphaPlanes
from vidsr.video.containers import IMAGES, MATROSKA, Y4M, container_format, mark_output
from vidsr.video.demux import CLOCK_JUMPS
from vidsr.video.encoder import MATROSKA_TICK, MOST_TICKS, add_video_stream, open_encoder, tick, writable
from vidsr.video.formats import nearest_format
from vidsr.video.frame_encoder import FrameEncoder
from vidsr.video.image_sequence import ImageSequenceWriter, OutputImages
from vidsr.video.inspect import ExpectedContents
from vidsr.video.packet_check import PacketCheck
from vidsr.video.packet_file import EncodedPacket
from vidsr.video.segment_writer import parameters
from vidsr.video.slow_audio import SlowMotion, SlowMotionCopier
from vidsr.video.source import reason
from vidsr.video.stream_copy import StreamCopier, is_of_disk
from vidsr.video.y4m import Y4mWriter


class Writer(Protocol):
    """Writes the frames of one clip."""

    @property
    def expected(self) -> ExpectedContents | None:
        """The contents that the file should have; None without a file."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
    def write(self, batch: FrameBatch) -> None:
        """Write the next frames, rounded to integers."""
        ...


def open_writer(
    path: Path,
    info: VideoInfo,
    encoding: Encoding,
    streams_from: Path | None = None,
    start: Fraction | None = None,
    end: Fraction | None = None,
    first: int = FIRST_NUMBER,
    raw: bool = False,
    slow: SlowMotion | None = None,
    notes: Notes | None = None,
    output: OutputFile | None = None,
    reading: Reading | None = None,
    alpha: AlphaPlanes | None = None,
    checked: bool = False,
) -> Writer:
    """Return the writer for ``path``: a clip, an image sequence or y4m.

    The writer commits the file itself, unless the caller gives the ``output`` of `open_output`. Images are numbered
    from ``first``. ``raw`` writes a pipe without headers. ``reading`` names the video track of
    ``streams_from`` that is not copied. ``checked``: see `VideoWriter`.

    The null encoder selects a writer that writes nothing.

    Raises:
        OptionError, OutputError: see the writers.
    """
    if encoding.is_null:
        return NullWriter()
    container = container_format(path)
    if container == Y4M:
        return Y4mWriter(path, info, encoding, raw and str(path) == "-", notes, output)
    if container == IMAGES:
        assert output is None or isinstance(output, OutputImages)
        return ImageSequenceWriter(path, info, encoding, first, notes, output)
    given = (path, info, encoding, streams_from, start, end, slow, notes, output, reading, alpha)
    return VideoWriter(*given, marked=True, checked=checked)


def open_output(path: Path, overwrite: bool) -> OutputFile:
    """Return the output for `open_writer`: a file or an image sequence that appears when it is committed.

    Raises:
        OutputError: see `OutputFile`.
    """
    if container_format(path) == IMAGES:
        return OutputImages(path, overwrite)
    return OutputFile(path, overwrite, make_folders=True)


class NullWriter:
    """Discards frames, to measure everything except the encoder."""

    expected = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def write(self, batch: FrameBatch) -> None:
        """Discard the frames."""


class VideoWriter:
    """Writes frames of ``info`` to ``path``; the file appears when the block ends without an exception.

    An exception removes it. With ``output``, its owner commits the file, for instance after verification. Other streams
    and tags are copied from the clip ``streams_from``. ``start`` and ``end`` are seconds from where playback of the
    source begins: the output's clock begins at ``start``, and copied packets end before ``end``. In ``slow`` motion,
    streams with times are not copied. ``alpha`` is written with the frames, by libvpx-vp9 only. ``marked``: the file
    tells that vidsr made it. ``checked``: frames are decoded again on their way, so verification compares packets.

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
        slow: SlowMotion | None = None,
        notes: Notes | None = None,
        output: OutputFile | None = None,
        reading: Reading | None = None,
        alpha: AlphaPlanes | None = None,
        marked: bool = False,
        checked: bool = False,
    ) -> None:
        self.path = path
        self.info = info = replace(info, alpha=alpha is not None)
        self._reading = reading or Reading()
        self.notes = Notes() if notes is None else notes
        self._coded = nearest_format(info, encoding, self.notes)
        self._encoding = encoding
        self._source = streams_from
        self._tick = tick(info)
        self._copies_packets = False
        self._check: PacketCheck | None = None
        container = container_format(path)
        if container in MATROSKA and info.fps is not None and info.fps * MATROSKA_TICK > 1:
            raise OptionError(
                f"{path} keeps times to a millisecond, too coarse for {decimal(info.fps)} frames per second: "
                "end the name in .mp4"
            )
        self._copier = _make_copier(streams_from, start, end, slow, reading)
        if slow is not None:
            self._source = None  # slow motion copies no packets that verification could compare
        self._range = (start, end) if self._copier is None else self._copier.range
        self._is_own = output is None
        self._file = output or OutputFile(path)
        try:
            self._written = writable(self._coded, encoding, container, self.notes)
            options = {} if self._copier is None else self._copier.muxer_options(container)
            # the muxer of Matroska numbers files at random unless it has to be bit-exact
            options |= {"fflags": "+bitexact"} if container in MATROSKA else {}
            self._output = _create(self._file.part, container, options | _movie_timescale(container, self._tick))
            self._stream = self._add_streams(container)
            if marked:
                mark_output(self._output, self._stream, container)
            open_encoder(self._stream, self._encoding)
            if checked:
                with suppress(VerifyError):  # without a decoder, which verification says
                    self._check = PacketCheck(self._stream)
            start = self._range[0] or Fraction(0)
            self._encoder = FrameEncoder(path, info, self._coded, self._stream, self._tick, start, alpha)
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
        """Encode the next frames.

        Raises:
            OutputError: the file cannot be written.
        """
        self._mux_encoded(self._encoder.encode(batch))

    @property
    def codec(self) -> str:
        """FFmpeg's name of the format of the video packets."""
        return self._stream.codec_context.codec.canonical_name

    @property
    def parameters(self) -> str:
        """Digest of what a decoder needs to know of the encoder."""
        return parameters(self._stream)

    def write_encoded(self, packets: Iterable[EncodedPacket]) -> None:
        """Write packets that encoders of the same settings have made, in decoding order, in place of frames.

        Raises:
            OutputError: the file cannot be written.
        """
        self._copies_packets = True
        for encoded in packets:
            self._encoder.stamps.append(encoded.pts)
            packet = encoded.packet(self._tick)
            packet.stream = self._stream
            self._mux(packet)

    @property
    def expected(self) -> ExpectedContents:
        """The contents that the file should have."""
        times = tuple(stamp * self._tick for stamp in sorted(self._encoder.stamps))
        problems = {} if self._copier is None else dict(self._copier.problems)
        return ExpectedContents(
            self._file.location, self._written, times, self._source, *self._range, self._reading,
            copy_problems=problems, packets=self._decoded_packets(),
        )  # fmt: skip

    def _decoded_packets(self) -> tuple[bytes, ...]:
        """Return the digests of all packets if each was decoded to one frame at its time, else none."""
        stamps = self._encoder.stamps
        if self._check is None or len(self._check.digests) != len(stamps) or self._check.fault(stamps) is not None:
            return ()
        return tuple(self._check.digests)

    def _add_streams(self, container: str) -> VideoStream:
        def add() -> VideoStream:
            return add_video_stream(self._output, self._coded, self._encoding, self._tick)

        return add() if self._copier is None else self._copier.add_streams(self._output, container, add)

    def _mux_encoded(self, packets: Iterable[Packet[VideoStream]]) -> None:
        for packet in packets:
            if self._check is not None:
                self._check.add(packet)
            self._mux(packet)

    def _mux(self, packet: Packet[VideoStream]) -> None:
        try:
            if self._copier is not None:
                assert packet.dts is not None
                self._copier.write_until(self._output, packet.dts * packet.time_base)
            self._output.mux(packet)
        except av.FFmpegError as error:
            raise _unwritable(self.path, error) from None

    def _finish(self) -> None:
        self._encoder.check_frames()
        if not self._copies_packets:
            self._mux_encoded(self._encoder.flush())
        try:
            if self._copier is not None:
                self._copier.write_until(self._output, None)
                self._copier.close()
                for name, n in self._copier.problems.items():
                    if name != CLOCK_JUMPS:
                        self.notes.info("copied_stream_repaired", f"copied streams: {n} {name.replace('_', ' ')}")
            self._output.close()
        except (av.FFmpegError, OSError) as error:
            raise _unwritable(self.path, error) from None
        if self._check is not None:
            self._check.finish()
        if self._is_own:
            self._file.commit()

    def _abandon(self) -> None:
        """Close everything and delete the unfinished file."""
        if self._check is not None:
            self._check.cancel()
        if self._copier is not None:
            self._copier.close()
        output = getattr(self, "_output", None)
        if output is not None:
            with suppress(av.FFmpegError, OSError):
                output.close()
        self._file.discard()


def _unwritable(path: Path, error: av.FFmpegError | OSError) -> OutputError:
    remedy = "check the disk" if is_of_disk(error) else "choose another container, such as .mkv"
    return OutputError(f"{path} cannot be written ({reason(error)}): {remedy}")


def _make_copier(
    source: Path | None,
    start: Fraction | None,
    end: Fraction | None,
    slow: SlowMotion | None,
    reading: Reading | None,
) -> StreamCopier | None:
    if source is None:
        return None
    if slow is None:
        return StreamCopier(source, start, end, reading)
    return SlowMotionCopier(source, start, end, slow, reading)


def _create(part: Path, container: str, options: dict[str, str]) -> OutputContainer:
    return av.open(f"file:{part}", "w", format=container, container_options=options)


def _movie_timescale(container: str, tick: Fraction) -> dict[str, str]:
    """Return the option for exact stream start times in MP4.

    By default MP4 stores them in milliseconds.
    """
    ticks = lcm(1000, tick.denominator)
    return {"movie_timescale": str(ticks)} if container in ("mp4", "mov") and ticks < MOST_TICKS else {}
