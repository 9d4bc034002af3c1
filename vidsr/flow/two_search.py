"""What is to be expected between two frames, by two searches for motion.

Motion is searched twice, quickly as `flow` does it and to the last pixel; the second is searched once more at the
moment to make (`residual`) and averaged with the motions around (`overlap`). Where the two searches disagree, the
pictures made from them do, and each is right at times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsr.flow.midpoint import FlowPair, Motion

Array = NDArray[Any]  # float32


@dataclass(frozen=True, eq=False)
class Motions:
    """The motion between two frames, searched quickly and thoroughly."""

    quick: Motion
    fine: Motion


class Prospect:
    """Two frames, and their motion searched twice."""

    def __init__(self, quick: FlowPair) -> None:
        self.quick, self._fine = quick, quick.thorough()

    @property
    def motion(self) -> Motions:
        """Both motions."""
        return Motions(self.quick.motion, self._fine.motion)

    @property
    def flow_confidence(self) -> float:
        """Share of the picture that the thorough search followed there and back."""
        return self.motion.fine.flow_confidence

    def pins(self, before: object = None, after: object = None) -> list[Array]:
        """How far each pixel of each plane is to be held in place."""
        return self.quick.pins(*_quick(before, after))

    def at(
        self, when: Fraction, pins: Sequence[Array], before: object = None, after: object = None
    ) -> tuple[Array, list[Array]]:
        """What is expected at phase ``when``; ``before`` and ``after``: `motion` of the pairs on either side.

        ``pins`` hold what `flow` makes in place, as `pins` gives them.

        Returns:
            The field as `vidsr.flow.warp.render` reads it; of each plane 3 x h x w code values: both frames as they
            are expected there, and the picture that `flow` makes.
        """
        known = self._fine.field(when, *_fine(before, after))
        field = self.quick.refined(known, when)
        expected = self.quick.expected(np.ascontiguousarray(field[..., :4]))
        made = self.quick.render(self.quick.field(when, *_quick(before, after)), when, pins)
        return field, [np.concatenate([moved, plane[None]]) for moved, plane in zip(expected, made, strict=True)]


def _quick(*sides: object) -> list[Motion | None]:
    """The motion on either side as it was searched quickly, where it is known."""
    return [side.quick if isinstance(side, Motions) else None for side in sides]


def _fine(*sides: object) -> list[Motion | None]:
    """The same, as it was searched thoroughly."""
    return [side.fine if isinstance(side, Motions) else None for side in sides]
