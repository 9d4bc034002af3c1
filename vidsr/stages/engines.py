"""Ways to make frames between two frames, behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from vidsr.device import Compute, choose
from vidsr.flow.midpoint import FlowEngine
from vidsr.frames import FrameBatch
from vidsr.options.choices import Interpolation
from vidsr.stages.network_engine import NetEngine

Planes = tuple[Tensor, Tensor | None]  # N x 1 x H x W and N x 2 x h x w code values


class Pair(Protocol):
    """Two neighbouring frames, ready to make what lies between them."""

    @property
    def flow_confidence(self) -> float | None:
        """Share of the picture whose motion was found, there and back; None if the engine does not look."""
        ...

    @property
    def motion(self) -> object:
        """What the pairs on either side may want to know of this one; None if they need not."""
        ...

    def at(self, phases: Sequence[Fraction], before: object = None, after: object = None) -> Planes:
        """One frame at each of ``phases`` (0 is the first frame, 1 the second), float32.

        ``before`` and ``after`` are the ``motion`` of the pairs on either side, where the scene goes on there.
        """
        ...


class Engine(Protocol):
    """A way to make frames between two frames."""

    @property
    def name(self) -> str:
        """What it is, in words."""
        ...

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of its weights file, if it has one, by the file's name."""
        ...

    def prepare(self, a: FrameBatch, b: FrameBatch) -> Pair:
        """The work that all phases between two single frames share, done once."""
        ...


class BlendEngine:
    """Weighted means: no motion, and no harm to what stands still."""

    name = "blend"
    weights: ClassVar[dict[str, str]] = {}

    def prepare(self, a: FrameBatch, b: FrameBatch) -> Pair:
        """The two frames."""
        return _BlendPair(a, b)


@dataclass(frozen=True)
class _BlendPair:
    a: FrameBatch
    b: FrameBatch
    flow_confidence: None = None
    motion: None = None

    def at(self, phases: Sequence[Fraction], before: object = None, after: object = None) -> Planes:
        share = torch.tensor([float(phase) for phase in phases]).view(-1, 1, 1, 1)
        uv = None if self.a.uv is None or self.b.uv is None else torch.lerp(self.a.uv.float(), self.b.uv.float(), share)
        return torch.lerp(self.a.y.float(), self.b.y.float(), share), uv


def make_engine(name: Interpolation, depth: int, compute: Compute | None = None) -> Engine | None:
    """The engine called ``name`` for planes of ``depth`` bits; None holds the nearer frame.

    Raises:
        ModelError: the network's weights are not there.
    """
    where = choose("cpu", "auto") if compute is None else compute
    engines: dict[Interpolation, Callable[[], Engine | None]] = {
        "flow": lambda: FlowEngine(depth),
        "net": lambda: NetEngine("net", depth, where),
        "superslomo": lambda: NetEngine("superslomo", depth, where),
        "blend": BlendEngine,
        "none": lambda: None,
    }
    return engines[name]()
