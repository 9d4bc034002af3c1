"""Frames without times: a y4m stream and numbered pictures know a frame by its place alone."""

from __future__ import annotations

from fractions import Fraction

from vidsr.errors import Notes, OptionError
from vidsr.frames import VideoInfo
from vidsr.options.codecs import Encoding

FALLBACK_FPS = Fraction(25)  # of frames whose rate is not known
HALF = Fraction(1, 2)


class ConstantRateTimes:
    """Counts frames whose times are no longer told, and those that move by half a frame or more because of it."""

    def __init__(self, info: VideoInfo) -> None:
        self._fps = info.fps or FALLBACK_FPS
        self._first: Fraction | None = None
        self._moved = 0
        self.count = 0

    def add(self, time: Fraction) -> None:
        """The next frame."""
        self._first = time if self._first is None else self._first
        self._moved += abs((time - self._first) * self._fps - self.count) >= HALF
        self.count += 1

    @property
    def times(self) -> tuple[Fraction, ...]:
        """When a reader shows the frames."""
        return tuple(number / self._fps for number in range(self.count))

    def note_moved(self, kind: str, notes: Notes) -> None:
        """Note how many frames a file of that ``kind`` does not show at their own times."""
        if self._moved:
            notes.info(
                "frames_moved",
                f"{self._moved} of {self.count} frames are not shown at their own times: {kind} has one even rate, "
                f"{float(self._fps):.5g} a second here (--fps makes the frames of an even rate)",
            )


def note_left_out(info: VideoInfo, kind: str, is_rgb: bool, notes: Notes) -> None:
    """Note what a file of that ``kind`` cannot hold. RGB files are rotated, and need no matrix."""
    words = []
    if info.rotation and not (is_rgb and info.rotation % 90 == 0):
        words.append(f"the rotation by {info.rotation} degrees")
    if info.sar != 1 and is_rgb:
        words.append(f"the sample aspect ratio {info.sar} (--square-pixels would keep the shape)")
    color = info.color
    tags = {"primaries": color.primaries, "transfer": color.transfer} | ({} if is_rgb else {"matrix": color.matrix})
    usual = ("bt709", "smpte170m", "bt470bg", "iec61966-2-1") if is_rgb else ()
    if said := ", ".join(f"{name} {value}" for name, value in tags.items() if value and value not in usual):
        words.append(f"the colour tags ({said})")
    if info.hdr is not None:
        words.append("HDR10 metadata")
    for word in words:
        notes.info("metadata_left_out", f"left out, {kind} does not hold it: {word}")


def refuse_encoder_options(encoding: Encoding, kind: str) -> None:
    """Nothing, if no encoder was asked for.

    Raises:
        OptionError: one was, and ``kind`` has none.
    """
    if encoding != Encoding(threads=encoding.threads):
        raise OptionError(f"{kind} takes no --codec, --crf, --preset or --encoder-option: leave them out")
