"""A clip as batches of planes, exact to the code value and to the tick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import chain, count, islice
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.errors import InputError, Notes
from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.options.choices import Deinterlace
from vidsr.options.image_sequence import is_sequence
from vidsr.options.source import Reading
from vidsr.video.deinterlace import deinterlaced, field_order
from vidsr.video.demux import REST_LOST, packets
from vidsr.video.formats import planar_format
from vidsr.video.nvidia import Nvdec
from vidsr.video.planes import hides_alpha, is_opaque, set_planes
from vidsr.video.probe import on_clock, video_info, video_stream
from vidsr.video.source import PIPE_REMEDY, is_pipe, open_source, standard_input
from vidsr.video.stream_copy import others
from vidsr.video.streams import stream_info
from vidsr.video.truncation import is_truncated


class VideoReader:
    """Frames of a clip from ``start`` (inclusive) to ``end`` (exclusive), at most ``frames`` of them, in order.

    ``start`` and ``end`` are seconds from where the clip begins to play, as players count. Times of frames are those
    of the clip's own clock: one that starts at 1.4 s gives 1.4 s. Interlaced pictures are made
    progressive, one for each (``deinterlace`` auto), never (off), or whatever the clip seems to be (force). Batches
    hold integers, or with ``exact_rgb`` the float32 code values that RGB pictures become, not rounded. Use it as a
    context manager.

    Raises:
        InputError: the file is no clip, is empty, or holds a picture that is not supported.
    """

    info: VideoInfo

    def __init__(
        self,
        path: Path,
        start: Fraction | None = None,
        end: Fraction | None = None,
        frames: int | None = None,
        threads: int = 0,
        deinterlace: Deinterlace = "auto",
        reading: Reading | None = None,
        exact_rgb: bool = False,
        notes: Notes | None = None,
    ) -> None:
        self.path = path
        self.notes = Notes() if notes is None else notes
        self._asked, self._frames, self._threads = (start, end), frames, threads
        self._reading, self._exact_rgb = reading or Reading(), exact_rgb
        self.truncated: str | None = None  # once it was read: what is to be said of a clip that lacks its end
        self._problems: Counter[str] = Counter()
        self._read_to = 0  # bytes of the file
        self._gpu = Nvdec(self._reading.hwaccel == "cuda", self.notes)
        self._open(seek=start is not None and not is_pipe(path))
        try:
            self._pictures = self._progressive(deinterlace)
        except BaseException:
            self.close()
            raise

    def _open(self, seek: bool) -> None:
        self._container = open_source(self.path, self._reading, self._gpu.hwaccel)
        try:
            self._stream = _prepared(video_stream(self._container, self.path), self._threads)
            self._start, self._end = on_clock(self._container, *self._asked)
            if seek and self._start is not None:
                _seek(self._container, self._stream, self._start)
            self._is_avi = self._container.format.name == "avi"
            self._decoded = self._decode()
            first = next(self._decoded, None)
            if seek and self._is_past_start(first):
                self._container.close()
                self._problems.clear()
                return self._open(seek=False)
            source = standard_input(self._container)
            if source is not None and source.failure is not None:
                raise source.failure
            if first is None:
                remedy = PIPE_REMEDY if is_pipe(self.path) else "check that it plays"
                raise InputError(f"{self.path} has no frame that can be decoded: {remedy}")
            if not self._gpu.gives_codes(self._stream, first):
                if is_pipe(self.path):
                    raise InputError(f"{self.path} is read only once, and {self.notes.texts[-1]}: leave out --hwaccel")
                self._container.close()
                self._problems.clear()
                return self._open(seek)
            self._first = first
            self._kept = planar_format(first)
            info = video_info(self._container, self._stream, first)
            self.info = replace(info, frames=self._expected(info))
            self._note_alpha(first)
            if is_sequence(self.path) and self._reading.rate is None:
                self.notes.info(
                    "sequence_rate_assumed",
                    f"taken as {self._reading.sequence_rate} pictures a second: --input-fps says another",
                )
            if is_pipe(self.path):
                beside = map(stream_info, others(self._container, self._stream))
                for stream in beside:
                    self.notes.info("stream_left_out", f"left out, a pipe is read only once: {stream}")
        except BaseException:
            self._container.close()
            raise

    def _expected(self, info: VideoInfo) -> int | None:
        """How many frames of the clip lie in the range asked for, as far as its headers tell."""
        start, end = self._asked
        frames = info.frames
        if frames is not None and info.duration and (start or end):
            first, last = start or Fraction(0), min(end or info.duration, info.duration)
            frames = max(1, round(frames * (last - first) / info.duration))
        return self._frames if frames is None else min(frames, self._frames or frames)

    def _progressive(self, deinterlace: Deinterlace) -> Iterator[VideoFrame]:
        """All frames, made progressive if they are not."""
        frames: Iterator[VideoFrame] = map(self._checked, count(), chain([self._first], self._decoded))
        order = "progressive" if deinterlace == "off" else field_order(self.path, self.info, self._reading)
        if deinterlace == "force" and order == "progressive":
            order = "top"
        if order == "progressive":
            return frames
        self.info = replace(self.info, field_order="progressive")
        self.notes.info(
            "deinterlaced",
            f"interlaced, {order} field first: made progressive by bwdif (--deinterlace off leaves it)",
        )
        return deinterlaced(frames, order)

    def _is_past_start(self, first: VideoFrame | None) -> bool:
        """Whether a seek to the start went past it, as it does in some MPEG streams."""
        time = None if first is None else self._time(first)
        return time is None or (self._start is not None and time > self._start)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._decoded.close()
        self._container.close()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Leaving the block ends the waiting for a pipe that sends nothing, on whatever thread."""
        try:
            yield
        finally:
            if (source := standard_input(self._container)) is not None:
                source.stop()

    @property
    def problems(self) -> dict[str, int]:
        """What was wrong with the clip and how often, so far; empty when nothing was."""
        return dict(self._problems)

    def batches(self, n: int) -> Iterator[FrameBatch]:
        """The frames in batches of ``n``, the last one short; to be called once.

        Raises:
            InputError: the picture changes its size on the way, or no frame lies in the range.
        """
        timed = self._in_range()
        done = 0
        while taken := list(islice(timed, n)):
            yield self._batch(taken, done)
            done += len(taken)
        if not done:
            start, end = self._asked
            asked = f"{float(start or 0):g} s to {'its end' if end is None else f'{float(end):g} s'}"
            raise InputError(f"{self.path} has no frame from {asked}: choose another --start or --end")

    def _in_range(self) -> Iterator[tuple[VideoFrame, Fraction]]:
        count = 0
        last: Fraction | None = None
        for frame in self._pictures:
            last = time = self._repaired(frame, last)
            if (self._end is not None and time >= self._end) or (self._frames is not None and count >= self._frames):
                return
            if self._start is None or time >= self._start:
                count += 1
                yield frame, time
        if last is not None:
            self._look_at_end(last)

    def _look_at_end(self, last: Fraction) -> None:
        """Notes whether the clip breaks off; its ``last`` frame was read."""
        step = 1 / (self.info.fps or Fraction(25))
        if REST_LOST in self._problems or is_truncated(self._container, self._stream, last + step, step, self._read_to):
            self.truncated = (
                f"{self.path} breaks off: the last picture that could be read is that of {float(last):.3f} s"
            )

    def _repaired(self, frame: VideoFrame, last: Fraction | None) -> Fraction:
        """The frame's time, later than ``last``."""
        time = self._time(frame)
        step = 1 / (self.info.fps or Fraction(25))
        if time is None:
            if not self._is_avi:  # where the last frames never have one
                self._problems["frames without a time, given the next one"] += 1
            return last + step if last is not None else Fraction(0)
        if last is not None and time <= last:
            self._problems["frames not later than the one before, moved behind it"] += 1
            return last + step / 2  # half a frame, so that a right time that follows stays in order
        return time

    def _time(self, frame: VideoFrame) -> Fraction | None:
        base = frame.time_base or self._stream.time_base
        stamp = frame.pts if frame.pts is not None or self._is_avi else frame.dts
        return None if stamp is None or base is None else stamp * base

    def _batch(self, taken: list[tuple[VideoFrame, Fraction]], done: int) -> FrameBatch:
        info = self.info
        width, height = info.chroma_size
        dtype = torch.float32 if self._kept.is_rgb and self._exact_rgb else info.dtype
        y = torch.empty((len(taken), 1, info.height, info.width), dtype=dtype)
        uv = None if info.chroma == "gray" else torch.empty((len(taken), 2, height, width), dtype=dtype)
        for i, (frame, _) in enumerate(taken):
            set_planes(y[i, 0], None if uv is None else uv[i], frame, self._kept)
        return FrameBatch(y, uv, tuple(time for _, time in taken), tuple(Origin(done + i) for i in range(len(taken))))

    def _checked(self, number: int, frame: VideoFrame) -> VideoFrame:
        """The frame, if it is what the first one was like."""
        at = f"frame {number}, {float(self._time(frame) or 0):.3f} s"
        if (frame.width, frame.height) != (self.info.width, self.info.height):
            raise InputError(
                f"{self.path} changes from {self.info.width}x{self.info.height} to {frame.width}x{frame.height} at "
                f"{at}: cut it there, with --end and --start"
            )
        if frame.format.name != self._first.format.name:
            kept, found = self._kept, planar_format(frame)
            if found.depth > kept.depth or (kept.chroma == "gray" and found.chroma != "gray"):
                raise InputError(
                    f"{self.path} changes from {self._first.format.name} to {frame.format.name} at {at}: "
                    "cut it there, or convert the pictures before to that format"
                )
        if self._reading.alpha == "refuse" and not is_opaque(frame):
            raise InputError(f"{self.path} is transparent in parts ({at}), which would be lost: --alpha drop allows it")
        return frame

    def _note_alpha(self, first: VideoFrame) -> None:
        """Refuses or tells of transparency that is seen at once; later frames are looked at as they come."""
        if hides_alpha(self._stream):
            if self._reading.alpha == "refuse":
                raise InputError(f"{self.path} has an alpha channel, which would be lost: --alpha drop allows it")
        elif is_opaque(self._checked(0, first)):
            return
        self.notes.info("alpha_dropped", "left out, as asked by --alpha drop: the transparency of the picture")

    def _decode(self) -> Generator[VideoFrame]:
        for packet in packets(self._container, [self._stream], self._problems):
            if packet.is_corrupt:
                self._problems["damaged packets"] += 1
            if packet.size and packet.pos is not None:
                self._read_to = packet.pos + packet.size
            try:
                frames = self._stream.decode(packet)
            except av.FFmpegError:
                self._problems["packets that do not decode, skipped"] += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._problems["damaged frames, concealed by the decoder"] += 1
                if self._is_avi:  # no presentation times are stored, and FFmpeg's guess is wrong for reordered frames
                    delay = self._stream.codec_context.reorder_depth
                    frame.pts = None if frame.dts is None else frame.dts - delay
                yield frame


def _prepared(stream: VideoStream, threads: int) -> VideoStream:
    stream.codec_context.thread_type = "AUTO"
    stream.codec_context.thread_count = threads
    return stream


def _seek(container: InputContainer, stream: VideoStream, start: Fraction) -> None:
    """To the last keyframe not after ``start``; a file that cannot seek is read from its beginning."""
    assert stream.time_base is not None
    try:
        container.seek(int(start / stream.time_base), stream=stream)
    except av.FFmpegError:
        container.seek(0)
