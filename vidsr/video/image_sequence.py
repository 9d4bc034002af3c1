"""Write frames as an image sequence: numbered image files."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from vidsr.errors import Notes, OutputError
from vidsr.frames import Chroma, ColorInfo, FrameBatch, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.options.image_sequence import FIRST_NUMBER, ImageSequence
from vidsr.video.constant_rate import ConstantRateTimes, note_left_out, refuse_encoder_options
from vidsr.video.image import EIGHT_BIT_ONLY, write_image
from vidsr.video.inspect import ExpectedContents

SUBSAMPLED = (".jpg", ".jpeg", ".webp")  # written as 4:2:0


class ImageSequenceWriter:
    """Writes frames of ``info`` as RGB or grey images named by ``pattern`` and numbered from ``first``.

    The images appear when the block ends without an exception, and replace all earlier images of the pattern. Until
    then they are in the folder ``<pattern without suffix>.part`` next to the target; an exception removes it. Quarter
    turns and mirrors of the display matrix are applied. Planes may be float32 and are rounded once, in RGB.

    Raises:
        OptionError: an encoder is selected.
        OutputError: the images cannot be written.
    """

    def __init__(
        self, pattern: Path, info: VideoInfo, encoding: Encoding, first: int = FIRST_NUMBER, notes: Notes | None = None
    ) -> None:
        refuse_encoder_options(encoding, f"a sequence of {pattern.suffix}")
        self._info = info
        self._target = ImageSequence(pattern)
        self._part = ImageSequence(pattern.with_name(f"{pattern.stem}.part") / pattern.name)
        self._times = ConstantRateTimes(info)
        self._first = first
        self.notes = Notes() if notes is None else notes
        note_left_out(info, pattern.suffix, True, self.notes)
        if info.depth > 8 and pattern.suffix.lower() in EIGHT_BIT_ONLY:
            self.notes.info(
                "depth_reduced", f"{pattern.suffix} holds 8 of the {info.depth} bits: .png and .tif hold 16"
            )
        self._clear()  # leftovers of a killed run
        try:
            self._part.pattern.parent.mkdir(parents=True)
        except OSError as error:
            raise OutputError(f"{pattern} cannot be written ({error.strerror}): choose another --output") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._clear()

    def write(self, batch: FrameBatch) -> None:
        """Write the next frames.

        Raises:
            OutputError: an image cannot be written.
        """
        for i, time in enumerate(batch.times):
            write_image(self._part.path(self._first + self._times.count), batch[i : i + 1], self._info)
            self._times.add(time)

    @property
    def expected(self) -> ExpectedContents:
        """The contents that the written images should have."""
        suffix = self._target.pattern.suffix.lower()
        chroma: Chroma = "gray" if self._info.chroma == "gray" and suffix != ".webp" else "444"
        if chroma == "444" and suffix in SUBSAMPLED:
            chroma = "420"
        width, height = self._info.width, self._info.height
        if self._info.is_on_its_side:
            width, height = height, width
        info = replace(
            self._info,
            chroma=chroma,
            depth=8 if self._info.depth == 8 or suffix in EIGHT_BIT_ONLY else 16,
            color=ColorInfo(),
            width=width,
            height=height,
            sar=Fraction(1),
            display_matrix=None,
            hdr=None,
        )
        return ExpectedContents(self._target.pattern, info, self._times.times, None)

    def _finish(self) -> None:
        if not self._times.count:
            raise OutputError(f"{self._target.pattern} would hold no frame: choose another --start or --end")
        numbers = range(self._first, self._first + self._times.count)
        try:
            for number in ImageSequence(self._target.pattern).numbers:
                if number not in numbers:
                    self._target.path(number).unlink()
            for number in numbers:
                self._part.path(number).replace(self._target.path(number))
        except OSError as error:
            raise OutputError(f"{self._target.pattern} cannot be written ({error.strerror}): check the disk") from None
        self._times.note_moved(self._target.pattern.suffix, self.notes)

    def _clear(self) -> None:
        """Remove unfinished images, and no other files."""
        for number in ImageSequence(self._part.pattern).numbers:
            self._part.path(number).unlink(missing_ok=True)
        with suppress(OSError):
            self._part.pattern.parent.rmdir()
