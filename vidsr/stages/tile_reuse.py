"""Unchanged tiles are copied from the previous output instead of computed: a desktop on which a window moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.kernels.changed_tiles import changed_tiles
from vidsr.models import Model
from vidsr.stages.network_runner import Runner, span

SIDE = 64  # of a tile, input pixels; a multiple of every network's alignment
RUN = 4  # changed tiles of a row that are computed as one
MAX_SHARE = 0.6  # of the frame's pixels, halos included; with more to compute, the whole frame is computed
CALL_COST = 4000  # fixed cost of a network call, in pixels

Rectangle = tuple[slice, slice]  # rows and columns of tiles


@dataclass(frozen=True)
class _Last:
    """The previous frame and its output."""

    frame: Tensor  # 1 x 1 x H x W
    output: Tensor
    how: tuple[int, bool]  # peak, rounded


class TileReuse:
    """A `Runner` for luma that copies unchanged tiles from the previous output.

    A tile is unchanged if every pixel within the network's receptive field is. A network computes a tile as it does
    the whole frame, except for the order of its sums, which depends on the tile's shape and is not documented. So the
    first time a shape occurs, the whole frame is computed too. If one sample differs, reuse ends. Networks with global
    features, networks on RGB, compiled networks (compiled per shape) and GPUs (slow with many small tiles) always
    compute whole frames.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.copied = 0  # tiles copied instead of computed
        self.possible = _works_on_tiles(runner)
        self._checked: set[torch.Size] = set()  # shapes of tiles
        self._last: _Last | None = None

    def __call__(self, planes: Tensor, peak: int, rounded: bool = False) -> Tensor:
        """N x 1 x H x W code values of consecutive frames -> the runner's output."""
        if not self.possible:
            return self.runner(planes, peak, rounded)
        how = (peak, rounded)
        last = self._last if self._last is not None and self._last.how == how else None
        frames = [planes[i : i + 1] for i in range(len(planes))]
        before = [None if last is None else last.frame, *frames[:-1]]
        work = [self._changed(was, now) for was, now in zip(before, frames, strict=True)]
        if all(rectangles is None for rectangles in work):
            result = self.runner(planes, peak, rounded)
        else:
            outputs = [] if last is None else [last.output]
            for now, rectangles in zip(frames, work, strict=True):
                outputs.append(
                    self.runner(now, *how) if rectangles is None else self._patched(now, outputs[-1], rectangles, how)
                )
            result = torch.cat(outputs[-len(planes) :])
        self._last = _Last(planes[-1:], result[-1:], how)
        return result

    def _changed(self, before: Tensor | None, now: Tensor) -> list[Rectangle] | None:
        """The rectangles to compute; None for the whole frame."""
        if before is None or before.shape != now.shape or before.dtype != now.dtype:
            return None
        changed = changed_tiles(before[0, 0].numpy(), now[0, 0].numpy(), SIDE, self.runner.network.halo)
        if changed.mean() > MAX_SHARE:
            return None
        rectangles = to_rectangles(changed)
        around = 2 * self.runner.network.halo
        pixels = sum(
            (SIDE * _length(rows) + around) * (SIDE * _length(columns) + around) + CALL_COST
            for rows, columns in rectangles
        )
        if pixels > MAX_SHARE * now.shape[-1] * now.shape[-2]:
            return None
        self.copied += int(changed.size - changed.sum())
        return rectangles

    def _patched(self, now: Tensor, before: Tensor, rectangles: list[Rectangle], how: tuple[int, bool]) -> Tensor:
        """The output for ``now``: a copy of the previous output with ``rectangles`` computed."""
        if not self.possible:  # an earlier frame has shown a difference
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
    """Whether the runner takes tiles of any shape and gains from them."""
    network = runner.network
    compiled = isinstance(network, Model) and network.is_compiled
    return (
        runner.compute.device.type == "cpu"
        and not compiled
        and runner.conversion is None  # planes of luma alone are compared
        and network.global_features(torch.zeros(1, 1, 64, 64)) is None
    )


def to_rectangles(changed: NDArray[np.bool_]) -> list[Rectangle]:
    """Rectangles that cover every changed tile once and no other: `RUN` tiles of a row, or one.

    Few shapes, because each must be checked, and few calls where much has changed.
    """
    rectangles = []
    for row, tiles in enumerate(changed):
        column = 0
        while column < len(tiles):
            length = RUN if tiles[column : column + RUN].sum() == RUN else 1
            if tiles[column]:
                rectangles.append((slice(row, row + 1), slice(column, column + length)))
            column += length
    return rectangles


def _length(tiles: slice) -> int:
    return int(tiles.stop - tiles.start)
