"""Frames between two frames, by classical optical flow.

Dense inverse search (Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016) finds the motion both
ways on luma; both motions are projected to the wanted phase; both frames are warped there and mixed by who sees what,
and by whether moving explains the pair better than standing still.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.flow.motion import find_flows
from vidsr.flow.overlay import pinned
from vidsr.flow.projection import project, trust
from vidsr.flow.warp import mismatch, render, spline
from vidsr.frames import FrameBatch

Array = NDArray[Any]  # float32

FLOW_PIXELS = 640 * 360  # a larger picture is reduced for the search of motion until it fits
SMALLEST_SIDE = 32  # dense inverse search needs room for its patches
FOLLOWED = 1.0  # pixels of the field by which the way there and back may miss
WINDOW = 9  # pixels of the field over which moving is compared with standing still
NOISE = 1.0  # code values of mismatch that mean nothing
STILL = 0.5  # weight of standing still where both explain the pair equally well


@dataclass(frozen=True)
class FlowEngine:
    """Optical flow, for planes of ``depth`` bits."""

    depth: int = 8
    name: str = "optical flow"

    def prepare(self, a: FrameBatch, b: FrameBatch) -> FlowPair:
        """The motion between two single frames, both ways, found once for all phases."""
        return FlowPair(a, b, self.depth)


class FlowPair:
    """Two frames and the motion between them. Fields stand at half the size at which motion was searched."""

    def __init__(self, a: FrameBatch, b: FrameBatch, depth: int) -> None:
        channels = list(zip(_channels(a), _channels(b), strict=True))
        size = _search_size(*a.y.shape[-2:])
        lumas = [_resized(plane, size) * np.float32(255 / ((1 << depth) - 1)) for plane in channels[0]]
        pin = pinned(*lumas)
        self._planes = [(p, q, spline(p), spline(q), _resized(pin, p.shape)) for p, q in channels]
        self._forward, self._backward = (_half(flow) / 2 for flow in find_flows(*map(cv2.convertScaleAbs, lumas)))
        self._luma_a, self._luma_b = (_half(luma) for luma in lumas)
        self._trust_a, astray = trust(self._forward, self._backward, self._luma_a, self._luma_b)
        self._trust_b, _ = trust(self._backward, self._forward, self._luma_b, self._luma_a)
        self._change = _window(np.abs(self._luma_a - self._luma_b))
        self.followed = float((astray < FOLLOWED).mean())

    def at(self, phases: Sequence[Fraction]) -> tuple[Tensor, Tensor | None]:
        """Luma and chroma planes at each of ``phases``, float32 code values."""
        pictures = [self._picture(float(phase)) for phase in phases]
        y = torch.from_numpy(np.stack([[luma] for luma, *_ in pictures]))
        if len(self._planes) == 1:
            return y, None
        return y, torch.from_numpy(np.stack([chroma for _, *chroma in pictures]))

    def _picture(self, phase: float) -> list[Array]:
        field = self._field(phase)
        return [render(*planes, field, phase) for planes in self._planes]

    def _field(self, phase: float) -> Array:
        motion, share = project(self._forward, self._backward, self._trust_a, self._trust_b, phase)
        moving = _window(mismatch(self._luma_a, self._luma_b, motion, phase))
        still = STILL * moving**2 / (STILL * moving**2 + self._change**2)
        return np.dstack([motion, share, still])


def _channels(frame: FrameBatch) -> list[Array]:
    planes = [frame.y[0, 0]] if frame.uv is None else [frame.y[0, 0], *frame.uv[0]]
    return [plane.numpy().astype(np.float32) for plane in planes]


def _search_size(h: int, w: int) -> tuple[int, int]:
    """Height and width, even, of the picture in which motion is searched."""
    step = max(1, math.ceil(math.sqrt(h * w / FLOW_PIXELS)))
    return max(SMALLEST_SIDE, -(-h // step) // 2 * 2), max(SMALLEST_SIDE, -(-w // step) // 2 * 2)


def _resized(plane: Array, size: tuple[int, ...]) -> Array:
    if plane.shape == size:
        return plane
    smaller = size < plane.shape
    return cv2.resize(plane, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _half(plane: Array) -> Array:
    h, w = plane.shape[:2]
    return np.asarray(cv2.resize(plane, (w // 2, h // 2), interpolation=cv2.INTER_AREA))


def _window(error: Array) -> Array:
    """Mean of ``error`` around each pixel, and the noise."""
    return np.asarray(cv2.blur(error, (WINDOW, WINDOW))) + np.float32(NOISE)
