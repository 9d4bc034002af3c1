"""Steadying: luma averaged over time along the motion, so that what differs from frame to frame by mistake is less.

A window of three pictures: each is averaged with the one before and the one after it (`vidsr.flow.temporal_average`),
never across a scene cut. Frames that repeat a picture are one picture: what stands still stays so. Chroma is not
touched.
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

from vidsr.flow import scene_cuts as scenes
from vidsr.flow.search import find_flows, searched
from vidsr.flow.temporal_average import steadied
from vidsr.flow.warp import spline
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.stages.batching import gathered, singly
from vidsr.stages.changes import Changes

Array = NDArray[Any]  # float32
Neighbour = tuple[Array, Array]  # spline coefficients, and the motion to it

HELD_BYTES = 24  # per pixel: three pictures and their splines
LONGEST_WAIT = 8  # frames that repeat one picture and wait for the next: then they go on without it


class Steady:
    """Luma plus ``strength`` times what averaging with the neighbours changes of it."""

    name = "steady"

    def __init__(self, depth: int, strength: float = 1.0) -> None:
        self.depth = depth
        self.strength = strength
        self.changes = Changes(self.name, (1 << depth) - 1)

    def output(self, info: VideoInfo) -> VideoInfo:
        """The same stream."""
        return info

    def __str__(self) -> str:
        strength = "" if self.strength == 1 else f", strength {self.strength:g}"
        return f"steady: averaged with the frames before and after, along the motion{strength}"

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """The same frames in other batches, float32 luma on the CPU, not rounded."""
        return gathered(self._frames(singly(batches)))

    def _frames(self, frames: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        picture: Picture | None = None
        before: Neighbour | None = None
        for frame in frames:
            if picture is not None and torch.equal(frame.y, picture.frame.y):
                picture.waiting.append(frame)
                if picture.result is not None or len(picture.waiting) == LONGEST_WAIT:
                    yield from self._shown(picture, before, None)
                continue
            following = Picture(frame, self.depth)
            if picture is None:
                picture = following
                continue
            after, back = motion(picture, following)
            yield from self._shown(picture, before, after)
            picture, before = following, back
        if picture is not None:
            yield from self._shown(picture, before, None)

    def _shown(self, picture: Picture, before: Neighbour | None, after: Neighbour | None) -> Iterator[FrameBatch]:
        """The frames that wait, with the picture steadied; it is when it is first shown."""
        if picture.result is None:
            neighbours = [neighbour for neighbour in (before, after) if neighbour is not None]
            unit = ((1 << self.depth) - 1) / 255
            result = torch.from_numpy(steadied(picture.luma, neighbours, unit))[None, None]
            picture.result = torch.lerp(picture.frame.y.float(), result, self.strength)
        for frame in picture.waiting:
            self.changes.note(frame, picture.result)
            yield frame.planes(picture.result, frame.uv)
        picture.waiting.clear()


class Picture:
    """A picture that differs from the one before, and the frames that show it and were not handed on."""

    def __init__(self, frame: FrameBatch, depth: int) -> None:
        self.frame = frame
        self.waiting = [frame]
        self.result: Tensor | None = None
        self.luma: Array = frame.y[0, 0].numpy().astype(np.float32, copy=False)
        self.small = scenes.reduce(frame.y, depth)
        self.searched = cv2.convertScaleAbs(searched(self.luma, depth))

    @cached_property
    def coefficients(self) -> Array:
        """Of the spline through its pixels."""
        return spline(self.luma)


def motion(a: Picture, b: Picture) -> tuple[Neighbour | None, Neighbour | None]:
    """``b`` as a neighbour of ``a``, and ``a`` as one of ``b``; None and None where a new scene begins at ``b``."""
    if scenes.is_cut(a.small, b.small):
        return None, None
    forward, backward = find_flows(a.searched, b.searched)
    return (b.coefficients, forward), (a.coefficients, backward)
