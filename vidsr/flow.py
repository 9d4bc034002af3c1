"""Frames between two frames, by classical optical flow.

Dense inverse search (Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016) finds the motion both
ways on luma; both motions are projected to the wanted phase by forward splatting weighted by how far they can be
trusted (Niklaus and Liu, "Softmax splatting", CVPR 2020), holes are filled from coarser levels, and both frames are
warped backward and blended where they are visible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from vidsr.frames import FrameBatch

Array = NDArray[np.float32]

FLOW_PIXELS = 640 * 360  # above it, flow is found on a picture reduced until it fits
TRUST_PHOTO, TRUST_FLOW = 0.15, 0.3  # fall of splatting weight per code value and per pixel of disagreement
AGREEMENT = 1.5  # pixels of disagreement at which a pixel's say falls to 1/e
CONSISTENT = 1.5  # pixels of disagreement up to which a motion counts as found
LEAST_SAY = 0.05


@dataclass(frozen=True)
class FlowEngine:
    """Optical flow; ``depth`` is the bits per sample of the planes."""

    depth: int = 8
    name: str = "flow"

    def prepare(self, a: FrameBatch, b: FrameBatch) -> FlowPair:
        """The motion between two single frames, both ways, found once for all phases."""
        return FlowPair(a, b, self.depth)


class FlowPair:
    """Two frames and the motion between them."""

    def __init__(self, a: FrameBatch, b: FrameBatch, depth: int) -> None:
        self._a, self._b = a, b
        h, w = a.y.shape[-2:]
        step = max(1, math.ceil(math.sqrt(h * w / FLOW_PIXELS)))
        size = (max(16, -(-w // step)), max(16, -(-h // step)))
        luma_a, luma_b = (_flow_luma(frame.y, depth, size) for frame in (a, b))
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._forward = np.asarray(dis.calc(luma_a, luma_b, None), np.float32)
        self._backward = np.asarray(dis.calc(luma_b, luma_a, None), np.float32)
        self._weights = [
            _trust(*args)
            for args in (
                (self._forward, self._backward, luma_a, luma_b),
                (self._backward, self._forward, luma_b, luma_a),
            )
        ]
        self.follows = True

    def at(self, phases: Sequence[Fraction]) -> tuple[Tensor, Tensor | None]:
        """Luma and chroma planes at each of ``phases``, float32."""
        pictures = [self._picture(float(phase)) for phase in phases]
        uv = None if pictures[0][1] is None else torch.cat([chroma for _, chroma in pictures if chroma is not None])
        return torch.cat([y for y, _ in pictures]), uv

    def _picture(self, phase: float) -> tuple[Tensor, Tensor | None]:
        to_a, say_a = _project(self._forward, *self._weights[0], phase)
        to_b, say_b = _project(self._backward, *self._weights[1], 1 - phase)
        say_a, say_b = say_a * (1 - phase), say_b * phase

        def blend(plane_a: Tensor, plane_b: Tensor) -> Tensor:
            return _blend(plane_a, plane_b, -phase * to_a, -(1 - phase) * to_b, say_a, say_b, phase)

        uv = None if self._a.uv is None or self._b.uv is None else blend(self._a.uv, self._b.uv)
        return blend(self._a.y, self._b.y), uv


def _flow_luma(y: Tensor, depth: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    plane = y[0, 0].numpy()
    if plane.shape != size[::-1]:
        plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    if plane.dtype == np.uint8:
        return np.ascontiguousarray(plane)
    return np.asarray(np.clip(plane.astype(np.float32) * (255 / ((1 << depth) - 1)) + 0.5, 0, 255), np.uint8)


def _grid(h: int, w: int) -> tuple[Array, Array]:
    y, x = np.indices((h, w), dtype=np.float32)
    return x, y


def _warp(plane: Array, flow: Array, interpolation: int) -> Array:
    x, y = _grid(*flow.shape[:2])
    return np.asarray(
        cv2.remap(plane, x + flow[..., 0], y + flow[..., 1], interpolation, borderMode=cv2.BORDER_REPLICATE)
    )


def _trust(flow: Array, back: Array, luma: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[Array, Array]:
    """Splatting weight and agreement of each pixel's motion, both in (0, 1]."""
    disagreement = np.linalg.norm(flow + _warp(back, flow, cv2.INTER_LINEAR), axis=-1)
    photo = np.abs(luma.astype(np.float32) - _warp(other.astype(np.float32), flow, cv2.INTER_LINEAR))
    weight = np.exp(-np.minimum(TRUST_PHOTO * photo + TRUST_FLOW * disagreement, 20))
    return weight.astype(np.float32), np.exp(-disagreement / AGREEMENT).astype(np.float32)


