"""Detect truncated clips: an interrupted download, a full disk, or garbage at the end."""

from __future__ import annotations

import re
from fractions import Fraction

from av.container import InputContainer
from av.video.stream import VideoStream

from vidsr.video.containers import IMAGES, Y4M
from vidsr.video.demux import MICROSECONDS, MOV

# For other containers FFmpeg estimates the duration from the file size or the last packet.
STORE_DURATION = (MOV, "matroska,webm", IMAGES)
SLACK_FRAMES, SLACK_SHARE = 4, Fraction(1, 50)  # errors of the header that complete clips have


def is_truncated(container: InputContainer, stream: VideoStream, end: Fraction, step: Fraction, read_to: int) -> bool:
    """Whether the video stream should continue after its last frame.

    ``end`` is the end of the last frame, in seconds on the clip's own clock.

    ``step`` is the duration of a frame in seconds. ``read_to`` is the file offset of the end of the last packet. y4m
    stores complete frames only, so any bytes after it are a part of one.
    """
    if container.format.name == Y4M:
        return 0 < read_to < container.size
    expected = _expected_end(container, stream)
    if expected is None or _is_read_whole(container, stream, read_to):
        return False
    slack = Fraction(0) if container.format.name == IMAGES else max(SLACK_FRAMES * step, SLACK_SHARE * expected)
    return end < expected - slack


def _is_read_whole(container: InputContainer, stream: VideoStream, read_to: int) -> bool:
    """Whether all frames that the index of an MP4 lists were read, whatever duration it states.

    An index that grows fragment by fragment lists only what was read: it proves nothing.
    """
    entries = stream.index_entries
    if container.format.name != MOV or not stream.frames or len(entries) != stream.frames:
        return False
    return read_to >= entries[-1].pos + entries[-1].size


def _expected_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the end of the video stream by the header; None if it has none.

    The time is on the clip's own clock.
    """
    if container.format.name not in STORE_DURATION or stream.time_base is None:
        return None
    if stream.duration:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    tags = [value for key, value in stream.metadata.items() if key.upper().startswith("DURATION")]
    clock = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tags[0].strip()) if tags else None
    if clock is None or not container.duration:
        return None
    hours, minutes, seconds = map(Fraction, clock.groups())
    return min(3600 * hours + 60 * minutes + seconds, Fraction(container.duration, MICROSECONDS))
