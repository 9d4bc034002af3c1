"""Layers that networks share: how a picture goes on beyond its edge."""

import pytest
import torch
from torch import Tensor

from vidsr.models.layers import Edge, pad


def beyond(place: int, length: int, edge: Edge) -> int:
    """The sample that is seen at ``place``, found by going there step by step and turning round at each end."""
    at, step = 0, 1
    for _ in range(abs(place) if place >= 0 else abs(place) - (edge == "symmetric")):
        if 0 <= at + step < length:
            at += step
        elif length > 1 or edge == "symmetric":
            step = -step
            at += 0 if edge == "symmetric" else step
    return at


@pytest.mark.parametrize("edge", ["symmetric", "reflect"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4)])
def test_a_picture_goes_on_as_in_mirrors_even_further_than_it_is_long(size: tuple[int, int], edge: Edge) -> None:
    height, width = size
    picture = torch.arange(2.0 * height * width).reshape(2, 1, height, width)
    rows = [beyond(i, height, edge) for i in range(-7, height + 9)]
    columns = [beyond(j, width, edge) for j in range(-3, width + 6)]
    expected: Tensor = picture[..., rows, :][..., columns]
    assert torch.equal(pad(picture, 3, 6, 7, 9, edge), expected)
