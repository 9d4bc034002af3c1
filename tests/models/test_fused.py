"""Fused layers compute the numbers of the plain layers."""

import copy

import pytest
import torch
from torch import nn

from vidsr.models import load_model
from vidsr.models.fused import ConvReLU, fuse_layers


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["fast", "balanced", "espcn", "srcnn"])
def test_fused_layers_equal_plain_layers(name: str, dtype: torch.dtype) -> None:
    network = load_model(name, 2, "cpu", dtype).network
    before = copy.deepcopy(network.state_dict())
    x = torch.rand(2, 1, 37, 45, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain, quick = network(x), fuse_layers(network)(x)
    assert torch.allclose(plain, quick, atol=1e-6 if dtype == torch.float32 else 2e-3)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items()), (
        "the plain network is unchanged"
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 4e-3)])
@pytest.mark.parametrize("name", ["denoise", "restore-fast"])
def test_fused_layers_apply_the_shifts_of_each_image(name: str, dtype: torch.dtype, tolerance: float) -> None:
    network = load_model(name, 1, "cpu", dtype, "any").network
    exact = load_model(name, 1, "cpu", torch.float32, "any").network
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0.2, 0.8, 45).expand(3, 1, 37, 45)
    x = ramp + torch.tensor([0.0, 0.02, 0.06])[:, None, None, None] * torch.randn(ramp.shape, generator=generator)
    with torch.inference_mode():
        quick = fuse_layers(network)(x)
        alone = torch.cat([fuse_layers(network)(image) for image in x.split(1)])
        assert torch.allclose(quick, exact(x), atol=tolerance)
        assert torch.allclose(quick, alone, atol=1e-6)
    assert not any(isinstance(layer, ConvReLU) for layer in network.modules()), "the plain network is unchanged"


def test_every_relu_after_a_convolution_is_fused() -> None:
    layers = list(fuse_layers(load_model("balanced", 4).network).modules())
    assert not any(isinstance(layer, nn.ReLU) for layer in layers)
    assert sum(isinstance(layer, ConvReLU) for layer in layers) == 11
