"""Orbit convolutions have the outputs and the gradients of usual convolutions."""

import copy

import pytest
import torch
from torch import nn

from vidsr.models import load_model
from vidsr.models.architectures.plain import Config, Plain
from vidsr.models.equivariant import OrbitConvReLU, saved_multiplications, use_orbit_convolutions
from vidsr.train.methods.equivariance import tie, tie_gradients


def tied_network(channels: int = 16) -> Plain:
    torch.manual_seed(0)
    network = Plain(Config(2, channels, 3))
    tie(network)
    return network


def count_orbit_layers(network: nn.Module) -> int:
    return sum(isinstance(layer, OrbitConvReLU) for layer in network.modules())


def test_outputs_and_gradients_are_those_of_usual_convolutions() -> None:
    usual = tied_network()
    network = copy.deepcopy(usual)
    assert use_orbit_convolutions(network) == count_orbit_layers(network) == 3
    image, gradient = torch.rand(2, 1, 20, 23), torch.randn(2, 1, 40, 46)
    for one in (usual, network):
        (one(image) * gradient).sum().backward()
        tie_gradients(one)
    torch.testing.assert_close(network(image), usual(image))
    for ours, theirs in zip(network.parameters(), usual.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)


def test_the_state_dict_is_that_of_usual_layers() -> None:
    usual, network = tied_network(), tied_network()
    use_orbit_convolutions(network)
    assert network.state_dict().keys() == usual.state_dict().keys()
    network.load_state_dict(usual.state_dict())


@pytest.mark.parametrize("channels", [8, 12])
def test_untied_kernels_and_odd_numbers_of_fields_stay_usual_convolutions(channels: int) -> None:
    untied = Plain(Config(2, 16, 3))
    narrow = Plain(Config(2, channels, 3))
    assert use_orbit_convolutions(untied) == use_orbit_convolutions(narrow) == 0


def test_in_half_precision_a_usual_convolution_runs() -> None:
    network = tied_network()
    use_orbit_convolutions(network)
    with torch.inference_mode():
        exact = network(torch.full((1, 1, 9, 9), 0.5))
        half = network.to(torch.bfloat16)(torch.full((1, 1, 9, 9), 0.5))
    torch.testing.assert_close(half, exact, atol=0.05, rtol=0)


def test_best_runs_by_orbits_and_balanced_does_not() -> None:
    assert count_orbit_layers(load_model("best", 4).fused().network) == load_model("best", 4).network.halo - 2
    assert count_orbit_layers(load_model("balanced", 4).fused().network) == 0


def test_orbit_convolutions_save_four_fifths_of_the_multiplications() -> None:
    network = tied_network()
    assert saved_multiplications(network) == 0
    use_orbit_convolutions(network)
    assert saved_multiplications(network) == pytest.approx(3 * 16 * 16 * 9 * 13 / 16)
