"""Interpolation engines behind one interface: optical flow, networks, blending."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from vidsr.device import Compute, choose
from vidsr.flow.flow_engine import FlowEngine
from vidsr.frames import FrameBatch
from vidsr.models.weight_files import frame_network_path
from vidsr.options.choices import Interpolation
from vidsr.stages.network_engine import NetworkEngine

Planes = tuple[Tensor, Tensor | None]  # luma N x 1 x H x W, chroma N x 2 x h x w, code values
Motion = TypeVar("Motion")  # what the pairs of an engine know of the motion between their frames


class PreparedPair(Protocol[Motion]):
    """Two neighbouring frames, ready for interpolation at any phase."""

    @property
    def flow_confidence(self) -> float | None:
        """Share of the frame where both flows agree; None if the engine estimates none."""
        ...

    @property
    def motion(self) -> Motion | None:
        """Motion between the frames, for the pairs on either side, if they need it."""
        ...

    @property
    def holds(self) -> bool:
        """Whether a held frame is better than an interpolated one."""
        ...

    def interpolate(
        self, phases: Sequence[Fraction], before: Motion | None = None, after: Motion | None = None
    ) -> Planes:
        """Return one float32 frame for each of ``phases``.

        Phase 0 is the first frame, 1 the second. ``before`` and ``after`` are the ``motion`` of the pairs on either
        side, None across a scene cut.
        """
        ...


class Engine(Protocol[Motion]):
    """A method of frame interpolation."""

    def prepare(self, a: FrameBatch, b: FrameBatch) -> PreparedPair[Motion]:
        """Return the pair of two single frames.

        Work that all phases share is done once.
        """
        ...


class BlendEngine:
    """Weighted mean of both frames, without motion."""

    def prepare(self, a: FrameBatch, b: FrameBatch) -> PreparedPair[None]:
        """Return the pair of two single frames."""
        return _BlendPair(a, b)


@dataclass(frozen=True)
class _BlendPair:
    a: FrameBatch
    b: FrameBatch
    flow_confidence: None = None
    motion: None = None
    holds: bool = False

    def interpolate(self, phases: Sequence[Fraction], before: None = None, after: None = None) -> Planes:
        share = torch.tensor([float(phase) for phase in phases]).view(-1, 1, 1, 1)
        uv = None if self.a.uv is None or self.b.uv is None else torch.lerp(self.a.uv.float(), self.b.uv.float(), share)
        return torch.lerp(self.a.y.float(), self.b.y.float(), share), uv


def make_engine(
    name: Interpolation, depth: int, compute: Compute | None = None, path: Path | None = None
) -> Engine[Any] | None:
    """Return the engine called ``name`` for planes of ``depth`` bits.

    "none" gives None: the nearer frame is shown. ``path``: weights file of an engine that is a network; by default the
    shipped one, which "rife" has not.

    Raises:
        ModelError: the weights file of the network is missing.
    """
    where = choose("cpu", "auto") if compute is None else compute
    engines: dict[Interpolation, Callable[[], Engine[Any] | None]] = {
        "flow": lambda: FlowEngine(depth),
        "net": lambda: NetworkEngine(path or frame_network_path(name), depth, where),
        "superslomo": lambda: NetworkEngine(path or frame_network_path(name), depth, where),
        "rife": lambda: NetworkEngine(path or frame_network_path(name), depth, where),
        "blend": BlendEngine,
        "none": lambda: None,
    }
    return engines[name]()
