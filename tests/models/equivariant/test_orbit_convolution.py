"""Convolutions with tied kernels give the numbers and the gradients of usual ones."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from vidsr.models import load_model
from vidsr.models import weights as store
from vidsr.models.architectures.plain import Config, Plain
from vidsr.models.equivariant.orbit_convolution import (
    GroupConvReLU,
    by_orbits,
    in_all_poses,
    in_pose,
    is_tied,
    isotypic,
    read_part,
    spared,
)
from vidsr.models.self_ensemble import POSES
from vidsr.train.methods.equivariance import mean_kernel, tie, tie_gradients


def tied_network(channels: int = 16) -> Plain:
    torch.manual_seed(0)
    network = Plain(Config(2, channels, 3))
    tie(network)
    return network


def grouped(network: nn.Module) -> int:
    return sum(isinstance(layer, GroupConvReLU) for layer in network.modules())


def test_answers_and_gradients_are_the_usual_ones() -> None:
    usual = tied_network()
    network = copy.deepcopy(usual)
    assert by_orbits(network) == grouped(network) == 3
    picture, asked = torch.rand(2, 1, 20, 23), torch.randn(2, 1, 40, 46)
    for one in (usual, network):
        (one(picture) * asked).sum().backward()
        tie_gradients(one)
    torch.testing.assert_close(network(picture), usual(picture))
    for ours, theirs in zip(network.parameters(), usual.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)


def test_weights_go_in_and_out_as_those_of_usual_layers() -> None:
    usual, network = tied_network(), tied_network()
    by_orbits(network)
    assert network.state_dict().keys() == usual.state_dict().keys()
    network.load_state_dict(usual.state_dict())


@pytest.mark.parametrize("channels", [8, 12])
def test_what_is_not_tied_or_no_pairs_of_fields_is_left_alone(channels: int) -> None:
    untied = Plain(Config(2, 16, 3))
    narrow = Plain(Config(2, channels, 3))
    assert by_orbits(untied) == by_orbits(narrow) == 0


def test_kernels_rounded_to_half_precision_are_tied_still() -> None:
    kernel = mean_kernel(torch.randn(32, 16, 3, 3), True, True)
    assert is_tied(kernel)
    assert is_tied(kernel.half().float())
    kernel[3, 5, 0, 1] += 0.1
    assert not is_tied(kernel)


def test_a_part_tells_the_whole_of_a_tied_kernel() -> None:
    kernel = mean_kernel(torch.randn(32, 16, 3, 3), True, True)
    assert torch.equal(in_all_poses(read_part(kernel)), kernel)


def test_of_tied_kernels_a_file_holds_one_pose(tmp_path: Path) -> None:
    network, path = tied_network(), tmp_path / "tied-clean-x2.safetensors"
    store.write(path, network, store.describe("plain", Config(2, 16, 3)))
    assert store.read_state(path)[0]["body.2.weight"].shape == (2, 16, 3, 3)
    for name, tensor in store.read(path)[0].state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])


def test_the_mean_over_the_poses_is_tied_and_is_that_of_the_trainer() -> None:
    kernel = torch.randn(16, 32, 3, 3)
    mean = torch.stack([in_pose(kernel, pose) for pose in range(POSES)]).mean(0)
    assert is_tied(mean)
    torch.testing.assert_close(mean, mean_kernel(kernel, True, True))


def test_moments_of_a_picture_in_all_poses_fall_apart() -> None:
    bases = isotypic(16)
    whole = torch.cat([basis.flatten(0, 1) for basis in bases])
    torch.testing.assert_close(whole @ whole.T, torch.eye(16 * 9), atol=1e-5, rtol=0)
    kernels = mean_kernel(torch.randn(480, 16, 3, 3), True, True).flatten(1)  # what a tied layer may lie on
    moments = whole @ (kernels.T @ kernels) @ whole.T
    sizes = [len(basis) * [basis.shape[1]] for basis in bases]
    blocks = torch.block_diag(*[torch.ones(n, n) for copies in sizes for n in copies])
    assert (moments * (1 - blocks)).abs().max() < 1e-3 * moments.abs().max()


def test_in_half_precision_it_is_a_usual_convolution() -> None:
    network = tied_network()
    by_orbits(network)
    with torch.inference_mode():
        exact = network(torch.full((1, 1, 9, 9), 0.5))
        half = network.to(torch.bfloat16)(torch.full((1, 1, 9, 9), 0.5))
    torch.testing.assert_close(half, exact, atol=0.05, rtol=0)


def test_best_works_by_orbits_and_others_do_not() -> None:
    assert grouped(load_model("best", 4).fused().network) == load_model("best", 4).network.halo - 2
    assert grouped(load_model("balanced", 4).fused().network) == 0


def test_what_is_spared_are_four_fifths_of_the_tied_layers() -> None:
    network = tied_network()
    assert spared(network) == 0
    by_orbits(network)
    assert spared(network) == pytest.approx(3 * 16 * 16 * 9 * 13 / 16)
