"""What has not changed since the picture before is not computed again: a desktop on which a window moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.kernels.changes import changed_tiles
from vidsr.models import Model
from vidsr.stages.runner import Runner, span

SIDE = 64  # of the squares that are compared, input pixels; a multiple of every network's alignment
RUN = 4  # squares side by side that are computed as one
WORTH = 0.6  # of the picture's pixels: with more to compute, tiles and their halos, the picture is computed whole
CALL = 4000  # pixels that a call of a network costs besides its own

Rectangle = tuple[slice, slice]  # rows and columns of squares


@dataclass(frozen=True)
class _Made:
    """A picture and what was made of it."""

    picture: Tensor  # 1 x 1 x H x W
    result: Tensor
    how: tuple[int, bool]  # peak, rounded


class Reuse:
    """A `Runner` of luma that copies from the result before what can only be the same.

    That is a square whose every pixel in the network's reach is what it was. A network computes a pixel of a tile as
    it does in the whole picture, but for the order of its sums, which depends on the tile's shape and on which nobody
    gives a word: so with each new shape the picture is computed whole too, and if one sample differs nothing is put
    together from then on. Networks that survey the whole picture, compiled ones, which are compiled for each shape, and
    GPUs, which are slow with many small tiles, compute all.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.copied = 0  # squares that were not computed
        self.possible = _works_on_tiles(runner)
        self._checked: set[torch.Size] = set()  # shapes of tiles
        self._last: _Made | None = None

    def __call__(self, planes: Tensor, peak: int, rounded: bool = False) -> Tensor:
        """As the runner's: N x 1 x H x W code values, consecutive pictures -> what it makes of them."""
        if not self.possible:
            return self.runner(planes, peak, rounded)
        how = (peak, rounded)
        last = self._last if self._last is not None and self._last.how == how else None
        pictures = [planes[i : i + 1] for i in range(len(planes))]
        before = [None if last is None else last.picture, *pictures[:-1]]
        work = [self._work(was, now) for was, now in zip(before, pictures, strict=True)]
        if all(rectangles is None for rectangles in work):
            result = self.runner(planes, peak, rounded)
        else:
            made = [] if last is None else [last.result]
            for now, rectangles in zip(pictures, work, strict=True):
                made.append(
                    self.runner(now, *how) if rectangles is None else self._patched(now, made[-1], rectangles, how)
                )
            result = torch.cat(made[-len(planes) :])
        self._last = _Made(planes[-1:], result[-1:], how)
        return result

    def _work(self, before: Tensor | None, now: Tensor) -> list[Rectangle] | None:
        """The rectangles that must be computed; None for the whole picture."""
        if before is None or before.shape != now.shape or before.dtype != now.dtype:
            return None
        changed = changed_tiles(before[0, 0].numpy(), now[0, 0].numpy(), SIDE, self.runner.network.halo)
        if changed.mean() > WORTH:
            return None
        rectangles = pieces(changed)
        around = 2 * self.runner.network.halo
        pixels = sum(
            (SIDE * _length(rows) + around) * (SIDE * _length(columns) + around) + CALL for rows, columns in rectangles
        )
        if pixels > WORTH * now.shape[-1] * now.shape[-2]:
            return None
        self.copied += int(changed.size - changed.sum())
        return rectangles

    def _patched(self, now: Tensor, before: Tensor, rectangles: list[Rectangle], how: tuple[int, bool]) -> Tensor:
        """The result of ``now``: that of the picture before, with ``rectangles`` computed."""
        if not self.possible:  # as the picture before has shown
            return self.runner(now, *how)
        halo, scale = self.runner.network.halo, self.runner.network.scale
        result = before.clone()
        shapes = set()
        for rectangle in rectangles:
            rows, columns = (
                span(part.start * SIDE, min(part.stop * SIDE, length), length, halo, scale)
                for part, length in zip(rectangle, now.shape[-2:], strict=True)
            )
            read = now[..., rows[0], columns[0]]
            shapes.add(read.shape)
            result[..., rows[2], columns[2]] = self.runner(read, *how)[..., rows[1], columns[1]]
        if shapes <= self._checked:
            return result
        self._checked |= shapes
        whole = self.runner(now, *how)
        self.possible = torch.equal(whole, result)
        return whole


def _works_on_tiles(runner: Runner) -> bool:
    """Whether tiles of any shape may be given to it, and are worth it."""
    network = runner.network
    compiled = isinstance(network, Model) and network.is_compiled
    return runner.compute.device.type == "cpu" and not compiled and network.survey(torch.zeros(1, 1, 64, 64)) is None


def pieces(changed: NDArray[np.bool_]) -> list[Rectangle]:
    """Rectangles that cover every true square once and no other: `RUN` squares of a row, or one.

    Few shapes, as each must be checked, and few calls where much has changed.
    """
    rectangles = []
    for row, squares in enumerate(changed):
        column = 0
        while column < len(squares):
            length = RUN if squares[column : column + RUN].sum() == RUN else 1
            if squares[column]:
                rectangles.append((slice(row, row + 1), slice(column, column + length)))
            column += length
    return rectangles


def _length(squares: slice) -> int:
    return int(squares.stop - squares.start)
