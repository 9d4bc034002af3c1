"""Animated WebP as a clip: OpenCV decodes its frames, and FFmpeg, which does not, reads them from memory."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from vidsr.errors import InputError

TICK = Fraction(1, 1000)  # the durations of frames are whole milliseconds
SHORTEST, USUAL = 10, 100  # milliseconds: browsers show frames of at most 10 ms for 100 ms


def as_clip(path: Path) -> BytesIO:
    """Return the frames of an animated WebP file as a QuickTime clip of PNG frames, without loss and at their times.

    Raises:
        InputError: the file is damaged.
    """
    try:
        done, animation = cv2.imreadanimation(str(path))
    except cv2.error:
        done = False
    if not done or not animation.frames:
        raise InputError(f"{path} cannot be decoded: check that a browser plays it")
    contents, time = BytesIO(), 0
    with av.open(contents, "w", format="mov") as clip:
        stream = clip.add_stream("png", rate=25)
        assert isinstance(stream, VideoStream)
        height, width = animation.frames[0].shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, "rgba"
        stream.time_base = stream.codec_context.time_base = TICK
        stream.codec_context.options = {"compression_level": "1"}
        for pixels, duration in zip(animation.frames, np.ravel(animation.durations), strict=True):
            rgba = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba")
            frame.pts, frame.time_base = time, TICK
            frame.duration = int(duration) if duration > SHORTEST else USUAL
            time += frame.duration
            clip.mux(stream.encode(frame))
        clip.mux(stream.encode(None))
    contents.seek(0)
    return contents
