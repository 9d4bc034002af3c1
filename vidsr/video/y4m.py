"""Write uncompressed frames, as y4m or raw video, to a file or pipe."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
import torch

from vidsr.errors import Notes, OutputError, PipeClosed
from vidsr.frames import ColorInfo, FrameBatch, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.runtime.output_file import OutputFile
from vidsr.video.constant_rate import FALLBACK_FPS, ConstantRateTimes, note_left_out, refuse_encoder_options
from vidsr.video.inspect import ExpectedContents

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
SITINGS = {"left": "mpeg2", None: "mpeg2", "center": "jpeg", "topleft": "paldv"}  # chroma of 8-bit 4:2:0
FIELD_ORDERS = {"top": "t", "bottom": "b"}


def header(info: VideoInfo) -> bytes:
    """Return the first line of a y4m stream of ``info``."""
    fps = info.fps or FALLBACK_FPS
    chroma: str = "mono" if info.chroma == "gray" else info.chroma
    if info.depth > 8:
        chroma += f"{'' if chroma == 'mono' else 'p'}{info.depth}"
    elif chroma == "420":
        chroma += SITINGS.get(info.color.chroma_location, "mpeg2")
    words = [
        "YUV4MPEG2",
        f"W{info.width}",
        f"H{info.height}",
        f"F{fps.numerator}:{fps.denominator}",
        f"I{FIELD_ORDERS.get(info.field_order or '', 'p')}",
        f"A{info.sar.numerator}:{info.sar.denominator}",
        f"C{chroma}",
    ]
    words += [f"XCOLORRANGE={info.color.range.upper()}"] if info.color.range else []
    return " ".join(words).encode() + b"\n"


class Y4mWriter:
    """Writes frames of ``info`` to a file or to the standard output (``-``).

    ``raw`` leaves out all headers.

    A file appears when the block ends without an exception, which removes it. With ``output``, its owner commits the
    file. While the writer owns the standard output, everything else that this process prints there goes to the standard
    error.

    Raises:
        OptionError: an encoder is selected.
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        encoding: Encoding,
        raw: bool = False,
        notes: Notes | None = None,
        output: OutputFile | None = None,
    ) -> None:
        kind = "raw video" if raw else "y4m"
        refuse_encoder_options(encoding, kind)
        self.path, self._info, self._raw, self._kind = path, info, raw, kind
        self._is_pipe = str(path) == "-"
        self._is_own = output is None
        self._output = None if self._is_pipe else output or OutputFile(path)
        self._times = ConstantRateTimes(info)
        self.notes = Notes() if notes is None else notes
        note_left_out(info, kind, False, self.notes)
        self._file = self._open()

    def _open(self) -> IO[bytes]:
        if self._output is None:
            output = os.dup(STANDARD_OUTPUT)
            os.dup2(STANDARD_ERROR, STANDARD_OUTPUT)
            return os.fdopen(output, "wb", buffering=0)
        try:
            return self._output.part.open("wb")
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written ({error.strerror}): choose another --output") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except BaseException:
            self._close()
            self._discard()
            raise
        self._close()
        if kind is not None:
            self._discard()

    def _discard(self) -> None:
        if self._output is not None:
            self._output.discard()

    def write(self, batch: FrameBatch) -> None:
        """Write the next frames.

        Raises:
            OutputError: the file cannot be written.
            PipeClosed: the reader of the pipe has closed it.
        """
        for i, time in enumerate(batch.times):
            if not self._raw:
                self._put(b"FRAME\n" if self._times.count else header(self._info) + b"FRAME\n")
            for plane in (batch.y[i, 0], *(() if batch.uv is None else batch.uv[i])):
                self._put_plane(plane)
            self._times.add(time)

    @property
    def expected(self) -> ExpectedContents | None:
        """The contents that the file should have.

        None for a pipe or raw video, which cannot be read again.
        """
        if self._raw or self._is_pipe:
            return None
        stored = replace(self._info, color=ColorInfo(range=self._info.color.range), display_matrix=None, hdr=None)
        assert self._output is not None
        return ExpectedContents(self._output.location, stored, self._times.times, None)

    def _put_plane(self, plane: torch.Tensor) -> None:
        if plane.is_floating_point():
            raise TypeError("planes are written as integers")
        codes = np.ascontiguousarray(plane.numpy())
        self._put(codes.astype(codes.dtype.newbyteorder("<"), copy=False).data.cast("B"))

    def _put(self, data: bytes | memoryview) -> None:
        try:
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        except BrokenPipeError:
            raise PipeClosed(f"{self.path}: the reader closed the pipe") from None
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written ({error.strerror}): check the disk") from None

    def _finish(self) -> None:
        if not self._times.count:
            raise OutputError(f"{self.path} would hold no frame: choose another --start or --end")
        if self._output is not None:
            try:
                self._file.close()
            except OSError as error:
                raise OutputError(f"{self.path} cannot be written ({error.strerror}): check the disk") from None
            if self._is_own:
                self._output.commit()
        self._times.note_moved(self._kind, self.notes)

    def _close(self) -> None:
        if self._output is not None:
            self._file.close()
        elif not self._file.closed:
            os.dup2(self._file.fileno(), STANDARD_OUTPUT)
            self._file.close()
