"""Alpha, resized for the frames of the output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsr.frames import Origin
from vidsr.kernels.resample import resize
from vidsr.options.choices import Deinterlace
from vidsr.options.output_size import offset
from vidsr.options.source import Reading
from vidsr.video.reader import VideoReader

Plane = NDArray[np.uint8]
AlphaPlane = NDArray[np.unsignedinteger[Any]]  # uint8 or uint16
Sides = tuple[int, int]  # width and height


def resized_alpha(plane: AlphaPlane, size: Sides, canvas: Sides) -> AlphaPlane:
    """Return the alpha ``plane`` (H x W) resized to ``size`` by the bicubic kernel, and centred in ``canvas``.

    Pixels around it are transparent; those beyond the canvas are cropped.
    """
    resized = resize(plane, *size, "bicubic", peak=int(np.iinfo(plane.dtype).max))
    (left, top), (width, height) = map(offset, size, canvas), canvas
    framed = np.zeros((height, width), plane.dtype)
    into = framed[max(0, top) :, max(0, left) :]
    source = resized[max(0, -top) :, max(0, -left) :]
    rows, columns = map(min, into.shape, source.shape)
    into[:rows, :columns] = source[:rows, :columns]
    return framed


class AlphaPlanes(AbstractContextManager["AlphaPlanes"]):
    """Alpha planes for frames that are resized to ``size`` and centred in ``canvas``, from the clip ``source``.

    The clip is decoded a second time, from ``start`` on, and deinterlaced as its frames were. An interpolated frame
    gets the mean of both neighbours' alpha, weighted by its phase. Planes are asked for in the order of the frames.

    Raises:
        InputError: see `VideoReader`.
    """

    def __init__(
        self,
        source: Path,
        size: Sides,
        canvas: Sides,
        start: Fraction | None,
        deinterlace: Deinterlace,
        reading: Reading,
    ) -> None:
        reading = replace(reading, alpha="drop", hwaccel="none")
        self._size, self._canvas = size, canvas
        self._reader = VideoReader(source, start, deinterlace=deinterlace, reading=reading, only_alpha=True)
        self._rest = self._resized()
        self._planes: dict[int, Plane] = {}  # of the last frames that were read, by their number

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def at(self, origin: Origin) -> Plane:
        """Return the alpha of the output frame of that origin, H x W, 0 to 255."""
        for number in [number for number in self._planes if number < origin.index]:
            if len(self._planes) > 1:  # after the last frame its alpha stays
                del self._planes[number]
        before = self._frame(origin.index)
        if not origin.phase or origin.scene_cut:
            return before
        after, phase = self._frame(origin.index + 1), float(origin.phase)
        return np.rint(before * (1 - phase) + after * phase).astype(np.uint8)

    def _frame(self, number: int) -> Plane:
        """Return the alpha of a source frame, or of the last one before it."""
        while number not in self._planes:
            plane = next(self._rest, None)
            if plane is None:
                return self._planes[max(self._planes)]
            self._planes[max(self._planes, default=-1) + 1] = plane
        return self._planes[number]

    def _resized(self) -> Iterator[Plane]:
        for batch in self._reader.batches(1):
            yield resized_alpha(batch.y[0, 0].numpy(), self._size, self._canvas)
