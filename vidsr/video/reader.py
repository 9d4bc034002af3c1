"""Read a clip as batches of planes with exact code values and exact times."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import chain, count, islice
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import av
import numpy as np
import torch
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.errors import InputError, Notes
from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.options.choices import Deinterlace
from vidsr.options.image_sequence import is_sequence
from vidsr.options.source import Reading
from vidsr.video.deinterlace import Interlacing, deinterlaced, interlacing, inverse_telecine
from vidsr.video.demux import REST_LOST, begins_between_keyframes, packets, seek_to
from vidsr.video.formats import MATRICES, PRIMARIES, RANGES, TRANSFERS, number, planar_format
from vidsr.video.frame_times import repaired_times
from vidsr.video.nvidia import Nvdec
from vidsr.video.planes import ONE_THREAD, alpha_plane, hides_alpha, is_opaque, stack_planes
from vidsr.video.probe import to_file_clock, video_info, video_stream, video_tracks
from vidsr.video.source import PIPE_REMEDY, is_pipe, open_source, readable, standard_input
from vidsr.video.streams import other_streams, stream_info
from vidsr.video.truncation import is_truncated

# Colour tags of a frame, apart from its range, with FFmpeg's names of their values
COLOR_TAGS = {"colorspace": MATRICES, "color_primaries": PRIMARIES, "color_trc": TRANSFERS}


def alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """Return the decoder that reads the alpha of ``stream``; None where the usual one does."""
    if not hides_alpha(stream):
        return None
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}[stream.codec_context.codec.canonical_name]
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder


class VideoReader:
    """Frames of a clip or of a part of it, in order.

    The part begins at ``start`` (inclusive), ends at ``end`` (exclusive), and has at most ``frames`` frames.

    ``start`` and ``end`` are seconds from where playback begins, as in players. Frame times are on the clip's own
    clock: the first frame of a clip that starts at 1.4 s has the time 1.4 s. ``deinterlace`` selects whether interlaced
    frames become progressive: auto (one for each field, and film in 3:2 pulldown its own frames), frames (one for one),
    off, or force (one for one, of all clips). The first frame has the number ``first``. Batches hold
    integers. With ``exact_rgb``, RGB frames
    become float32 code values that are not rounded. With ``only_alpha``, luma is the alpha of the frames, 0 to 255, and
    there is no chroma. Use the reader as a context manager.

    Raises:
        InputError: the file is not a clip, is empty, or has an unsupported format.
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
        first: int = 0,
        only_alpha: bool = False,
    ) -> None:
        self.path = path
        self.notes = Notes() if notes is None else notes
        self._asked, self._frames, self._threads = (start, end), frames, threads
        self._first_number = first
        self._reading, self._exact_rgb = reading or Reading(), exact_rgb
        self._only_alpha = only_alpha
        self.keeps_alpha = only_alpha  # otherwise a note tells once that transparency is left out
        self.truncated: str | None = None  # message about a clip that ends early, once read
        self.deinterlaces = False  # whether each frame depends on its neighbours
        self.rate_change = Fraction(1)  # frames per frame of the file: 2 for fields, 4/5 for film in 3:2 pulldown
        self._problems: Counter[str] = Counter()
        self._delay = Fraction(0)  # of the frames, seconds; so that none that is played comes before zero
        self._read_to = 0  # file offset of the end of the last packet
        self._gpu = Nvdec(self._reading.hwaccel == "cuda", self.notes)
        with readable(path):
            self._open(seek=start is not None and not is_pipe(path))
        try:
            self._video_frames = self._progressive(deinterlace)
        except BaseException:
            self.close()
            raise

    def _open(self, seek: bool) -> None:
        self._container = open_source(self.path, self._reading, self._gpu.hwaccel)
        try:
            first = self._decode_first(seek)
            if seek and self._is_past_start(first):
                return self._reopen(seek=False)
            if first is None:
                self._raise_without_frame()
            if not self._gpu.is_exact(self._stream, first):
                if is_pipe(self.path):
                    raise InputError(f"{self.path} is read only once, and {self.notes.texts[-1]}: leave out --hwaccel")
                return self._reopen(seek)
            self._first, self._format = first, planar_format(first)
            info = video_info(self._container, self._stream, first)
            self.info = replace(info, frames=self._estimated_frames(info))
            self._refuse_hidden_alpha()
            self._note_source()
        except BaseException:
            self._container.close()
            raise

    def _reopen(self, seek: bool) -> None:
        self._container.close()
        self._problems.clear()
        self._open(seek)

    def _decode_first(self, seek: bool) -> VideoFrame | None:
        """Start decoding, at the keyframe before the start if ``seek``; return the first frame."""
        self._stream = video_stream(self._container, self.path, self._reading)
        self._stream.codec_context.thread_type = "AUTO"
        self._stream.codec_context.thread_count = self._threads
        self._alpha_decoder = alpha_decoder(self._stream) if self._only_alpha else None
        self._start, self._end = to_file_clock(self._container, *self._asked)
        if seek and self._start is not None and not seek_to(self._container, self._start, self._stream):
            return None  # `_open` opens the file again, and reads it from its beginning
        self._is_avi = self._container.format.name == "avi"
        self._decoded = self._decode()
        first = next(self._decoded, None)
        if first is not None and begins_between_keyframes(self._container, self._stream):
            self._delay = -min(self._time(first) or Fraction(0), Fraction(0))
        return first

    def _raise_without_frame(self) -> NoReturn:
        source = standard_input(self._container)
        if source is not None and source.failure is not None:
            raise source.failure
        remedy = PIPE_REMEDY if is_pipe(self.path) else "check that it plays"
        raise InputError(f"{self.path} has no frame that can be decoded: {remedy}")

    def _note_source(self) -> None:
        """Note an assumed rate of an image sequence, a chosen track, and the streams that a pipe cannot carry."""
        if is_sequence(self.path) and self._reading.rate is None:
            text = f"image sequence read at {self._reading.sequence_rate} fps: --input-fps sets another rate"
            self.notes.info("sequence_rate_assumed", text)
        if self._reading.video_track is None and len(tracks := video_tracks(self._container)) > 1:
            text = f"{len(tracks)} video tracks: enhancing {stream_info(self._stream)} (--video-track selects another)"
            self.notes.info("video_track_chosen", text)
        if is_pipe(self.path):
            for stream in other_streams(self._container, self._stream):
                self.notes.info("stream_left_out", f"left out: {stream_info(stream)} (a pipe is read only once)")

    def _estimated_frames(self, info: VideoInfo) -> int | None:
        """Estimate the number of frames in the requested range from the headers."""
        start, end = self._asked
        frames = info.frames
        if frames is not None and info.duration and (start or end):
            first, last = start or Fraction(0), min(end or info.duration, info.duration)
            frames = max(1, round(frames * (last - first) / info.duration))
        return self._frames if frames is None else min(frames, self._frames or frames)

    def _progressive(self, deinterlace: Deinterlace) -> Iterator[VideoFrame]:
        """All frames, deinterlaced if necessary."""
        frames: Iterator[VideoFrame] = map(self._checked, count(), chain([self._first], self._decoded))
        found = Interlacing("progressive")
        if deinterlace != "off":
            found = interlacing(self.path, self.info, self._reading)
        if found.telecine and deinterlace == "auto" and self.info.fps:
            text = "film in 3:2 pulldown: brought back to its frames (--deinterlace frames keeps the rate)"
            self._change_rate(Fraction(4, 5), text)
            self.info = replace(self.info, alpha=False)  # which the filter that matches fields leaves out
            return inverse_telecine(frames, found.order, self._file_rate)
        order = "top" if deinterlace == "force" and found.order == "progressive" else found.order
        if order == "progressive":
            return frames
        text = f"interlaced, {order} field first: deinterlaced by bwdif (--deinterlace off keeps the fields)"
        if deinterlace != "auto" or not self.info.fps:
            self._change_rate(Fraction(1), text)
            return deinterlaced(frames, order)
        text = f"interlaced, {order} field first: a frame for each field by bwdif (--deinterlace frames: for both)"
        self._change_rate(Fraction(2), text)
        return deinterlaced(frames, order, fields=True)

    def _change_rate(self, factor: Fraction, text: str) -> None:
        """Note that frames are made progressive, ``factor`` for each of the file, and adapt the properties."""
        info = self.info
        assert info.fps is not None
        self._file_rate, self.rate_change, self.deinterlaces = info.fps, factor, True
        frames = None if info.frames is None else math.ceil(info.frames * factor)
        self.info = replace(
            info,
            field_order="progressive",
            fps=info.fps * factor,
            frames=frames if frames is None or self._frames is None else min(frames, self._frames),
            time_base=info.time_base if factor == 1 or info.time_base is None else info.time_base / 2,
        )
        self.notes.info("deinterlaced", text)

    def _is_past_start(self, first: VideoFrame | None) -> bool:
        """Whether the seek to the start went too far, as in some MPEG streams."""
        time = None if first is None else self._time(first)
        return time is None or (self._start is not None and time > self._start)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._decoded.close()
        self._container.close()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Context whose end also ends a read, on any thread, that waits for a pipe."""
        try:
            yield
        finally:
            if (source := standard_input(self._container)) is not None:
                source.stop()

    @property
    def problems(self) -> dict[str, int]:
        """Problems of the clip found so far, and how often each occurred."""
        return dict(self._problems)

    def batches(self, n: int) -> Iterator[FrameBatch]:
        """The frames in batches of ``n``, the last one shorter. Call it once.

        Raises:
            InputError: the frame size changes within the clip, or the range has no frames.
        """
        if hides_alpha(self._stream):
            self._note_dropped()
        timed = self._in_range()
        done = 0
        with readable(self.path):
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
        step = 1 / (self.info.fps or Fraction(25))
        # in AVI the last frames never have a time
        for frame, last in repaired_times(self._video_frames, self._time, step, self._problems, self._is_avi):
            if self._end is not None and last >= self._end:
                return
            if self._start is None or last >= self._start:
                count += 1
                yield frame, last
            if self._frames is not None and count >= self._frames:
                return
        if last is not None:
            self._check_end(last)

    def _check_end(self, last: Fraction) -> None:
        """Set ``truncated`` if the clip should continue after its ``last`` frame."""
        step = 1 / (self.info.fps or Fraction(25))
        if REST_LOST in self._problems or is_truncated(self._container, self._stream, last + step, step, self._read_to):
            self.truncated = f"{self.path} is truncated: the last readable frame is at {float(last):.3f} s"

    def _time(self, frame: VideoFrame) -> Fraction | None:
        base = frame.time_base or self._stream.time_base
        stamp = frame.pts if frame.pts is not None or self._is_avi else frame.dts
        return None if stamp is None or base is None else stamp * base + self._delay

    def _batch(self, taken: list[tuple[VideoFrame, Fraction]], done: int) -> FrameBatch:
        frames, times = zip(*taken, strict=True)
        if self._only_alpha:
            y, uv = torch.from_numpy(np.stack([alpha_plane(frame) for frame in frames]))[:, None], None
        else:
            y, uv = stack_planes(frames, self.info, self._format, self._exact_rgb)
        number = self._first_number + done
        return FrameBatch(y, uv, times, tuple(Origin(number + i) for i in range(len(taken))))

    def _checked(self, number: int, frame: VideoFrame) -> VideoFrame:
        """Return the frame after checking that its size and format match those of the first one."""
        at = f"frame {number}, {float(self._time(frame) or 0):.3f} s"
        if (frame.width, frame.height) != (self.info.width, self.info.height):
            raise InputError(
                f"{self.path} changes from {self.info.width}x{self.info.height} to {frame.width}x{frame.height} at "
                f"{at}: cut it there, with --end and --start"
            )
        if frame.format.name != self._first.format.name:
            first, found = self._format, planar_format(frame)
            if found.depth > first.depth or (first.chroma == "gray" and found.chroma != "gray"):
                raise InputError(
                    f"{self.path} changes from {self._first.format.name} to {frame.format.name} at {at}: "
                    "cut it there, or convert the earlier frames to that format"
                )
        frame = self._in_first_color(frame)
        if (self._reading.alpha == "refuse" or not self.keeps_alpha) and not is_opaque(frame):
            if self._reading.alpha == "refuse":
                raise InputError(f"{self.path} is partly transparent ({at}): --alpha auto or drop allows it")
            self._note_dropped()
        return frame

    def _in_first_color(self, frame: VideoFrame) -> VideoFrame:
        """Return the frame in the code range of the first one.

        Other changed colour tags are counted: the frame is read with the tags of the first one.
        """
        if self._format.is_rgb or frame.format.is_rgb:
            return frame
        for attribute, names in COLOR_TAGS.items():
            tags = {names.get(getattr(one, attribute)) for one in (self._first, frame)}
            if len(tags - {None}) == 2:
                self._problems["frames_with_other_color_tags"] += 1
                break
        wanted, found = self.info.color.range, planar_format(frame).range or RANGES.get(frame.color_range)
        if wanted is None or found is None or wanted == found:
            return frame
        self._problems["frames_of_another_range"] += 1
        converted = frame.reformat(
            format=frame.format.name.replace("yuvj", "yuv"),
            src_color_range=number(RANGES, found),
            dst_color_range=number(RANGES, wanted),
            threads=ONE_THREAD,
        )
        converted.dts = frame.dts
        return converted

    def _refuse_hidden_alpha(self) -> None:
        if self._reading.alpha == "refuse" and hides_alpha(self._stream):
            raise InputError(f"{self.path} has an alpha channel: --alpha auto or drop allows it")

    def _note_dropped(self) -> None:
        """Note once that transparency is left out, unless it is kept."""
        if not self.keeps_alpha:
            text = "left out: transparency" + (
                " (an output in .webm keeps it)" if self._reading.alpha == "auto" else ""
            )
            self.notes.info("alpha_dropped", text)
            self.keeps_alpha = True

    def _decode(self) -> Generator[VideoFrame]:
        decode = self._stream.decode if self._alpha_decoder is None else self._alpha_decoder.decode
        for packet in packets(self._container, [self._stream], self._problems):
            if packet.is_corrupt:
                self._problems["damaged_packets"] += 1
            if packet.size and packet.pos is not None:
                self._read_to = packet.pos + packet.size
            try:
                frames = decode(packet)
            except av.FFmpegError:
                self._problems["undecodable_packets_skipped"] += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._problems["damaged_frames_concealed"] += 1
                if self._is_avi:  # AVI stores no presentation times, and FFmpeg guesses wrongly for B-frames
                    delay = self._stream.codec_context.reorder_depth
                    frame.pts = None if frame.dts is None else frame.dts - delay
                yield frame
