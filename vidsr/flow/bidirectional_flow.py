"""Optical flow in both directions between two frames, with its confidence."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidsr.flow.drawn_content import is_drawn
from vidsr.flow.patch_search import patch_search, pyramid
from vidsr.flow.projection import acceleration, confidence
from vidsr.flow.search import Flow, find_coarse_flow, search_luma
from vidsr.flow.temporal_check import mismatch_beyond
from vidsr.flow.warp import spline_coefficients
from vidsr.frames import FrameBatch
from vidsr.runtime.concurrency import lazy

Array = NDArray[Any]  # float32

MAX_DURATION_RATIO = 2.0  # a neighbouring interval this many times longer or shorter is ignored
COARSE_LEVELS = 3  # sizes, from a quarter of that of the search on
# Pixels between patches. 5 instead of 4 costs `flow` 0.05 dB in the mean of five clips, and `net` nothing.
QUICK_STRIDE, THOROUGH_STRIDE = 4, 5
AGREEMENT = 1.0  # field pixels by which forward and backward flow may differ and still agree


class SearchLuma(NamedTuple):
    """Luma of one frame for motion search and comparison: 8-bit code values in float32."""

    full: Array  # at the size of the motion search
    half: Array  # half of that, the size of the flow fields
    quarter: Array

    @classmethod
    def of(cls, luma: Array) -> SearchLuma:
        """Return ``luma`` at all sizes."""
        return cls(*pyramid(luma, 3))


class PreparedFrame:
    """One frame of a pair, in the forms that flow search and warping need."""

    def __init__(self, frame: FrameBatch, depth: int) -> None:
        self.frame = frame
        self.luma = SearchLuma.of(search_luma(frame.y[0, 0].numpy(), depth))

    @lazy
    def planes(self) -> list[Array]:
        """Each plane in float32.

        Like ``splines`` it is large, so it is made at the first rendering, not before.
        """
        uv = [] if self.frame.uv is None else list(self.frame.uv[0])
        return [plane.numpy().astype(np.float32) for plane in (self.frame.y[0, 0], *uv)]

    @lazy
    def is_drawn(self) -> bool:
        """Whether the frame is flat areas with steep edges between them."""
        return is_drawn(self.luma.full)

    @lazy
    def splines(self) -> list[Array]:
        """Spline coefficients of each plane."""
        return [spline_coefficients(plane) for plane in self.planes]


def coarse_flows(a: PreparedFrame, b: PreparedFrame) -> tuple[Flow, Flow]:
    """Return a coarse flow between two frames, in both directions."""
    levels_a, levels_b = (pyramid(frame.luma.quarter, COARSE_LEVELS) for frame in (a, b))
    return find_coarse_flow(levels_a, levels_b), find_coarse_flow(levels_b, levels_a)


@dataclass(frozen=True, eq=False)
class BidirectionalFlow:
    """Optical flow between frames ``a`` and ``b``, in both directions.

    Fields have half the size of the search and are in pixels of that size.
    """

    duration: Fraction  # seconds from a to b
    luma_a: SearchLuma
    luma_b: SearchLuma
    forward: Array  # h x w x 2, from a to b
    backward: Array  # h x w x 2, from b to a
    confidence_a: Array  # h x w, 0 to 1, of ``forward``
    confidence_b: Array  # h x w, 0 to 1, of ``backward``
    flow_confidence: float  # share of the frame where forward and backward flow agree

    @classmethod
    def between(
        cls, a: PreparedFrame, b: PreparedFrame, start: tuple[Flow, Flow], thorough: bool = False
    ) -> BidirectionalFlow:
        """Return the flow between two frames, searched from ``start`` at half the size.

        ``thorough`` searches single pixels only: ``start`` is then the flow that was found without it.
        """
        (forward, backward), search = start, _thorough if thorough else _quick
        forward, backward = search(a.luma, b.luma, forward), search(b.luma, a.luma, backward)
        confidence_a, disagreement = confidence(forward, backward, a.luma.half, b.luma.half)
        confidence_b, _ = confidence(backward, forward, b.luma.half, a.luma.half)
        duration, flow_confidence = b.frame.times[0] - a.frame.times[0], float((disagreement < AGREEMENT).mean())
        return cls(duration, a.luma, b.luma, forward, backward, confidence_a, confidence_b, flow_confidence)

    def usable_neighbours(
        self, before: BidirectionalFlow | None, after: BidirectionalFlow | None
    ) -> tuple[BidirectionalFlow, BidirectionalFlow] | None:
        """Return both neighbours if they are usable, else None.

        Both must be known, and their durations similar to this one.
        """
        if before is None or after is None:
            return None
        ratios = [self._ratio(side) for side in (before, after)]
        is_uneven = min(ratios) < 1 / MAX_DURATION_RATIO or max(ratios) > MAX_DURATION_RATIO
        return None if is_uneven else (before, after)

    def accelerations(self, before: BidirectionalFlow, after: BidirectionalFlow) -> tuple[Array, Array]:
        """Return the acceleration at ``a`` and at ``b``, as `vidsr.flow.projection.acceleration` does."""
        return (
            acceleration(self.forward, before.backward, self.confidence_a, before.confidence_b, self._ratio(before)),
            acceleration(self.backward, after.forward, self.confidence_b, after.confidence_a, self._ratio(after)),
        )

    def mismatches_beyond(
        self, displacements: Array, before: BidirectionalFlow, after: BidirectionalFlow
    ) -> tuple[Array, Array]:
        """Return the mismatch of ``a`` and ``b`` with the frames beyond them, along the motion.

        The frame beyond ``a`` is the one before it, that beyond ``b`` the one after. Both results are h x w code values
        at the phase from which ``displacements`` lead to ``a`` and ``b``.
        """
        return (
            mismatch_beyond(self.luma_a.half, before.luma_a.half, displacements[..., :2], before.backward),
            mismatch_beyond(self.luma_b.half, after.luma_b.half, displacements[..., 2:4], after.forward),
        )

    def _ratio(self, other: BidirectionalFlow) -> float:
        return float(other.duration / self.duration)


def _quick(a: SearchLuma, b: SearchLuma, start: Flow) -> Flow:
    return patch_search(a.half, b.half, start, (a.half, b.half), QUICK_STRIDE)


def _thorough(a: SearchLuma, b: SearchLuma, start: Flow) -> Flow:
    return patch_search(a.full, b.full, start, (a.half, b.half), THOROUGH_STRIDE)
