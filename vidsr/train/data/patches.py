"""Training patches: LR and HR crops of the same place.

They are flipped and rotated at random, and depend on seed and step alone.
"""

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
from vidsr.models.layers import pad

Windows = npt.NDArray[np.int64]  # one row per patch: image, top and left in LR pixels, symmetry


@dataclass(frozen=True, eq=False)
class Pair:
    """One image at both sizes: h x w and scale*h x scale*w, uint8 luma."""

    lr: Tensor
    hr: Tensor


def make_pair(hr: Tensor, scale: int) -> Pair:
    """Crop ``hr`` to a multiple of ``scale``, and downscale it as evaluate/protocol.py does."""
    large = modcrop(hr.numpy(), scale)
    small = imresize(large, large.shape[0] // scale, large.shape[1] // scale)
    return Pair(torch.from_numpy(small), torch.from_numpy(large))


def with_margin(pair: Pair, scale: int, margin: int, patch: int) -> Pair:
    """Extend ``pair`` beyond its edges by ``margin`` LR pixels.

    It is extended by more where a patch would not fit. The extension is mirrored with the last pixel repeated, as
    `make_pair` mirrors the image that it downscales. So the LR equals the downscaled extended HR. In use most of a
    small image is near an edge, where networks get such input.
    """
    rows, columns = (max(margin, (patch - n + 1) // 2) for n in pair.lr.shape)
    planes = []
    for plane, factor in ((pair.lr, 1), (pair.hr, scale)):
        x, y = columns * factor, rows * factor
        planes.append(pad(plane[None, None], x, x, y, y, "symmetric")[0, 0])
    return Pair(*planes)


class Patches:
    """Random patches of a set of images.

    Images are drawn in proportion to the square root of their area. Most of an image is nearly flat, and bicubic
    upscales it well. So ``candidates`` times as many patches are drawn as a batch holds, and those with the most detail
    are kept.

    ``batch_at(step)`` depends on the seed and the step alone, so a resumed run equals an uninterrupted one. The images
    stay on the device of ``pairs``.
    """

    def __init__(
        self, pairs: Sequence[Pair], scale: int, batch: int, patch: int, seed: int, candidates: int = 1
    ) -> None:
        self.pairs = [p for p in pairs if min(p.lr.shape) >= patch]
        if not self.pairs:
            raise ValueError(f"no image holds a patch of {patch} LR pixels")
        self.scale, self.batch, self.patch, self.seed = scale, batch, patch, seed
        self.candidates = candidates
        areas = np.sqrt([p.lr.numel() for p in self.pairs])
        self.probabilities = areas / areas.sum()

    def batch_at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the LR and HR patches of ``step``.

        LR is batch x 1 x patch x patch, HR ``scale`` times that size; both are float32 in [0, 1].
        """
        on_gpu = self.pairs[0].hr.device.type == "cuda"
        lr, hr = self.gather(self.draw(step)) if on_gpu else self.crop(self.draw(step))
        if self.candidates == 1:
            return lr, hr
        kept = detail(lr).topk(self.batch).indices.sort().values
        return lr[kept], hr[kept]

    def draw(self, step: int) -> Windows:
        """Draw the positions of all candidate patches of ``step``."""
        rng = np.random.default_rng((self.seed, step))
        rows = []
        for index in rng.choice(len(self.pairs), self.batch * self.candidates, p=self.probabilities):
            top, left = (int(rng.integers(n - self.patch + 1)) for n in self.pairs[index].lr.shape)
            flip, rotations = int(rng.integers(2)), int(rng.integers(4))
            rows.append((int(index), top, left, 4 * flip + rotations))
        return np.array(rows)

    def crop(self, windows: Windows) -> tuple[Tensor, Tensor]:
        """Return the patches at ``windows``, cropped one by one: fastest on a CPU."""
        lrs, hrs = [], []
        for index, top, left, symmetry in windows.tolist():
            pair, scale = self.pairs[index], self.scale
            lrs.append(apply_symmetry(_window(pair.lr, top, left, self.patch), symmetry))
            hrs.append(apply_symmetry(_window(pair.hr, top * scale, left * scale, self.patch * scale), symmetry))
        return torch.stack(lrs)[:, None].float() / 255, torch.stack(hrs)[:, None].float() / 255

    def gather(self, windows: Windows) -> tuple[Tensor, Tensor]:
        """Return the same patches by two indexings, which is fastest on a GPU.

        Cropping one by one would launch a hundred small copies.
        """
        lr, hr = self._window_gathers
        index, top, left, symmetry = torch.from_numpy(windows.T.copy()).to(lr.pixels.device, non_blocking=True)
        return lr(index, top, left, symmetry), hr(index, top * self.scale, left * self.scale, symmetry)

    @cached_property
    def _window_gathers(self) -> tuple[WindowGather, WindowGather]:
        lr, hr = [p.lr for p in self.pairs], [p.hr for p in self.pairs]
        return WindowGather(lr, self.patch), WindowGather(hr, self.patch * self.scale)


class WindowGather:
    """Square windows of any of ``planes``, by one indexing of all their pixels.

    The windows are flipped and rotated.
    """

    def __init__(self, planes: Sequence[Tensor], side: int) -> None:
        device = planes[0].device
        self.pixels = torch.cat([plane.reshape(-1) for plane in planes])
        sizes = torch.tensor([0, *(plane.numel() for plane in planes[:-1])], device=device)
        self.starts = sizes.cumsum(0)
        self.widths = torch.tensor([plane.shape[1] for plane in planes], device=device)
        columns = torch.arange(side, device=device).expand(side, side)
        # the row and column in the window of each pixel of the patch, for the eight symmetries
        self.rows = torch.stack([apply_symmetry(columns.T, symmetry) for symmetry in range(SYMMETRIES)])
        self.columns = torch.stack([apply_symmetry(columns, symmetry) for symmetry in range(SYMMETRIES)])

    def __call__(self, index: Tensor, top: Tensor, left: Tensor, symmetry: Tensor) -> Tensor:
        """Return N windows, N x 1 x side x side float32 in [0, 1].

        Each argument holds N numbers.
        """
        width = self.widths[index]
        corner = self.starts[index] + top * width + left
        where = corner[:, None, None] + self.rows[symmetry] * width[:, None, None] + self.columns[symmetry]
        return self.pixels[where][:, None].float() / 255


def detail(patches: Tensor) -> Tensor:
    """Return the mean absolute difference between neighbouring pixels of each patch.

    ``patches`` are N x 1 x H x W; N numbers are returned.
    """
    return patches.diff(dim=-1).abs().mean((1, 2, 3)) + patches.diff(dim=-2).abs().mean((1, 2, 3))


def _window(plane: Tensor, top: int, left: int, side: int) -> Tensor:
    return plane[top : top + side, left : left + side]


def centre_crops(pairs: Sequence[Pair], scale: int, side: int = 192, most: int = 32) -> list[Pair]:
    """Return centre crops of up to ``most`` pairs, spread over the set.

    A crop has about ``side`` HR pixels a side.
    """
    side //= scale
    crops = []
    for index in np.linspace(0, len(pairs) - 1, min(most, len(pairs))).astype(int):
        lr, hr = pairs[index].lr, pairs[index].hr
        top, left = (max(0, (n - side) // 2) for n in lr.shape)
        large = hr[top * scale : (top + side) * scale, left * scale : (left + side) * scale]
        crops.append(Pair(lr[top : top + side, left : left + side], large))
    return crops
