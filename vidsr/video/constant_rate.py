"""Formats without frame times: y4m, raw video and image sequences.

Notes on moved frames and lost metadata, and the check that no encoder is selected.
"""

from __future__ import annotations

from fractions import Fraction

from vidsr.errors import Notes, OptionError
from vidsr.frames import VideoInfo
from vidsr.options.codecs import AUTO, Encoding

FALLBACK_FPS = Fraction(25)  # for clips of unknown rate
HALF = Fraction(1, 2)
SRGB_TAGS = ("bt709", "smpte170m", "bt470bg", "iec61966-2-1")  # primaries and transfers that images imply


class ConstantRateTimes:
    """Times of frames in a file that stores none, at a constant rate.

    Counts the frames that this moves by half a frame or more.
    """

    def __init__(self, info: VideoInfo) -> None:
        self._fps = info.fps or FALLBACK_FPS
        self._first: Fraction | None = None
        self._moved = 0
        self.count = 0

    def add(self, time: Fraction) -> None:
        """Count the next frame, whose presentation time is ``time``."""
        self._first = time if self._first is None else self._first
        self._moved += abs((time - self._first) * self._fps - self.count) >= HALF
        self.count += 1

    @property
    def times(self) -> tuple[Fraction, ...]:
        """The times at which a reader presents the frames."""
        return tuple(number / self._fps for number in range(self.count))

    def note_moved(self, kind: str, notes: Notes) -> None:
        """Note the number of moved frames in a file of that ``kind``."""
        if self._moved:
            notes.info(
                "frames_moved",
                f"{self._moved} of {self.count} frames are not shown at their original times: {kind} has a constant "
                f"rate, here {float(self._fps):.5g} fps (--fps resamples to a constant rate)",
            )


def note_left_out(info: VideoInfo, kind: str, is_rgb: bool, notes: Notes) -> None:
    """Note the metadata that a file of that ``kind`` cannot hold.

    RGB files are rotated, and need no matrix.
    """
    lost = []
    if info.rotation and not (is_rgb and info.rotation % 90 == 0):
        lost.append(f"rotation by {info.rotation} degrees")
    if info.sar != 1 and is_rgb:
        lost.append(f"sample aspect ratio {info.sar}, which --square-pixels applies")
    color = info.color
    tags = {"primaries": color.primaries, "transfer": color.transfer} | ({} if is_rgb else {"matrix": color.matrix})
    implied = SRGB_TAGS if is_rgb else ()
    if left := ", ".join(f"{name} {value}" for name, value in tags.items() if value and value not in implied):
        lost.append(f"colour tags {left}")
    if info.hdr is not None:
        lost.append("HDR10 metadata")
    for metadata in lost:
        notes.info("metadata_left_out", f"left out: {metadata} ({kind} cannot hold it)")


def refuse_encoder_options(encoding: Encoding, kind: str) -> None:
    """Check that no encoder is selected for a file of that ``kind``.

    Raises:
        OptionError: ``encoding`` has other than default values.
    """
    if encoding not in [Encoding(codec, threads=encoding.threads) for codec in (AUTO, "libx264")]:
        raise OptionError(f"{kind} uses no encoder: leave out --codec, --crf, --encoder-preset and --encoder-option")
