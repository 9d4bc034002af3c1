"""Padding and cropping against a plain loop."""

from fractions import Fraction

import pytest
import torch

from vidsr.frames import SUBSAMPLING, Chroma, ColorInfo, FrameBatch, Origin, VideoInfo
from vidsr.options.output_size import offset
from vidsr.stages.fit import Fit


@pytest.mark.parametrize("chroma", ["gray", "420", "422", "444"])
@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("size", [(20, 12), (12, 20), (8, 6), (14, 10)])
def test_every_sample_keeps_its_place_and_the_rest_is_black(chroma: Chroma, depth: int, size: tuple[int, int]) -> None:
    info = VideoInfo(14, 10, Fraction(25), chroma, depth, ColorInfo(range="limited"))
    width, height = info.chroma_size
    y = torch.randint(0, info.peak, (2, 1, 10, 14)).to(info.dtype)
    uv = None if chroma == "gray" else torch.randint(0, info.peak, (2, 2, height, width)).to(info.dtype)
    batch = FrameBatch(y, uv, (Fraction(0), Fraction(1)), (Origin(0), Origin(1)))
    stage = Fit(info, *size)
    (got,) = stage(iter([batch]))
    assert got.y.dtype == y.dtype and got.times == batch.times
    unit = 1 << (depth - 8)
    across, down = SUBSAMPLING[chroma]
    left, top = offset(14, size[0]), offset(10, size[1])
    planes = [(y, got.y, left, top, size, 16 * unit)]
    if uv is not None and got.uv is not None:
        planes.append((uv, got.uv, left // across, top // down, stage.output(info).chroma_size, 128 * unit))
    for before, after, dx, dy, (w, h), fill in planes:
        assert after.shape[2:] == (h, w)
        for row in range(h):
            for column in range(w):
                inside = 0 <= row - dy < before.shape[2] and 0 <= column - dx < before.shape[3]
                expected = before[..., row - dy, column - dx].int() if inside else torch.tensor(fill)
                assert (after[..., row, column].int() == expected).all()


def test_offsets_are_even_so_that_chroma_keeps_its_siting() -> None:
    assert [offset(14, width) for width in (20, 18, 16, 14, 8)] == [2, 2, 0, 0, -4]
