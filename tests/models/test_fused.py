"""Fused layers give the numbers of the plain ones."""

import copy

import pytest
import torch
from torch import nn

from vidsr.models import load_model
from vidsr.models.fused import ConvReLU, fused


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["fast", "balanced", "espcn", "srcnn"])
def test_fused_equals_plain(name: str, dtype: torch.dtype) -> None:
    network = load_model(name, 2, "cpu", dtype).network
    before = copy.deepcopy(network.state_dict())
    x = torch.rand(2, 1, 37, 45, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain, quick = network(x), fused(network)(x)
    assert torch.allclose(plain, quick, atol=1e-6 if dtype == torch.float32 else 2e-3)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items()), "the plain one is kept"


def test_every_relu_behind_a_convolution_is_fused() -> None:
    layers = list(fused(load_model("balanced", 4).network).modules())
    assert not any(isinstance(layer, nn.ReLU) for layer in layers)
    assert sum(isinstance(layer, ConvReLU) for layer in layers) == 9
