"""How to read a source: the facts that it does not state itself, and the decoder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from vidsr.errors import OptionError
from vidsr.options.choices import Alpha, Hwaccel
from vidsr.options.frame_rate import parse_rate
from vidsr.options.parse import shortened

MAX_PIXELS = 256_000_000  # of a source: 16000x16000. FFmpeg decodes at most 268 million pixels.
DEFAULT_SEQUENCE_RATE = Fraction(25)  # frames per second of an image sequence; FFmpeg's default too


@dataclass(frozen=True)
class RawFormat:
    """Size, pixel format and frame rate of planes without a header."""

    width: int
    height: int
    pix_fmt: str  # FFmpeg's name
    rate: Fraction

    @classmethod
    def parse(cls, text: str, flag: str = "--raw") -> RawFormat:
        """Return the format that ``text`` names, such as ``480x270:yuv420p:24000/1001``.

        Raises:
            OptionError: the text does not have this form.
        """
        match = re.fullmatch(r"(\d{1,6})[xX×](\d{1,6}):(\w+):([\d./]+)", text.strip())
        if match is None or not int(match[1]) or not int(match[2]):
            raise OptionError(
                f"{flag} {shortened(text)!r} is not SIZE:FORMAT:RATE: write it as 480x270:yuv420p:24000/1001"
            )
        return cls(int(match[1]), int(match[2]), match[3], parse_rate(match[4], flag))

    @property
    def demuxer_options(self) -> dict[str, str]:
        """Options of FFmpeg's rawvideo demuxer for this format."""
        size = f"{self.width}x{self.height}"
        return {"video_size": size, "pixel_format": self.pix_fmt, "framerate": str(self.rate)}


@dataclass(frozen=True)
class Reading:
    """How to read a source."""

    rate: Fraction | None = None  # frames per second of an image sequence; None is `DEFAULT_SEQUENCE_RATE`
    raw: RawFormat | None = None  # None: the source states its format
    alpha: Alpha = "auto"
    hwaccel: Hwaccel = "none"  # decoder of the enhanced frames; measurements of a source decode on the CPU
    video_track: int | None = None  # number of the video track, from 1, covers not counted; None is the players' choice
    max_pixels: int = MAX_PIXELS  # of a frame; a header that declares more is refused

    @property
    def sequence_rate(self) -> Fraction:
        """Frames per second of an image sequence."""
        return self.rate or DEFAULT_SEQUENCE_RATE
