"""Finish: one rounding, and whole chroma samples."""

from fractions import Fraction

import pytest
import torch

from vidsr.frames import FrameBatch, Origin, VideoInfo
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


@pytest.mark.parametrize(("size", "padded"), [((5, 7), (6, 8)), ((4, 7), (4, 8)), ((5, 6), (6, 6)), ((4, 6), (4, 6))])
def test_an_odd_420_size_gets_its_last_row_and_column_once_more(size: tuple[int, int], padded: tuple[int, int]) -> None:
    y = torch.randint(0, 256, (1, 1, *size), dtype=torch.uint8)
    uv = torch.zeros(1, 2, -(-size[0] // 2), -(-size[1] // 2), dtype=torch.uint8)
    result = finish(y, uv)
    info = Finish(8).output(VideoInfo(width=size[1], height=size[0], fps=None))
    assert (info.height, info.width) == padded == tuple(result.y.shape[-2:])
    assert torch.equal(result.y[..., : size[0], : size[1]], y)
    assert torch.equal(result.y[..., -1, : size[1]], y[..., -1, :])
    assert torch.equal(result.y[..., : size[0], -1], y[..., -1])
