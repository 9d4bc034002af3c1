"""Encode batches of planes: frames for the encoder, their times in ticks, and packets with correct decoding times."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import torch
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.errors import OutputError
from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.video.alpha import AlphaPlanes
from vidsr.video.containers import container_format
from vidsr.video.encoder import file_tick, next_stamp, set_color
from vidsr.video.planes import empty_frame, fill_plane, plane_view
from vidsr.video.source import reason


class FrameEncoder:
    """Encodes frames of ``info`` on ``stream``, whose encoder takes them as ``coded``.

    The output's clock begins at ``start``; ``path`` is the file that errors name. ``alpha`` is encoded with the frames.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        coded: VideoInfo,
        stream: VideoStream,
        tick: Fraction,
        start: Fraction,
        alpha: AlphaPlanes | None = None,
    ) -> None:
        self._path = path
        self._info = info
        self._coded = coded
        self._stream = stream
        self._tick = tick
        self._file_tick = file_tick(container_format(path), tick)
        self._start = start
        self._alpha = alpha
        self.stamps = array("q")  # time of every frame so far, ticks
        self._decoded: int | None = None  # decoding time of the last packet, ticks

    def encode(self, batch: FrameBatch) -> Iterator[Packet[VideoStream]]:
        """Encode the next frames, rounded to integers, and yield the packets that are ready.

        Raises:
            OutputError: the encoder fails.
        """
        for i, time in enumerate(batch.times):
            uv = None if batch.uv is None else batch.uv[i]
            yield from self._encode(self._frame(batch.y[i, 0], uv, time, batch.origins[i]))

    def flush(self) -> Iterator[Packet[VideoStream]]:
        """Yield the packets that the encoder still holds.

        Raises:
            OutputError: there was no frame, or the encoder fails.
        """
        self.check_frames()
        yield from self._encode(None)

    def check_frames(self) -> None:
        """Refuse an output without a frame.

        Raises:
            OutputError: there was no frame.
        """
        if not self.stamps:
            raise OutputError(f"{self._path} would hold no frame: choose another --start or --end")

    def _frame(self, y: torch.Tensor, uv: torch.Tensor | None, time: Fraction, origin: Origin) -> VideoFrame:
        coded = self._coded
        # libswscale converts depth and chroma for the encoder, but treats grey as full range
        chroma = coded.chroma if uv is None else self._info.chroma
        info = replace(self._info, width=coded.width, height=coded.height, chroma=chroma)
        frame = empty_frame(info)
        fill_plane(frame, 0, info.depth, y.numpy())
        if uv is not None:
            fill_plane(frame, 1, info.depth, uv[0].numpy())
            fill_plane(frame, 2, info.depth, uv[1].numpy())
        elif chroma != "gray":
            for index in (1, 2):
                plane_view(frame, index, info.depth)[:] = 1 << (info.depth - 1)
        if self._alpha is not None:
            fill_plane(frame, 3, info.depth, self._alpha.at(origin))
        frame.pts = self._ticks(time)
        frame.time_base = self._tick
        set_color(frame, info)
        if info.fps is not None:
            frame.duration = round(1 / info.fps / self._tick)
        return frame

    def _ticks(self, time: Fraction) -> int:
        """Return the time in ticks, later than that of the previous frame. It is rounded here and nowhere else."""
        last = self.stamps[-1] if self.stamps else None
        self.stamps.append(next_stamp(time - self._start, last, self._tick, self._file_tick))
        return self.stamps[-1]

    def _encode(self, frame: VideoFrame | None) -> Iterator[Packet[VideoStream]]:
        try:
            packets = self._stream.encode(frame)
        except av.FFmpegError as error:
            raise OutputError(f"{self._path} cannot be encoded ({reason(error)}): choose another --codec") from None
        for packet in packets:
            self._repair_dts(packet)
            yield packet

    def _repair_dts(self, packet: Packet[VideoStream]) -> None:
        """Set a missing or wrong decoding time: x265 sets none in very short clips.

        A correct one is later than the previous one and not later than the presentation time. It is no further before
        the first frame than the last frame is after it.
        """
        assert packet.pts is not None
        earliest = 2 * self.stamps[0] - self.stamps[-1] if self._decoded is None else self._decoded + 1
        if packet.dts is None or not earliest <= packet.dts <= packet.pts:
            packet.dts = min(earliest, packet.pts)
        self._decoded = packet.dts
