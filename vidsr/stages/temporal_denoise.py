"""Temporal denoising: frames averaged over three along the motion.

Noise and flicker are reduced. Each frame is averaged with the previous and the next one
(`vidsr.flow.temporal_average`), never across a scene cut. A run of repeated frames counts as one frame, so repeats stay
equal. Chroma is averaged along the motion of luma where it was noisy, else it is unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.flow import scene_cuts
from vidsr.flow.search import find_flows, search_luma
from vidsr.flow.temporal_average import temporal_average
from vidsr.flow.warp import spline_coefficients
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.stages import Context
from vidsr.stages.batching import rebatched, single_frames
from vidsr.stages.frame_log import Changes

Array = NDArray[Any]  # float32
Neighbour = tuple[list[Array], Array]  # spline coefficients of the planes of a frame, and the optical flow to it

HELD_BYTES = 24  # per sample: three frames and their spline coefficients
CONTEXT = Context(before=1, after=1)  # the frames that are averaged
LONGEST_WAIT = 8  # repeats of a frame that wait for the next distinct frame; then they go on without it


class TemporalDenoise:
    """Luma, and chroma if ``chroma``, plus ``strength`` times what the temporal average changes of it."""

    name = "temporal_denoise"

    def __init__(self, depth: int, strength: float = 1.0, logged: bool = False, chroma: bool = False) -> None:
        self.depth = depth
        self.strength = strength
        self.chroma = chroma
        self.changes = Changes(self.name, (1 << depth) - 1, logged)

    def output(self, info: VideoInfo) -> VideoInfo:
        """Return ``info``: the format does not change."""
        return info

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the same frames in other batches, with unrounded float32 luma on the CPU."""
        return rebatched(self._frames(single_frames(batches)))

    def _frames(self, frames: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        current: DistinctFrame | None = None
        before: Neighbour | None = None
        for frame in frames:
            if current is not None and frame.repeats[0]:
                current.waiting.append(frame)
                if current.result is not None or len(current.waiting) == LONGEST_WAIT:
                    yield from self._denoised(current, before, None)
                continue
            following = DistinctFrame(frame, self.depth, self.chroma)
            if current is None:
                current = following
                continue
            after, back = as_neighbours(current, following)
            yield from self._denoised(current, before, after)
            current, before = following, back
        if current is not None:
            yield from self._denoised(current, before, None)

    def _denoised(
        self, current: DistinctFrame, before: Neighbour | None, after: Neighbour | None
    ) -> Iterator[FrameBatch]:
        """Yield the waiting frames with denoised luma.

        It is computed when the first of them is due.
        """
        if current.result is None:
            neighbours = [neighbour for neighbour in (before, after) if neighbour is not None]
            unit = ((1 << self.depth) - 1) / 255
            means = [
                torch.from_numpy(temporal_average(plane, [(planes[i], flow) for planes, flow in neighbours], unit))
                for i, plane in enumerate(current.planes)
            ]
            y, uv = current.frame.y, current.frame.uv
            y = torch.lerp(y.float(), means[0][None, None], self.strength)
            if uv is not None and means[1:]:
                uv = torch.lerp(uv.float(), torch.stack(means[1:])[None], self.strength)
            current.result = y, uv
        y, uv = current.result
        for frame in current.waiting:
            self.changes.add(frame, y)
            yield frame.planes(y, uv)
        current.waiting.clear()


class DistinctFrame:
    """A distinct frame, with the repeats that wait for its result."""

    def __init__(self, frame: FrameBatch, depth: int, chroma: bool = False) -> None:
        self.frame = frame
        self.waiting = [frame]
        self.result: tuple[Tensor, Tensor | None] | None = None
        planes = [frame.y[0, 0], *(frame.uv[0] if chroma and frame.uv is not None else ())]
        self.planes: list[Array] = [plane.numpy().astype(np.float32, copy=False) for plane in planes]
        self.thumbnail = scene_cuts.thumbnail(frame.y, depth)
        self.search_luma = cv2.convertScaleAbs(search_luma(self.planes[0], depth))

    @cached_property
    def coefficients(self) -> list[Array]:
        """Spline coefficients of the planes that are averaged."""
        return [spline_coefficients(plane) for plane in self.planes]


def as_neighbours(a: DistinctFrame, b: DistinctFrame) -> tuple[Neighbour | None, Neighbour | None]:
    """Return ``b`` as a neighbour of ``a``, and ``a`` as one of ``b``.

    Both are None across a scene cut.
    """
    if scene_cuts.is_cut(a.thumbnail, b.thumbnail):
        return None, None
    forward, backward = find_flows(a.search_luma, b.search_luma)
    return (b.coefficients, forward), (a.coefficients, backward)
