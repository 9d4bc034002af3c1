"""Whether a clip was read to its end, or breaks off: a download that stopped, a disk that was full, garbage."""

from __future__ import annotations

import re
from fractions import Fraction

from av.container import InputContainer
from av.video.stream import VideoStream

from vidsr.video.containers import IMAGES, Y4M
from vidsr.video.probe import MICROSECONDS

# Of other containers FFmpeg guesses it, by the file's size or its last packet.
TELL_THEIR_LENGTH = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", IMAGES)
SLACK_FRAMES, SLACK_SHARE = 4, Fraction(1, 50)  # by which headers are wrong of clips that are whole


def is_cut_short(container: InputContainer, stream: VideoStream, end: Fraction, step: Fraction, read_to: int) -> bool:
    """Whether there should be more of a picture that was read up to ``end`` (seconds on the clip's own clock).

    ``step``: of a frame, seconds. ``read_to``: bytes of the file up to the end of the last packet; y4m holds whole
    pictures only, so what is left is a part of one.
    """
    if container.format.name == Y4M:
        return 0 < read_to < container.size
    told = _told_end(container, stream)
    if told is None:
        return False
    slack = Fraction(0) if container.format.name == IMAGES else max(SLACK_FRAMES * step, SLACK_SHARE * told)
    return end < told - slack


def _told_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """When the picture ends as the header tells, on the clip's own clock; None where it does not."""
    if container.format.name not in TELL_THEIR_LENGTH or stream.time_base is None:
        return None
    if stream.duration:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    tags = [value for key, value in stream.metadata.items() if key.upper().startswith("DURATION")]
    clock = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tags[0].strip()) if tags else None
    if clock is None or not container.duration:
        return None
    hours, minutes, seconds = map(Fraction, clock.groups())
    return min(3600 * hours + 60 * minutes + seconds, Fraction(container.duration, MICROSECONDS))
