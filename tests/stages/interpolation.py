"""Synthetic clips and a recording engine for the tests of interpolation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from operator import itemgetter

import cv2
import numpy as np
import torch

from vidsr.frames import FrameBatch, Origin, VideoInfo, concat
from vidsr.stages.interpolate import Interpolate
from vidsr.stages.interpolation_engines import BlendEngine, Planes, PreparedPair
from vidsr.stages.repeats import mark_repeats

HALF = Fraction(1, 2)


def luma(seed: int, height: int = 48, width: int = 64, cell: int = 8) -> torch.Tensor:
    """Return a smooth random plane, H x W uint8."""
    cells = np.random.default_rng(seed).random((height // cell, width // cell), np.float32)
    values = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    return torch.from_numpy(np.clip(16 + 219 * values, 0, 255)).round().to(torch.uint8)


def pan(n: int, step: int = 2) -> list[torch.Tensor]:
    """Return ``n`` planes of a pan by ``step`` pixels a frame."""
    wide = luma(0, 48, 64 + step * n)
    return [wide[:, step * i : step * i + 64] for i in range(n)]


def clip(
    lumas: Sequence[torch.Tensor], times: Sequence[Fraction] | None = None, fps: Fraction = Fraction(24)
) -> tuple[FrameBatch, VideoInfo]:
    """Return grey frames in one batch, and the info of their clip."""
    n, (height, width) = len(lumas), lumas[0].shape
    shown = tuple(times) if times is not None else tuple(i / fps for i in range(n))
    info = VideoInfo(width, height, fps, "gray", frames=n, duration=n / fps, time_base=Fraction(1, 24000))
    return FrameBatch(torch.stack(list(lumas))[:, None], None, shown, tuple(Origin(i) for i in range(n))), info


def split(batch: FrameBatch, edges: Sequence[int] = ()) -> Iterator[FrameBatch]:
    """Return ``batch`` in parts that end at ``edges``."""
    return (batch[a:b] for a, b in pairwise(sorted({0, len(batch), *edges})))


def run(stage: Interpolate, batch: FrameBatch, edges: Sequence[int] = ()) -> FrameBatch:
    """Return the output of ``stage`` in one batch."""
    return concat(list(stage(mark_repeats(split(batch, edges)))))


@dataclass
class RecordingEngine:
    """Blends, and records the pairs, phases and neighbours that it was asked for, on any thread."""

    calls: list[tuple[int, tuple[Fraction, ...], int | None, int | None]] = field(default_factory=list)
    name: str = "recording"
    weights: dict[str, str] = field(default_factory=dict)

    @property
    def asked(self) -> list[tuple[int, tuple[Fraction, ...]]]:
        """Pairs and their phases, in the order of the clip."""
        return [(index, phases) for index, phases, *_ in sorted(self.calls, key=itemgetter(0, 1))]

    @property
    def neighbours(self) -> list[tuple[int | None, int, int | None]]:
        """Pairs with those before and after them, in the order of the clip."""
        return [(before, index, after) for index, _, before, after in sorted(self.calls, key=itemgetter(0, 1))]

    def prepare(self, a: FrameBatch, b: FrameBatch) -> PreparedPair[int]:
        return _RecordingPair(self, a, b)


@dataclass
class _RecordingPair:
    engine: RecordingEngine
    a: FrameBatch
    b: FrameBatch
    flow_confidence: None = None
    holds: bool = False

    @property
    def index(self) -> int:
        return self.a.origins[0].index

    @property
    def motion(self) -> int:
        return self.index

    def interpolate(self, phases: Sequence[Fraction], before: int | None = None, after: int | None = None) -> Planes:
        self.engine.calls.append((self.index, tuple(phases), before, after))
        return BlendEngine().prepare(self.a, self.b).interpolate(phases)
