"""Frame interpolation by optical flow: the engine ``flow``.

Dense inverse search (Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016) finds the flow in both
directions on luma. Both flows are projected to the wanted phase, and both frames are warped there. Occlusion decides
the blend of the two, and static areas take the plain mean instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np
import torch
from torch import Tensor

from vidsr.flow.bidirectional_flow import Array, BidirectionalFlow, PreparedFrame, coarse_flows
from vidsr.flow.drawn_content import shows_ghosts
from vidsr.flow.obmc import NEIGHBOURHOOD, obmc_predict, obmc_weights
from vidsr.flow.projection import curved_displacements, project, straight_displacements
from vidsr.flow.search import refine_displacements, resize_plane
from vidsr.flow.static_overlay import static_mask
from vidsr.flow.temporal_check import checked_weight
from vidsr.flow.warp import mismatch, render
from vidsr.frames import FrameBatch
from vidsr.runtime.concurrency import lazy

FAINT_MOTION = 0.33  # field pixels over the interval: half of such a motion counts as noise
WINDOW = 9  # field pixels over which warped and unwarped frames are compared
NOISE = 1.0  # code values of mismatch that noise explains
STATIC = 0.5  # static weight where warped and unwarped frames match equally well


class FlowEngine:
    """Interpolation engine for planes of ``depth`` bits, by optical flow alone."""

    def __init__(self, depth: int = 8) -> None:
        self._depth = depth
        self._latest: PreparedFrame | None = None

    def prepare(self, a: FrameBatch, b: FrameBatch) -> FlowPair:
        """Return the pair of two single frames; its flow is found only once."""
        first = self._latest
        if first is None or first.frame is not a:  # most frames are the second of one pair, then the first of the next
            first = PreparedFrame(a, self._depth)
        self._latest = PreparedFrame(b, self._depth)
        return FlowPair(first, self._latest)


class FlowPair:
    """Two frames and the optical flow between them.

    With ``quick``, a pair of the same frames, the search goes on from its flow down to single pixels.

    The motion field of a phase is h x w x 6, as `vidsr.flow.warp.render` reads it: displacements to both frames (x and
    y each), weight of the second frame, static weight.
    """

    def __init__(self, a: PreparedFrame, b: PreparedFrame, quick: FlowPair | None = None) -> None:
        self._a, self._b, self._quick = a, b, quick

    @lazy
    def motion(self) -> BidirectionalFlow:
        """Flow in both directions."""
        if self._quick is None:
            return BidirectionalFlow.between(self._a, self._b, coarse_flows(self._a, self._b))
        found = self._quick.motion
        return BidirectionalFlow.between(self._a, self._b, (found.forward, found.backward), thorough=True)

    def thorough(self) -> FlowPair:
        """Return the same two frames with a thorough search."""
        return FlowPair(self._a, self._b, quick=self)

    @property
    def planes(self) -> tuple[list[Array], list[Array]]:
        """Planes of both frames, float32 code values."""
        return self._a.planes, self._b.planes

    @property
    def search_luma(self) -> tuple[Array, Array]:
        """8-bit luma of both frames, float32, at the size of the motion search."""
        return self._a.luma.full, self._b.luma.full

    @property
    def flow_confidence(self) -> float:
        """Share of the frame where forward and backward flow agree."""
        return self.motion.flow_confidence

    @property
    def holds(self) -> bool:
        """Whether a held frame is better than an interpolated one: drawn content whose motion the flow misses."""
        if not (self._a.is_drawn and self._b.is_drawn):
            return False
        flow, middle = self.motion, 0.5
        motion, _ = project(flow.forward, flow.backward, flow.confidence_a, flow.confidence_b, middle)
        displacements = without_faint_motion(straight_displacements(motion, middle))
        return shows_ghosts(self._mismatch(displacements), self._a.luma.half, self._b.luma.half)

    def interpolate(
        self,
        phases: Sequence[Fraction],
        before: BidirectionalFlow | None = None,
        after: BidirectionalFlow | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return luma and chroma at each of ``phases``, float32 code values.

        ``before`` and ``after`` are the flow on either side, None across a scene cut. With both, trajectories may curve
        and the frames beyond check which of the two warped frames is right. With either, static overlays must be
        unchanged over three frames.
        """
        masks = self.static_masks(before, after)
        frames = [self.render(self.field(phase, before, after), phase, masks) for phase in phases]
        y = torch.from_numpy(np.stack([[luma] for luma, *_ in frames]))
        if len(frames[0]) == 1:
            return y, None
        return y, torch.from_numpy(np.stack([chroma for _, *chroma in frames]))

    def static_masks(
        self, before: BidirectionalFlow | None = None, after: BidirectionalFlow | None = None
    ) -> list[Array]:
        """Return the mask of static overlays for each plane, 0 to 1."""
        earlier = None if before is None else before.luma_a.full
        later = None if after is None else after.luma_b.full
        mask = static_mask(self._a.luma.full, self._b.luma.full, earlier, later)
        return [resize_plane(mask, plane.shape) for plane in self._a.planes]

    @lazy
    def _unwarped_mismatch(self) -> Array:
        """Mean difference of the unwarped frames around each pixel of the field, code values."""
        return _windowed(np.abs(self._a.luma.half - self._b.luma.half))

    def render(self, field: Array, phase: Fraction, masks: Sequence[Array]) -> list[Array]:
        """Return each plane at ``phase`` by ``field``; ``masks`` are those of `static_masks`."""
        a, b = self._a, self._b
        planes = zip(a.planes, b.planes, a.splines, b.splines, masks, strict=True)
        return [render(*plane, field, float(phase)) for plane in planes]

    def field(
        self, phase: Fraction, before: BidirectionalFlow | None = None, after: BidirectionalFlow | None = None
    ) -> Array:
        """Return the motion field at ``phase``; ``before`` and ``after`` as for `interpolate`."""
        flow, p = self.motion, float(phase)
        sides = flow.usable_neighbours(before, after)
        motion, second_weight = project(flow.forward, flow.backward, flow.confidence_a, flow.confidence_b, p)
        if sides is None:
            displacements = without_faint_motion(straight_displacements(motion, p))
            difference = self._mismatch(displacements)
        else:
            displacements = without_faint_motion(curved_displacements(motion, p, *flow.accelerations(*sides)))
            difference = self._mismatch(displacements)
            second_weight = checked_weight(second_weight, difference, *flow.mismatches_beyond(displacements, *sides))
        return np.dstack([displacements, second_weight, self._static_weight(difference)])

    def refine(self, field: Array, phase: Fraction) -> Array:
        """Return ``field`` with its displacements refined at ``phase``.

        The refinement is a search between the warped frames (`vidsr.flow.search.refine_displacements`).
        """
        refined = refine_displacements(self._a.luma.full, self._b.luma.full, field[..., :4], float(phase))
        displacements = without_faint_motion(refined)
        return np.dstack([displacements, field[..., 4], self._static_weight(self._mismatch(displacements))])

    def _mismatch(self, displacements: Array) -> Array:
        """Return the absolute difference of both frames along ``displacements``, code values."""
        return np.asarray(mismatch(self._a.luma.half, self._b.luma.half, displacements))

    def _static_weight(self, warped_mismatch: Array) -> Array:
        """Return the static weight, 0 to 1.

        It is high where the unwarped frames match better than the warped ones.
        """
        warped = _windowed(warped_mismatch)
        return np.asarray(STATIC * warped**2 / (STATIC * warped**2 + self._unwarped_mismatch**2))

    def obmc_predict(self, displacements: Array) -> list[Array]:
        """Return both frames by overlapped block motion compensation: 2 x h x w for each plane."""
        weights = obmc_weights(self._a.luma.half, self._b.luma.half, displacements)
        splines = zip(self._a.splines, self._b.splines, strict=True)
        return [obmc_predict(a, b, displacements, weights, NEIGHBOURHOOD) for a, b in splines]


def without_faint_motion(displacements: Array) -> Array:
    """Return ``displacements`` with motion near zero damped.

    Such motion is mostly noise, and sampling between pixels blurs.
    """
    squared = np.square(displacements[..., 0] - displacements[..., 2]) + np.square(
        displacements[..., 1] - displacements[..., 3]
    )
    kept = np.square(squared) / (np.square(squared) + np.float32(FAINT_MOTION**4))
    return np.asarray(displacements * kept[..., None])


def _windowed(error: Array) -> Array:
    """Return the mean of ``error`` around each pixel, plus `NOISE`."""
    return np.asarray(cv2.blur(error, (WINDOW, WINDOW))) + np.float32(NOISE)
