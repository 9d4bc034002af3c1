"""Layers that networks share: padding by mirroring."""

import pytest
import torch
from torch import Tensor

from vidsr.models.layers import Edge, pad


def mirrored_index(place: int, length: int, edge: Edge) -> int:
    """The sample at ``place``, found by walking there step by step and turning round at each end."""
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
def test_padding_mirrors_even_beyond_the_size_of_the_image(size: tuple[int, int], edge: Edge) -> None:
    height, width = size
    image = torch.arange(2.0 * height * width).reshape(2, 1, height, width)
    rows = [mirrored_index(i, height, edge) for i in range(-7, height + 9)]
    columns = [mirrored_index(j, width, edge) for j in range(-3, width + 6)]
    expected: Tensor = image[..., rows, :][..., columns]
    assert torch.equal(pad(image, 3, 6, 7, 9, edge), expected)
