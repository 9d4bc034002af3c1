"""Encode one segment of a clip: the packets that the whole clip's file will hold, without a container."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.packet import Packet
from av.video.stream import VideoStream

from vidsr.errors import Notes, OutputError, VerifyError
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.video.containers import container_format
from vidsr.video.encoder import add_video_stream, open_encoder, tick
from vidsr.video.formats import nearest_format
from vidsr.video.frame_encoder import FrameEncoder
from vidsr.video.packet_check import PacketCheck
from vidsr.video.packet_file import PacketEntry, PacketFileWriter, read_packets


@dataclass(frozen=True)
class EncodedSegment:
    """What `SegmentWriter` wrote."""

    entries: tuple[PacketEntry, ...]
    digest: str  # SHA-256 of the packets' data
    parameters: str  # SHA-256 of the encoder's parameters, which all segments of a clip share


class SegmentWriter:
    """Encodes frames of ``info`` into ``part``, as a file ``path`` whose clock begins at ``start`` will hold them.

    The segment is a stream of its own: it begins with a keyframe, and no frame refers to another segment. ``encoded``
    is complete after the end of the block. ``checked``: frames are decoded again on their way; else `verify` does it.

    Raises:
        OptionError: the encoder or one of its options is unknown.
        OutputError: the encoder does not start, or the file cannot be written.
    """

    def __init__(
        self, part: Path, path: Path, info: VideoInfo, encoding: Encoding, start: Fraction, checked: bool = True
    ) -> None:
        self.path = path
        self.expected = None
        self._part = part
        self._coded = nearest_format(info, encoding, Notes())
        self._tick = tick(info)
        self._check: PacketCheck | None = None
        # The container decides on parameters of the encoder. This one stays empty.
        self._container = av.open(io.BytesIO(), "w", format=container_format(path))
        try:
            self._stream = add_video_stream(self._container, self._coded, encoding, self._tick)
            open_encoder(self._stream, encoding)
            if checked:
                self._check = PacketCheck(self._stream)
            self._encoder = FrameEncoder(path, info, self._coded, self._stream, self._tick, start)
            self._file = part.open("wb")
        except BaseException:
            self._close()
            raise
        self._packets = PacketFileWriter(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._add(self._encoder.flush())
                if self._check is not None:
                    self._check.finish()
        finally:
            self._close()
            with self._named_errors():
                self._file.close()

    def write(self, batch: FrameBatch) -> None:
        """Encode the next frames.

        Raises:
            OutputError: the encoder fails.
        """
        self._add(self._encoder.encode(batch))

    def _add(self, packets: Iterator[Packet[VideoStream]]) -> None:
        for packet in packets:
            if self._check is not None:
                self._check.add(packet)
            with self._named_errors():
                self._packets.add(packet)

    @property
    def encoded(self) -> EncodedSegment:
        """Packets and parameters of the segment."""
        return EncodedSegment(tuple(self._packets.entries), self._packets.digest, parameters(self._stream))

    def verify(self) -> None:
        """Check that every frame decodes, at its time; decode the packets if that did not happen on their way.

        Raises:
            VerifyError: a frame is missing, damaged or at another time.
        """
        if self._check is None:
            encoded, self._check = self.encoded, PacketCheck(self._stream)
            for packet in read_packets(self._part, encoded.entries, encoded.digest):
                self._check.add(packet.packet(self._tick))
            self._check.finish()
        fault = self._check.fault(self._encoder.stamps)
        if fault is not None:
            raise VerifyError(f"{self.path}: {fault}: use another --codec")

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"{self._part.parent} cannot be written ({(error.strerror or '').lower()}): free some space, and run "
                "the same command again"
            ) from None

    def _close(self) -> None:
        if self._check is not None:
            self._check.cancel()
        with suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()


def parameters(stream: VideoStream) -> str:
    """Return the digest of what a decoder needs to know of the encoder of ``stream``."""
    context = stream.codec_context
    facts = (context.name, context.width, context.height, context.pix_fmt, context.time_base, context.extradata)
    return sha256(repr(facts).encode()).hexdigest()
