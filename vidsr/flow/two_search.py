"""Quick and thorough flow search for one pair, and candidate frames from both.

The quick search is that of the engine ``flow``. The thorough one goes down to single pixels, is refined at the wanted
phase, and is averaged by overlapped block motion compensation (`vidsr.flow.obmc`). Where the searches disagree, so do
the frames made from them, and each is right at times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from vidsr.flow.bidirectional_flow import Array, BidirectionalFlow
from vidsr.flow.flow_engine import FlowPair


@dataclass(frozen=True, eq=False)
class TwoSearchFlow:
    """The flow between two frames, by both searches."""

    quick: BidirectionalFlow
    thorough: BidirectionalFlow


class TwoSearchPair:
    """Two frames with their flow by both searches."""

    def __init__(self, quick: FlowPair) -> None:
        self.quick, self._thorough = quick, quick.thorough()

    @property
    def motion(self) -> TwoSearchFlow:
        """Flow by both searches."""
        return TwoSearchFlow(self.quick.motion, self._thorough.motion)

    @property
    def flow_confidence(self) -> float:
        """Share of the frame where forward and backward flow agree, by the thorough search."""
        return self.motion.thorough.flow_confidence

    def static_masks(self, before: TwoSearchFlow | None = None, after: TwoSearchFlow | None = None) -> list[Array]:
        """Return the mask of static overlays for each plane, 0 to 1."""
        return self.quick.static_masks(_quick(before), _quick(after))

    def candidates(
        self,
        phase: Fraction,
        masks: Sequence[Array],
        before: TwoSearchFlow | None = None,
        after: TwoSearchFlow | None = None,
    ) -> tuple[Array, list[Array]]:
        """Return the motion field and the candidate planes at ``phase``.

        ``masks`` are those of `static_masks`. ``before`` and ``after`` are the `motion` of the pairs on either side.

        Returns:
            The motion field of the thorough search, h x w x 6, as `vidsr.flow.warp.render` reads it. For each plane,
            3 x h x w code values: both frames by overlapped block motion compensation, and the frame that ``flow``
            makes.
        """
        field = self.quick.refine(self._thorough.field(phase, _thorough(before), _thorough(after)), phase)
        predicted = self.quick.obmc_predict(np.ascontiguousarray(field[..., :4]))
        rendered = self.quick.render(self.quick.field(phase, _quick(before), _quick(after)), phase, masks)
        return field, [np.concatenate([both, plane[None]]) for both, plane in zip(predicted, rendered, strict=True)]


def _quick(flow: TwoSearchFlow | None) -> BidirectionalFlow | None:
    return None if flow is None else flow.quick


def _thorough(flow: TwoSearchFlow | None) -> BidirectionalFlow | None:
    return None if flow is None else flow.thorough
