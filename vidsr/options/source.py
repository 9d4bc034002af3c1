"""What a source does not say itself and its reader must be told. Pure: FFmpeg is asked elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from vidsr.errors import OptionError
from vidsr.options.choices import ALPHAS, HWACCELS, Alpha, Hwaccel
from vidsr.options.parse import parse_choice, positive_fraction

DEFAULT_SEQUENCE_RATE = Fraction(25)  # frames a second of numbered pictures, as FFmpeg takes them


@dataclass(frozen=True)
class RawFormat:
    """Planes without any header."""

    width: int
    height: int
    pix_fmt: str  # FFmpeg's name
    rate: Fraction

    @classmethod
    def parse(cls, text: str) -> RawFormat:
        """A format from ``480x270:yuv420p:24000/1001``.

        Raises:
            OptionError: the text is not that.
        """
        match = re.fullmatch(r"(\d+)[xX×](\d+):(\w+):([\d./]+)", text.strip())
        if match is None or not int(match[1]) or not int(match[2]):
            raise OptionError(f"--raw {text!r} is not SIZE:FORMAT:RATE: write it as 480x270:yuv420p:24000/1001")
        return cls(int(match[1]), int(match[2]), match[3], parse_rate(match[4], "--raw"))

    @property
    def demuxer_options(self) -> dict[str, str]:
        """What FFmpeg's reader of raw video is told."""
        size = f"{self.width}x{self.height}"
        return {"video_size": size, "pixel_format": self.pix_fmt, "framerate": str(self.rate)}


@dataclass(frozen=True)
class Reading:
    """How a source is to be read."""

    rate: Fraction | None = None  # frames a second of numbered pictures; None is `DEFAULT_SEQUENCE_RATE`
    raw: RawFormat | None = None  # None: the source says what it is
    alpha: Alpha = "refuse"
    hwaccel: Hwaccel = "none"  # of the frames that are enhanced; whatever else is read needs no device

    @property
    def sequence_rate(self) -> Fraction:
        """Frames a second of numbered pictures."""
        return self.rate or DEFAULT_SEQUENCE_RATE


def parse_rate(text: str, option: str) -> Fraction:
    """Frames a second from ``25``, ``29.97`` or ``30000/1001``, exact.

    Raises:
        OptionError: it is no positive number.
    """
    try:
        return positive_fraction(text, option)
    except OptionError:
        raise OptionError(f"{option} {text!r} is no rate: write 25 or 30000/1001") from None


def parse_reading(
    input_fps: str | int | Fraction | None = None, raw: str | None = None, alpha: str = "refuse", hwaccel: str = "none"
) -> Reading:
    """How to read a source, from what a person writes.

    Raises:
        OptionError: a value is none of those that are known.
    """
    return Reading(
        rate=None if input_fps is None else parse_rate(str(input_fps), "--input-fps"),
        raw=None if raw is None else RawFormat.parse(raw),
        alpha=parse_choice(alpha, ALPHAS, "--alpha"),
        hwaccel=parse_choice(hwaccel, HWACCELS, "--hwaccel"),
    )
