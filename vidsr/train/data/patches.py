"""Training patches: LR and HR crops of the same place, flipped and turned, the same ones for a given seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidsr.evaluate.protocol import imresize, modcrop
from vidsr.models.equivariant import SYMMETRIES, apply_symmetry
from vidsr.models.layers import padded

Windows = npt.NDArray[np.int64]  # a row per patch: picture, top and left in LR pixels, pose


@dataclass(frozen=True, eq=False)
class Pair:
    """One picture at both sizes: h x w and scale*h x scale*w, uint8 luma."""

    lr: Tensor
    hr: Tensor


def make_pair(hr: Tensor, scale: int) -> Pair:
    """``hr`` cropped to a multiple of ``scale``, and its reduction as the networks are measured on (protocol.py)."""
    large = modcrop(hr.numpy(), scale)
    small = imresize(large, large.shape[0] // scale, large.shape[1] // scale)
    return Pair(torch.from_numpy(small), torch.from_numpy(large))


def with_margin(pair: Pair, scale: int, margin: int, patch: int) -> Pair:
    """``pair`` going on beyond its edges by ``margin`` LR pixels, or by as many as a patch needs to fit.

    Mirrored with the last pixel repeated, as `make_pair` mirrors the picture that it reduces: the LR is what reducing
    the mirrored HR gives. In use most of a small picture is near an edge, where networks are given just this.
    """
    rows, columns = (max(margin, (patch - n + 1) // 2) for n in pair.lr.shape)
    planes = []
    for plane, factor in ((pair.lr, 1), (pair.hr, scale)):
        x, y = columns * factor, rows * factor
        planes.append(padded(plane[None, None], x, x, y, y, "symmetric")[0, 0])
    return Pair(*planes)


class Patches:
    """Random patches of a set of pictures, drawn in proportion to the square root of their area.

    Most of a picture is nearly flat, and bicubic does it well: of ``draws`` times as many patches as a batch holds,
    those with the most detail are kept.

    ``batch_at(step)`` depends on the seed and the step alone, so a resumed run sees what an uninterrupted one would.
    The pictures stay where they are given (on the device when they fit there).
    """

    def __init__(self, pairs: Sequence[Pair], scale: int, batch: int, patch: int, seed: int, draws: int = 1) -> None:
        self.pairs = [p for p in pairs if min(p.lr.shape) >= patch]
        if not self.pairs:
            raise ValueError(f"no picture holds a patch of {patch} LR pixels")
        self.scale, self.batch, self.patch, self.seed, self.draws = scale, batch, patch, seed, draws
        areas = np.sqrt([p.lr.numel() for p in self.pairs])
        self.chances = areas / areas.sum()

    def batch_at(self, step: int) -> tuple[Tensor, Tensor]:
        """LR and HR patches of ``step``: batch x 1 x patch x patch and scale times that, float32 in [0, 1]."""
        on_gpu = self.pairs[0].hr.device.type == "cuda"
        lr, hr = self.gathered(self.draw(step)) if on_gpu else self.cropped(self.draw(step))
        if self.draws == 1:
            return lr, hr
        kept = detail(lr).topk(self.batch).indices.sort().values
        return lr[kept], hr[kept]

    def draw(self, step: int) -> Windows:
        """Where the patches of ``step`` lie, ``draws`` for each one that is kept."""
        rng = np.random.default_rng((self.seed, step))
        rows = []
        for index in rng.choice(len(self.pairs), self.batch * self.draws, p=self.chances):
            top, left = (int(rng.integers(n - self.patch + 1)) for n in self.pairs[index].lr.shape)
            flip, turns = int(rng.integers(2)), int(rng.integers(4))
            rows.append((int(index), top, left, 4 * flip + turns))
        return np.array(rows)

    def cropped(self, windows: Windows) -> tuple[Tensor, Tensor]:
        """The patches in ``windows``, cut out one by one: what a CPU does fastest."""
        lrs, hrs = [], []
        for index, top, left, pose in windows.tolist():
            pair, scale = self.pairs[index], self.scale
            lrs.append(apply_symmetry(_window(pair.lr, top, left, self.patch), pose))
            hrs.append(apply_symmetry(_window(pair.hr, top * scale, left * scale, self.patch * scale), pose))
        return torch.stack(lrs)[:, None].float() / 255, torch.stack(hrs)[:, None].float() / 255

    def gathered(self, windows: Windows) -> tuple[Tensor, Tensor]:
        """The same patches in two indexings: a GPU would wait for the launches of a hundred small copies."""
        lr, hr = self._gathers
        index, top, left, pose = torch.from_numpy(windows.T.copy()).to(lr.pixels.device, non_blocking=True)
        return lr(index, top, left, pose), hr(index, top * self.scale, left * self.scale, pose)

    @cached_property
    def _gathers(self) -> tuple[Gather, Gather]:
        side = self.patch
        return Gather([p.lr for p in self.pairs], side), Gather([p.hr for p in self.pairs], side * self.scale)


class Gather:
    """Square windows of any of ``planes``, turned, in one indexing of all their pixels."""

    def __init__(self, planes: Sequence[Tensor], side: int) -> None:
        device = planes[0].device
        self.pixels = torch.cat([plane.reshape(-1) for plane in planes])
        sizes = torch.tensor([0, *(plane.numel() for plane in planes[:-1])], device=device)
        self.starts = sizes.cumsum(0)
        self.widths = torch.tensor([plane.shape[1] for plane in planes], device=device)
        grid = torch.arange(side, device=device)
        # which row and column of the window each pixel of the turned patch comes from, for the eight poses
        self.rows = torch.stack([apply_symmetry(grid[:, None].expand(side, side), pose) for pose in range(SYMMETRIES)])
        self.columns = torch.stack([apply_symmetry(grid[None].expand(side, side), pose) for pose in range(SYMMETRIES)])

    def __call__(self, index: Tensor, top: Tensor, left: Tensor, pose: Tensor) -> Tensor:
        """N x 1 x side x side float32 in [0, 1]; N of each argument."""
        width = self.widths[index]
        corner = self.starts[index] + top * width + left
        where = corner[:, None, None] + self.rows[pose] * width[:, None, None] + self.columns[pose]
        return self.pixels[where][:, None].float() / 255


def detail(patches: Tensor) -> Tensor:
    """How much each of ``patches`` (N x 1 x H x W) changes from pixel to pixel: N."""
    return patches.diff(dim=-1).abs().mean((1, 2, 3)) + patches.diff(dim=-2).abs().mean((1, 2, 3))


def _window(plane: Tensor, top: int, left: int, side: int) -> Tensor:
    return plane[top : top + side, left : left + side]


def centre_crops(pairs: Sequence[Pair], scale: int, side: int = 192, most: int = 32) -> list[Pair]:
    """Centre crops of about ``side`` HR pixels of up to ``most`` pairs spread over the set."""
    side //= scale
    crops = []
    for index in np.linspace(0, len(pairs) - 1, min(most, len(pairs))).astype(int):
        lr, hr = pairs[index].lr, pairs[index].hr
        top, left = (max(0, (n - side) // 2) for n in lr.shape)
        large = hr[top * scale : (top + side) * scale, left * scale : (left + side) * scale]
        crops.append(Pair(lr[top : top + side, left : left + side], large))
    return crops
