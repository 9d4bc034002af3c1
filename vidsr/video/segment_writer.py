"""Encode one segment of a clip: the packets that the whole clip's file will hold, without a container."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.codec.context import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidsr.errors import Notes, OutputError, VerifyError
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.video.containers import container_format
from vidsr.video.encoder import add_video_stream, open_encoder, tick
from vidsr.video.formats import nearest_format
from vidsr.video.frame_encoder import FrameEncoder
from vidsr.video.packet_file import PacketEntry, PacketFileWriter, read_packets

DECODERS = {"av1": "libdav1d"}  # where the decoder of the format's name needs special hardware


@dataclass(frozen=True)
class EncodedSegment:
    """What `SegmentWriter` wrote."""

    entries: tuple[PacketEntry, ...]
    digest: str  # SHA-256 of the packets' data
    parameters: str  # SHA-256 of the encoder's parameters, which all segments of a clip share


class SegmentWriter:
    """Encodes frames of ``info`` into ``part``, as a file ``path`` whose clock begins at ``start`` will hold them.

    The segment is a stream of its own: it begins with a keyframe, and no frame refers to another segment. ``encoded``
    is complete after the end of the block.

    Raises:
        OptionError: the encoder or one of its options is unknown.
        OutputError: the encoder does not start, or the file cannot be written.
    """

    def __init__(self, part: Path, path: Path, info: VideoInfo, encoding: Encoding, start: Fraction) -> None:
        self.path = path
        self.expected = None
        self._part = part
        self._coded = nearest_format(info, encoding, Notes())
        self._tick = tick(info)
        # The container decides on parameters of the encoder. This one stays empty.
        self._container = av.open(io.BytesIO(), "w", format=container_format(path))
        try:
            self._stream = add_video_stream(self._container, self._coded, encoding, self._tick)
            open_encoder(self._stream, encoding)
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
            with self._named_errors():
                self._packets.add(packet)

    @property
    def encoded(self) -> EncodedSegment:
        """Packets and parameters of the segment."""
        return EncodedSegment(tuple(self._packets.entries), self._packets.digest, parameters(self._stream))

    def verify(self) -> None:
        """Decode every frame and compare the times.

        Raises:
            VerifyError: a frame is missing, damaged or at another time.
        """
        encoded = self.encoded
        context = _decoder(self._stream)
        stamps: list[int | None] = []
        packets = (one.packet(self._tick) for one in read_packets(self._part, encoded.entries, encoded.digest))
        for packet in chain(packets, [None]):
            try:
                frames = context.decode(packet)
            except av.FFmpegError:
                raise VerifyError(
                    f"{self.path}: a frame that was encoded cannot be decoded: use another --codec"
                ) from None
            stamps += [frame.pts for frame in frames if not frame.is_corrupt]
        if Counter(stamps) != Counter(self._encoder.stamps):
            raise VerifyError(
                f"{self.path}: {len(stamps)} of {len(self._encoder.stamps)} encoded frames are at their times: "
                "use another --codec"
            )

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
        with suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()


def parameters(stream: VideoStream) -> str:
    """Return the digest of what a decoder needs to know of the encoder of ``stream``."""
    context = stream.codec_context
    facts = (context.name, context.width, context.height, context.pix_fmt, context.time_base, context.extradata)
    return sha256(repr(facts).encode()).hexdigest()


def _decoder(stream: VideoStream) -> VideoCodecContext:
    encoder = stream.codec_context
    name = encoder.codec.canonical_name
    context = CodecContext.create(DECODERS.get(name, name), "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata = encoder.extradata
    context.width, context.height, context.pix_fmt = encoder.width, encoder.height, encoder.pix_fmt
    context.thread_type = "AUTO"
    context.thread_count = 0
    context.options = {"skip_loop_filter": "all"}  # cannot fail, and the frames are not used
    return context
