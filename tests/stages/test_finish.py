"""Finish: one rounding."""

from fractions import Fraction

import pytest
import torch

from vidsr.frames import FrameBatch, Origin
from vidsr.stages.finish import Finish


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