def _project(flow: Array, weight: Array, agree: Array, phase: float) -> tuple[Array, Array]:
    """The motion and its say, as they lie at ``phase`` of the way along ``flow``."""
    sums = _splat(flow, weight, agree, phase)
    filled = _fill(sums)
    return filled[..., :2], filled[..., 2]


@njit(cache=True, nogil=True)
def _splat(flow, weight, agree, phase):  # type: ignore[no-untyped-def]
    """Weighted sums of (flow x, flow y, agreement, 1), pushed ``phase`` along the flow onto the four nearest pixels."""
    h, w = weight.shape
    sums = np.zeros((h, w, 4), np.float32)
    for row in range(h):
        for col in range(w):
            u, v = flow[row, col, 0], flow[row, col, 1]
            x, y = col + phase * u, row + phase * v
            x0, y0 = int(np.floor(x)), int(np.floor(y))
            for dy in range(2):
                for dx in range(2):
                    tx, ty = x0 + dx, y0 + dy
                    if 0 <= tx < w and 0 <= ty < h:
                        share = weight[row, col] * abs(1 - dx - (x - x0)) * abs(1 - dy - (y - y0))
                        sums[ty, tx, 0] += share * u
                        sums[ty, tx, 1] += share * v
                        sums[ty, tx, 2] += share * agree[row, col]
                        sums[ty, tx, 3] += share
    return sums


def _fill(sums: Array) -> Array:
    """Normalised sums; where nothing was splatted, the value of coarser levels and no say (pull-push)."""
    levels = [sums]
    while min(levels[-1].shape[:2]) > 2:
        h, w = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (-(-w // 2), -(-h // 2)), interpolation=cv2.INTER_AREA))
    value = levels[-1][..., :3] / np.maximum(levels[-1][..., 3:], 1e-12)
    for level in reversed(levels[:-1]):
        value = cv2.resize(value, level.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        value[..., 2] = 0
        value = (level[..., :3] + 0.01 * value) / (level[..., 3:] + 0.01)
    return np.asarray(value, np.float32)


def _blend(a: Tensor, b: Tensor, to_a: Array, to_b: Array, say_a: Array, say_b: Array, phase: float) -> Tensor:
    """1 x C x H x W planes of both frames, warped and mixed; flows and weights are resized to the planes."""
    h, w = a.shape[-2:]
    maps = [_resized_flow(flow, w, h) for flow in (to_a, to_b)]
    says = [cv2.resize(say, (w, h), interpolation=cv2.INTER_LINEAR) for say in (say_a, say_b)]
    total = says[0] + says[1]
    share_b = (says[1] + LEAST_SAY * phase) / (total + LEAST_SAY)
    confidence = np.clip(total / 0.3, 0, 1)
    result = np.empty(a.shape[1:], np.float32)
    for channel in range(a.shape[1]):
        plain_a, plain_b = (frame[0, channel].numpy().astype(np.float32) for frame in (a, b))
        warped_a, warped_b = (
            _warp(plane, flow, cv2.INTER_CUBIC) for plane, flow in ((plain_a, maps[0]), (plain_b, maps[1]))
        )
        moved = warped_a + share_b * (warped_b - warped_a)
        mixed = plain_a + phase * (plain_b - plain_a)
        result[channel] = moved + 0.5 * (1 - confidence) * (mixed - moved)
    return torch.from_numpy(result)[None]


def _resized_flow(flow: Array, w: int, h: int) -> Array:
    fh, fw = flow.shape[:2]
    if (fw, fh) == (w, h):
        return flow
    return np.asarray(cv2.resize(flow, (w, h), interpolation=cv2.INTER_LINEAR) * np.float32([w / fw, h / fh]))
