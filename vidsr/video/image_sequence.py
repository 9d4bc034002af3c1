"""Write frames as an image sequence: numbered image files."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from vidsr.errors import Notes, OutputError
from vidsr.frames import Chroma, ColorInfo, FrameBatch, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.options.image_sequence import FIRST_NUMBER, ImageSequence
from vidsr.runtime.output_file import OutputFile, rename_without_replacing, sync
from vidsr.video.constant_rate import ConstantRateTimes, note_left_out, refuse_encoder_options
from vidsr.video.image import EIGHT_BIT_ONLY, encode_image
from vidsr.video.inspect import ExpectedContents

SUBSAMPLED = (".jpg", ".jpeg", ".webp")  # written as 4:2:0


class OutputImages(OutputFile):
    """The images of a sequence; they lie in a hidden folder until `commit` moves them next to it.

    With ``overwrite`` they replace all earlier images of ``pattern``.
    """

    def __init__(self, pattern: Path, overwrite: bool = False) -> None:
        self.pattern = pattern
        super().__init__(pattern, overwrite, folder=True, make_folders=True)

    @property
    def location(self) -> Path:
        """The pattern of the images at their present place."""
        return self.pattern if self.done else self.part / self.pattern.name

    def keep_as_failed(self) -> Path:
        """Keep the images in the folder ``NAME.failed``, and return their pattern."""
        return super().keep_as_failed() / self.pattern.name

    def commit(self) -> None:
        """Store the images on the disk and move them to their names.

        Raises:
            OutputError: one of these names is taken, or the disk is full.
        """
        images, target = ImageSequence(self.location), ImageSequence(self.pattern)
        moved: list[Path] = []
        try:
            with self.named_errors():
                sync(self.part)
                for number in images.numbers:
                    if self.overwrite:
                        images.path(number).replace(target.path(number))
                    else:
                        rename_without_replacing(images.path(number), target.path(number))
                        moved.append(target.path(number))
                for number in set(target.numbers) - set(images.numbers) if self.overwrite else ():
                    target.path(number).unlink()
                self.done = True
                self.part.rmdir()
                sync(self.pattern.parent)
        except BaseException:
            if not self.done:
                for path in moved:
                    path.unlink()
            raise
        self.release()


class ImageSequenceWriter:
    """Writes frames of ``info`` as RGB or grey images named by ``pattern`` and numbered from ``first``.

    The images appear when the block ends without an exception, which removes them. With ``output``, its owner commits
    them. Quarter turns and mirrors of the display matrix are applied. Planes may be float32 and are rounded once, in
    RGB.

    Raises:
        OptionError: an encoder is selected.
        OutputError: the images cannot be written.
    """

    def __init__(
        self,
        pattern: Path,
        info: VideoInfo,
        encoding: Encoding,
        first: int = FIRST_NUMBER,
        notes: Notes | None = None,
        output: OutputImages | None = None,
    ) -> None:
        refuse_encoder_options(encoding, f"a sequence of {pattern.suffix}")
        self._info = info
        self._pattern = pattern
        self._times = ConstantRateTimes(info)
        self._first = first
        self.notes = Notes() if notes is None else notes
        note_left_out(info, pattern.suffix, True, self.notes)
        if info.depth > 8 and pattern.suffix.lower() in EIGHT_BIT_ONLY:
            self.notes.info(
                "depth_reduced", f"{pattern.suffix} holds 8 of the {info.depth} bits: .png and .tif hold 16"
            )
        self._is_own = output is None
        self._output = output or OutputImages(pattern)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except BaseException:
            self._output.discard()
            raise
        if kind is not None:
            self._output.discard()

    def write(self, batch: FrameBatch) -> None:
        """Write the next frames.

        Raises:
            OutputError: an image cannot be written.
        """
        for i, time in enumerate(batch.times):
            part = ImageSequence(self._output.location).path(self._first + self._times.count)
            data = encode_image(part, batch[i : i + 1], self._info)
            with self._output.named_errors():
                part.write_bytes(data)
            self._times.add(time)

    @property
    def expected(self) -> ExpectedContents:
        """The contents that the written images should have."""
        suffix = self._pattern.suffix.lower()
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
        return ExpectedContents(self._output.location, info, self._times.times, None)

    def _finish(self) -> None:
        if not self._times.count:
            raise OutputError(f"{self._pattern} would hold no frame: choose another --start or --end")
        if self._is_own:
            self._output.commit()
        self._times.note_moved(self._pattern.suffix, self.notes)
