"""Packets in file order, past unreadable places and clock jumps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

FAILED_READS = 100  # consecutive failures after which the rest of the file is given up
REST_LOST = "unreadable_rest"
LATE_STREAMS = "late_streams_left_out"
CLOCK_JUMPS = "timestamp_jumps_removed"
MICROSECONDS = 1_000_000
MOV = "mov,mp4,m4a,3gp,3g2,mj2"  # FFmpeg's name of MP4 and QuickTime files
RECORDING_FORMATS = ("mpegts", "mpeg")  # containers whose clock may be reset in the middle
MAX_GAP = 10  # seconds without audio and video; a longer gap means that the clock was reset
MAX_REORDERING = 10  # seconds between the times at which a packet is decoded and shown; more is a damaged time
MAX_STEP_BACK = Fraction(1, 10)  # seconds by which a stream may run back; smaller steps are repaired by the reader


def packets(
    container: InputContainer, streams: Sequence[Stream], problems: Counter[str] | None = None
) -> Iterator[Packet[Stream]]:
    """Packets of ``streams``, with an empty one for each at the end.

    A failed read is retried and counted in ``problems``. Jumps of a recording's clock are removed, which needs the
    packets of all streams of the file.
    """
    problems = Counter() if problems is None else problems
    clock = ContinuousClock(problems) if container.format.name in RECORDING_FORMATS else None
    wanted, read = {stream.index for stream in streams}, list(streams if clock is None else container.streams)
    failed = 0
    while failed < FAILED_READS:
        try:
            for packet in container.demux(read):
                if failed:
                    problems["unreadable_places_skipped"] += 1
                failed = 0
                if clock is not None:
                    clock.correct(packet)
                if packet.stream.index in wanted:
                    yield packet
            return
        except IndexError:  # from PyAV at the end of a file with streams that its header does not announce, as in FLV
            problems[LATE_STREAMS] += 1
            return
        except av.FFmpegError:
            failed += 1
    problems[REST_LOST] += 1


def seek_to(container: InputContainer, time: Fraction, stream: VideoStream | None = None) -> bool:
    """Seek to the last keyframe not after ``time``, of ``stream`` if given; return whether the file can do so.

    After a failure the position in the file is undefined: open the file again.
    """
    if stream is not None and begins_between_keyframes(container, stream):
        return False
    base = stream.time_base if stream is not None and stream.time_base is not None else Fraction(1, MICROSECONDS)
    try:
        container.seek(int(time / base), stream=stream)
    except av.FFmpegError:
        return False
    return True


def begins_between_keyframes(container: InputContainer, stream: VideoStream) -> bool:
    """Whether an edit list of MP4 cuts the stream where no keyframe comes before.

    FFmpeg then gives the first frames that are played times before zero.
    """
    if container.format.name != MOV or not len(stream.index_entries):
        return False
    first = stream.index_entries[0]
    return first.is_discard and not first.is_keyframe


class ContinuousClock:
    """Maps packet times of a recording to a clock without jumps, as ffmpeg does.

    Packets must come in file order.

    ``problems`` counts the jumps.
    """

    def __init__(self, problems: Counter[str]) -> None:
        self._problems = problems
        self._shifts = [Fraction(0)]  # all shifts of the clock, seconds; the last one is the current one
        self._ends: dict[int, Fraction] = {}  # end of the last packet of each audio and video stream

    def correct(self, packet: Packet[Stream]) -> None:
        """Shift the packet's times.

        A packet that lags behind a jump keeps the shift from before it.
        """
        if packet.dts is None:
            return
        time, tick = packet.dts * packet.time_base, packet.time_base
        if packet.stream.type in ("video", "audio"):
            if not self._is_continuous(time + self._shifts[-1], packet.stream.index):
                self._jump(time, packet.stream.index)
            duration = (packet.duration or 0) * tick
            self._ends[packet.stream.index] = time + self._shifts[-1] + duration
        ticks = round(self._shifts[-1] / tick)
        packet.dts += ticks
        if packet.pts is not None:
            packet.pts += ticks
            if abs(packet.pts - packet.dts) * tick > MAX_REORDERING:
                packet.pts = None  # the decoder then takes the time from the packet's place
                self._problems[CLOCK_JUMPS] += 1

    def _is_continuous(self, time: Fraction, stream: int) -> bool:
        """Whether ``time`` continues the packet's own stream and lies near the end of all streams."""
        latest = max(self._ends.values(), default=time)
        return self._ends.get(stream, time) - MAX_STEP_BACK <= time <= latest + MAX_GAP

    def _jump(self, time: Fraction, stream: int) -> None:
        """Make a shift current that fits a packet at ``time`` of the file's clock.

        It is an earlier shift, or else a new one.
        """
        known = next((shift for shift in reversed(self._shifts) if self._is_continuous(time + shift, stream)), None)
        if known is None:
            known = self._ends.get(stream, max(self._ends.values())) - time
            self._problems[CLOCK_JUMPS] += 1
        else:
            self._shifts.remove(known)
        self._shifts.append(known)
