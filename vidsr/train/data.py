"""Training patches: LR and HR crops of the same place, flipped and turned, the same ones for a given seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pair:
    """One picture at both sizes: h x w and scale*h x scale*w, uint8 luma."""

    lr: Tensor
    hr: Tensor


def make_pair(hr: Tensor, scale: int) -> Pair:
    """``hr`` cropped to a multiple of ``scale``, and its antialiased bicubic (a = -0.5) reduction, rounded."""
    height, width = (n - n % scale for n in hr.shape)
    hr = hr[:height, :width]
    size = (height // scale, width // scale)
    lr = F.interpolate(hr[None, None].float(), size=size, mode="bicubic", antialias=True)
    return Pair(lr[0, 0].round().clamp(0, 255).to(torch.uint8), hr)


class Patches:
    """Random patches of a set of pictures, drawn in proportion to the square root of their area.

    ``batch_at(step)`` depends on the seed and the step alone, so a resumed run sees what an uninterrupted one would.
    The pictures stay where they are given (on the device when they fit there).
    """

    def __init__(self, pairs: Sequence[Pair], scale: int, batch: int, patch: int, seed: int) -> None:
        self.pairs = [p for p in pairs if min(p.lr.shape) >= patch]
        if not self.pairs:
            raise ValueError(f"no picture holds a patch of {patch} LR pixels")
        self.scale, self.batch, self.patch, self.seed = scale, batch, patch, seed
        areas = np.sqrt([p.lr.numel() for p in self.pairs])
        self.chances = areas / areas.sum()

    def batch_at(self, step: int) -> tuple[Tensor, Tensor]:
        """LR and HR patches of ``step``: batch x 1 x patch x patch and scale times that, float32 in [0, 1]."""
        rng = np.random.default_rng((self.seed, step))
        lrs, hrs = [], []
        for index in rng.choice(len(self.pairs), self.batch, p=self.chances):
            lr, hr = self._crop(self.pairs[index], rng)
            lrs.append(lr)
            hrs.append(hr)
        return torch.stack(lrs)[:, None].float() / 255, torch.stack(hrs)[:, None].float() / 255

    def _crop(self, pair: Pair, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        top, left = (int(rng.integers(n - self.patch + 1)) for n in pair.lr.shape)
        flip, turns = bool(rng.integers(2)), int(rng.integers(4))
        return (
            _turned(_window(pair.lr, top, left, self.patch), flip, turns),
            _turned(_window(pair.hr, top * self.scale, left * self.scale, self.patch * self.scale), flip, turns),
        )


def _window(plane: Tensor, top: int, left: int, side: int) -> Tensor:
    return plane[top : top + side, left : left + side]


def _turned(plane: Tensor, flip: bool, turns: int) -> Tensor:
    return torch.rot90(plane.flip(1) if flip else plane, turns)


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
