"""Frames between two frames, by classical optical flow.

Dense inverse search (Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016) finds the motion both
ways on luma; both motions are projected to the wanted phase; both frames are warped there and mixed by who sees what,
and by whether moving explains the pair better than standing still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import vidsr.kernels.jit  # noqa: F401  # first: it finds a folder for what Numba compiles
from vidsr.flow.curve import acceleration, curved, straight
from vidsr.flow.obmc import AROUND, chances, expected
from vidsr.flow.projection import project, trust
from vidsr.flow.residual import refined
from vidsr.flow.search import find_flows, resized, searched
from vidsr.flow.static_overlay import pinned
from vidsr.flow.temporal_check import missed, witnessed
from vidsr.flow.warp import mismatch, render, spline
from vidsr.frames import FrameBatch

Array = NDArray[Any]  # float32

UNEVEN = 2.0  # a neighbouring interval this many times longer or shorter says nothing about this one
FOLLOWED = 1.0  # pixels of the field by which the way there and back may miss
CALM = 0.33  # pixels of the field over the interval, at which half of a motion is taken to be noise
WINDOW = 9  # pixels of the field over which moving is compared with standing still
NOISE = 1.0  # code values of mismatch that mean nothing
STILL = 0.5  # weight of standing still where both explain the pair equally well


class FlowEngine:
    """Optical flow, for planes of ``depth`` bits."""

    name = "optical flow"
    weights: ClassVar[dict[str, str]] = {}

    def __init__(self, depth: int = 8) -> None:
        self._depth = depth
        self._latest: Side | None = None

    def prepare(self, a: FrameBatch, b: FrameBatch) -> FlowPair:
        """The motion between two single frames, both ways, found once for all phases."""
        first = self._latest
        if first is None or first.frame is not a:  # a frame is most often the second of one pair, then the first
            first = Side(a, self._depth)
        self._latest = Side(b, self._depth)
        return FlowPair(first, self._latest)


class Look(NamedTuple):
    """Luma of one frame, 8-bit code values in float32, for all that compares frames."""

    luma: Array  # as motion is searched in it
    small: Array  # half the size, that of the fields

    @classmethod
    def of(cls, luma: Array) -> Look:
        """Both sizes of ``luma``."""
        return cls(luma, _half(luma))


class Side:
    """One frame of a pair, in the forms that are needed of it."""

    def __init__(self, frame: FrameBatch, depth: int) -> None:
        self.frame = frame
        self.look = Look.of(searched(frame.y[0, 0].numpy(), depth))

    @cached_property
    def planes(self) -> list[Array]:
        """Each plane in float32. It and ``splines`` are large: made when first rendered, not when motion is found."""
        uv = [] if self.frame.uv is None else list(self.frame.uv[0])
        return [plane.numpy().astype(np.float32) for plane in (self.frame.y[0, 0], *uv)]

    @cached_property
    def splines(self) -> list[Array]:
        """Spline coefficients of each plane."""
        return [spline(plane) for plane in self.planes]


@dataclass(frozen=True, eq=False)
class Motion:
    """Motion both ways between two frames, and how far to trust it, in fields of half the size of the search."""

    duration: Fraction  # seconds from the first to the second
    first: Look
    second: Look
    forward: Array
    backward: Array
    trust_a: Array
    trust_b: Array
    flow_confidence: float  # share of the frame where forward and backward flow agree

    @classmethod
    def between(cls, a: Side, b: Side, thorough: bool = False) -> Motion:
        """The motion between two frames."""
        first, second = a.look, b.look
        flows = find_flows(cv2.convertScaleAbs(first.luma), cv2.convertScaleAbs(second.luma), thorough)
        forward, backward = (_half(flow) / 2 for flow in flows)
        trust_a, astray = trust(forward, backward, first.small, second.small)
        trust_b, _ = trust(backward, forward, second.small, first.small)
        duration, flow_confidence = b.frame.times[0] - a.frame.times[0], float((astray < FOLLOWED).mean())
        return cls(duration, first, second, forward, backward, trust_a, trust_b, flow_confidence)

    def sides(self, before: object, after: object) -> tuple[Motion, Motion] | None:
        """The motion before and after, where both are known and over intervals not too unlike this one."""
        if not (isinstance(before, Motion) and isinstance(after, Motion)):
            return None
        ratios = [self._ratio(side) for side in (before, after)]
        return None if min(ratios) < 1 / UNEVEN or max(ratios) > UNEVEN else (before, after)

    def bends(self, before: Motion, after: Motion) -> tuple[Array, Array]:
        """Acceleration at the first and at the second frame."""
        return (
            acceleration(self.forward, before.backward, self.trust_a, before.trust_b, self._ratio(before)),
            acceleration(self.backward, after.forward, self.trust_b, after.trust_a, self._ratio(after)),
        )

    def missed(self, ways: Array, before: Motion, after: Motion) -> tuple[Array, Array]:
        """What the frames beyond the first and the second miss of them, as they are seen along ``ways``."""
        return (
            missed(self.first.small, before.first.small, ways[..., :2], before.backward),
            missed(self.second.small, after.second.small, ways[..., 2:4], after.forward),
        )

    def _ratio(self, side: Motion) -> float:
        return float(side.duration / self.duration)


class FlowPair:
    """Two frames and the motion between them; ``thorough``: searched to the last pixel, in twice the time."""

    def __init__(self, a: Side, b: Side, thorough: bool = False) -> None:
        self._a, self._b, self._thorough = a, b, thorough
        self._motion: Motion | None = None

    @property
    def motion(self) -> Motion:
        """The motion between the two, both ways. Not a cached property: until Python 3.12 threads wait at those."""
        if self._motion is None:
            self._motion = Motion.between(self._a, self._b, self._thorough)
        return self._motion

    def thorough(self) -> FlowPair:
        """The same two frames, searched to the last pixel."""
        return FlowPair(self._a, self._b, thorough=True)

    @property
    def planes(self) -> tuple[list[Array], list[Array]]:
        """The planes of both frames, float32 code values."""
        return self._a.planes, self._b.planes

    @property
    def searched(self) -> tuple[Array, Array]:
        """8-bit luma of both frames, float32, at the size at which motion is searched."""
        return self._a.look.luma, self._b.look.luma

    @property
    def flow_confidence(self) -> float:
        """Share of the frame where forward and backward flow agree."""
        return self.motion.flow_confidence

    def at(
        self, phases: Sequence[Fraction], before: object = None, after: object = None
    ) -> tuple[Tensor, Tensor | None]:
        """Luma and chroma planes at each of ``phases``, float32 code values.

        ``before`` and ``after`` are the motion on either side, if the scene goes on there: paths then may bend, what
        stands still must do so in three frames, and the frames beyond tell which of the two is right.
        """
        pins = self.pins(before, after)
        pictures = [self.render(self.field(phase, before, after), phase, pins) for phase in phases]
        y = torch.from_numpy(np.stack([[luma] for luma, *_ in pictures]))
        if len(pictures[0]) == 1:
            return y, None
        return y, torch.from_numpy(np.stack([chroma for _, *chroma in pictures]))

    def pins(self, before: object = None, after: object = None) -> list[Array]:
        """How far each pixel of each plane is to be held in place."""
        earlier = before.first.luma if isinstance(before, Motion) else None
        later = after.second.luma if isinstance(after, Motion) else None
        pin = pinned(self._a.look.luma, self._b.look.luma, earlier, later)
        return [resized(pin, plane.shape) for plane in self._a.planes]

    @cached_property
    def _change(self) -> Array:
        """How much the picture changes around each pixel of the field."""
        return _window(np.abs(self._a.look.small - self._b.look.small))

    def render(self, field: Array, phase: Fraction, pins: Sequence[Array]) -> list[Array]:
        """Each plane at ``phase``, made as ``field`` says and held in place where ``pins`` do."""
        a, b = self._a, self._b
        planes = zip(a.planes, b.planes, a.splines, b.splines, pins, strict=True)
        return [render(*plane, field, float(phase)) for plane in planes]

    def field(self, when: Fraction, before: object = None, after: object = None) -> Array:
        """How each pixel at phase ``when`` is made, h x w x 6 as `vidsr.flow.warp.render` reads it."""
        known, phase = self.motion, float(when)
        sides = known.sides(before, after)
        motion, share = project(known.forward, known.backward, known.trust_a, known.trust_b, phase)
        ways = calmed(straight(motion, phase) if sides is None else curved(motion, phase, *known.bends(*sides)))
        apart = self._mismatch(ways)
        if sides is not None:
            share = witnessed(share, apart, *known.missed(ways, *sides))
        return np.dstack([ways, share, self._still(apart)])

    def refined(self, field: Array, when: Fraction) -> Array:
        """``field`` with what motion is left at ``when``."""
        ways = calmed(refined(self._a.look.luma, self._b.look.luma, field[..., :4], float(when)))
        return np.dstack([ways, field[..., 4], self._still(self._mismatch(ways))])

    def _mismatch(self, ways: Array) -> Array:
        """How far both frames are apart along ``ways``, code values."""
        return np.asarray(mismatch(self._a.look.small, self._b.look.small, ways))

    def _still(self, apart: Array) -> Array:
        """How far standing still explains the pair better than a motion that leaves it so far ``apart``, 0 to 1."""
        moving = _window(apart)
        return np.asarray(STILL * moving**2 / (STILL * moving**2 + self._change**2))

    def expected(self, ways: Array) -> list[Array]:
        """Of each plane, 2 x h x w: both frames as they are on average along ``ways`` and the motions around."""
        odds = chances(self._a.look.luma, self._b.look.luma, ways)
        return [expected(a, b, ways, odds, AROUND) for a, b in zip(self._a.splines, self._b.splines, strict=True)]


def calmed(ways: Array) -> Array:
    """``ways`` without motion that is next to none: noise moves so, and to sample between pixels only blurs."""
    squared = np.square(ways[..., 0] - ways[..., 2]) + np.square(ways[..., 1] - ways[..., 3])
    kept = np.square(squared) / (np.square(squared) + np.float32(CALM**4))
    return np.asarray(ways * kept[..., None])


def _half(plane: Array) -> Array:
    h, w = plane.shape[:2]
    return np.asarray(cv2.resize(plane, (w // 2, h // 2), interpolation=cv2.INTER_AREA))


def _window(error: Array) -> Array:
    """Mean of ``error`` around each pixel, and the noise."""
    return np.asarray(cv2.blur(error, (WINDOW, WINDOW))) + np.float32(NOISE)
