"""Backward warping in PyTorch: sample a plane at the displaced position of each pixel.

`warp_cubic` samples the cubic B-spline through the pixels (Unser, "Splines: a perfect fit for signal and image
processing", 1999) as `vidsr.flow.warp` does. `warp_linear` is for planes that a network only reads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_POLE = math.sqrt(3) - 2
_REACH = 6  # taps on each side; the filter's tail beyond is negligible
_TAPS = [_POLE ** abs(k) for k in range(-_REACH, _REACH + 1)]
_TAPS = [tap / sum(_TAPS) for tap in _TAPS]


def spline_coefficients(plane: Tensor) -> Tensor:
    """Return the coefficients of the cubic B-spline through the pixels of ``plane`` (N x 1 x H x W)."""
    h, w = plane.shape[-2:]
    # sums of shifted planes: a convolution of one channel is ten times slower on a CPU
    padded = F.pad(plane, (_REACH,) * 4, mode="reflect")
    across = _dot(_TAPS, [padded[..., k : k + w] for k in range(len(_TAPS))])
    return _dot(_TAPS, [across[..., k : k + h, :] for k in range(len(_TAPS))])


def warp_cubic(coefficients: Tensor, displacements: Tensor, margin: int = 0) -> Tensor:
    """Sample a spline at displaced positions, clamped to the plane: N x 1 x h x w.

    ``coefficients``: N x 1 x h+2*margin x w+2*margin; ``displacements``: N x 2 x h x w, x and y in pixels. Gradients
    flow to ``displacements`` alone.
    """
    x, y = _positions(displacements, margin)
    h, w = coefficients.shape[-2:]
    value: Tensor = _Cubic.apply(coefficients[:, 0], x.clamp(0, w - 1), y.clamp(0, h - 1))  # type: ignore[no-untyped-call]
    return value[:, None]


def warp_linear(planes: Tensor, displacements: Tensor, margin: int = 0) -> Tensor:
    """Sample ``planes`` (N x C x h+2*margin x w+2*margin) at displaced positions, linearly, clamped: N x C x h x w."""
    x, y = _positions(displacements, margin)
    h, w = planes.shape[-2:]
    grid = torch.stack([x * (2 / max(1, w - 1)) - 1, y * (2 / max(1, h - 1)) - 1], -1)
    return F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _positions(displacements: Tensor, margin: int) -> tuple[Tensor, Tensor]:
    """Columns and rows of the displaced pixels, each N x h x w, in a plane that is ``margin`` larger on each side."""
    h, w = displacements.shape[-2:]
    columns = torch.arange(w, device=displacements.device, dtype=displacements.dtype) + margin
    rows = torch.arange(h, device=displacements.device, dtype=displacements.dtype) + margin
    return displacements[:, 0] + columns, displacements[:, 1] + rows[:, None]


class _Cubic(torch.autograd.Function):
    """The spline at (x, y); the forward pass keeps its slopes for the backward pass."""

    @staticmethod
    def forward(ctx: Any, coefficients: Tensor, x: Tensor, y: Tensor) -> Tensor:
        value, along_x, along_y = _sample(coefficients, x, y, slopes=x.requires_grad)
        ctx.save_for_backward(along_x, along_y)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor]:
        along_x, along_y = ctx.saved_tensors
        return None, gradient * along_x, gradient * along_y


def _sample(c: Tensor, x: Tensor, y: Tensor, slopes: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Value and slopes (empty unless ``slopes``) at (x, y), N x h x w, of the splines ``c``, N x H x W."""
    n, height, width = c.shape
    columns, fx = _neighbours(x, width)
    rows, fy = _neighbours(y, height)
    flat = c.reshape(n, -1)
    lines, slanted = [], []
    for row in rows:
        base = row * width
        taps = [flat.gather(1, (base + column).view(n, -1)).view_as(x) for column in columns]
        lines.append(_dot(_weights(fx), taps))
        if slopes:
            slanted.append(_dot(_slopes(fx), taps))
    value = _dot(_weights(fy), lines)
    if not slopes:
        return value, value[:0], value[:0]
    return value, _dot(_weights(fy), slanted), _dot(_slopes(fy), lines)


def _neighbours(position: Tensor, length: int) -> tuple[list[Tensor], Tensor]:
    """The four pixels around each position, mirrored at the border, and its distance from the second of them."""
    second = position.floor().clamp(max=length - 1)
    at = second.long()
    last = length - 1
    return [(at - 1).abs(), at, last - (last - 1 - at).abs(), last - (last - 2 - at).abs()], position - second


def _weights(f: Tensor) -> list[Tensor]:
    rest = 1 - f
    k0, k3 = rest**3 / 6, f**3 / 6
    k1 = (f - 2) * f * f / 2 + 2 / 3
    return [k0, k1, 1 - k0 - k1 - k3, k3]


def _slopes(f: Tensor) -> list[Tensor]:
    """Derivatives of the weights."""
    k0, k3 = -((1 - f) ** 2) / 2, f * f / 2
    k1 = f * (1.5 * f - 2)
    return [k0, k1, -(k0 + k1 + k3), k3]


def _dot(weights: Sequence[Tensor | float], values: Sequence[Tensor]) -> Tensor:
    total = weights[0] * values[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        total = torch.addcmul(total, weight, value) if isinstance(weight, Tensor) else total.add(value, alpha=weight)
    return total
