"""Finish: one rounding."""

from collections.abc import Callable
from fractions import Fraction

import pytest
import torch

from vidsr.frames import FrameBatch, Origin
from vidsr.stages.rounding import Finish


def finish(y: torch.Tensor, uv: torch.Tensor | None, depth: int = 8) -> FrameBatch:
    (result,) = Finish(depth)(iter([FrameBatch(y, uv, (Fraction(0),), (Origin(0),))]))
    return result


@pytest.mark.parametrize(("depth", "dtype"), [(8, torch.uint8), (10, torch.uint16), (16, torch.uint16)])
def test_floats_are_rounded_and_clipped_to_the_depth(depth: int, dtype: torch.dtype) -> None:
    peak = (1 << depth) - 1
    result = finish(torch.tensor([[[[-3.0, 0.4, 1.6, peak + 9.0]]]]), None, depth)
    assert result.y.dtype == dtype
    assert result.y.flatten().tolist() == [0, 0, 2, peak]


def test_integers_pass_untouched() -> None:
    y = torch.arange(12, dtype=torch.uint8).reshape(1, 1, 3, 4)
    assert finish(y, None).y is y


def test_what_is_copied_from_a_gpu_is_handed_on_one_batch_later_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pretended GPU: the next batch is begun before the one before it is waited for."""
    events: list[str] = []

    def pretended(plane: torch.Tensor) -> Callable[[], torch.Tensor]:
        number = len([event for event in events if event.startswith("begin")])
        events.append(f"begin {number}")

        def wait() -> torch.Tensor:
            events.append(f"wait {number}")
            return torch.full((1, 1, 2, 2), number, dtype=torch.uint8)

        return wait

    monkeypatch.setattr("vidsr.stages.rounding.to_cpu", pretended)
    away = [FrameBatch(torch.zeros(1, 1, 2, 2, device="meta"), None, (Fraction(i),), (Origin(i),)) for i in range(3)]
    results = list(Finish(8)(iter(away)))
    assert [(int(r.times[0]), int(r.y[0, 0, 0, 0])) for r in results] == [(0, 0), (1, 1), (2, 2)]
    assert events == ["begin 0", "begin 1", "wait 0", "begin 2", "wait 1", "wait 2"]
