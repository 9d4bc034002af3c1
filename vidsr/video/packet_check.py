"""Decode the packets of an encoder while it makes the next ones, so that the finished file need not be decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import av
from av.codec.context import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidsr.errors import VerifyError
from vidsr.runtime.concurrency import Behind
from vidsr.runtime.process import processors
from vidsr.video.payload import payload_digest

DECODERS = {"av1": "libdav1d"}  # where the decoder of the format's name needs special hardware
WAITING = 64  # packets
LARGE_FRAME = 1920 * 1088  # samples; the decoder holds fewer frames that are larger
MOST_THREADS = 16  # FFmpeg's own limit


class PacketCheck:
    """Decodes the packets of the encoder of ``stream`` in their order, on a thread of its own.

    Leave the thread by `finish`, or by `cancel` without waiting for the packets that are left.

    Raises:
        VerifyError: FFmpeg has no decoder for them.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._codec = stream.codec_context.codec.canonical_name
        self._decoder = _decoder(stream)
        self._times = Counter[int | None]()  # frames at each time, in ticks
        self._failed = 0
        self._thread = Behind("packet-check", WAITING)
        self.digests: list[bytes] = []  # of every packet, for the comparison with those of a file

    def add(self, packet: Packet[VideoStream]) -> None:
        """Decode a packet in the background; it is copied before this returns."""
        copy: Packet[Any] = Packet(bytes(packet))
        copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
        copy.is_keyframe = packet.is_keyframe
        self._thread.call(lambda: self._check(copy))

    def finish(self) -> None:
        """Decode what is left, and end the thread."""
        self._thread.call(lambda: self._decode(None))
        self._thread.finish()
        self._free()

    def cancel(self) -> None:
        """End the thread."""
        self._thread.cancel()
        self._free()

    def _free(self) -> None:
        vars(self).pop("_decoder", None)  # its frames; the digests are still asked for

    def fault(self, stamps: Iterable[int]) -> str | None:
        """Return how the decoded frames differ from those encoded at ``stamps``, in ticks; None if all are there."""
        if self._failed:
            return f"{self._failed} packets cannot be decoded"
        expected = Counter[int | None](stamps)
        if expected != self._times:
            return f"{(expected & self._times).total()} of {expected.total()} encoded frames are at their times"
        return None

    def _check(self, packet: Packet[Any]) -> None:
        self.digests.append(payload_digest(bytes(packet), self._codec, in_container=False))
        self._decode(packet)

    def _decode(self, packet: Packet[Any] | None) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            self._failed += 1
            return
        self._times.update(frame.pts for frame in frames if not frame.is_corrupt)


def set_up_decoder(context: VideoCodecContext) -> None:
    """Let the decoder of frames that are checked and not used take few threads and leave out what cannot fail.

    Large frames leave the number of threads to the decoder, because they need much memory. Threads wait for rows of the
    previous frames: the decoder's own choice, one more than the processors, leaves a third of two processors idle.
    Without the loop filter decoding takes a tenth less time.
    """
    small = context.width * context.height <= LARGE_FRAME
    context.thread_type = "AUTO"
    context.thread_count = min(5 * processors() // 2, MOST_THREADS) if small else 0
    context.options = {"skip_loop_filter": "all"}


def _decoder(stream: VideoStream) -> VideoCodecContext:
    encoder = stream.codec_context
    name = encoder.codec.canonical_name
    try:
        context = CodecContext.create(DECODERS.get(name, name), "r")
    except ValueError:
        raise VerifyError(f"no decoder for {name}") from None
    assert isinstance(context, VideoCodecContext)
    context.extradata = encoder.extradata
    context.width, context.height, context.pix_fmt = encoder.width, encoder.height, encoder.pix_fmt
    set_up_decoder(context)
    context.thread_count = max(1, processors() // 2)  # each holds a frame more, and the encoder needs processors too
    return context
