"""Tied kernels: recognised, stored as an eighth, and their symmetries block-diagonalise second moments."""

from pathlib import Path

import torch

from tests.models.equivariant.test_orbit_convolution import tied_network
from tests.weights import metadata
from vidsr.models import weight_files
from vidsr.models.architectures.plain import Config
from vidsr.models.equivariant import SYMMETRIES, is_tied, isotypic_bases, transform_kernel
from vidsr.models.equivariant.tied import all_of_fields, first_of_fields
from vidsr.train.methods.equivariance import mean_kernel


def test_a_tied_kernel_rounded_to_half_precision_is_still_tied() -> None:
    kernel = mean_kernel(torch.randn(32, 16, 3, 3), True, True)
    assert is_tied(kernel)
    assert is_tied(kernel.half().float())
    kernel[3, 5, 0, 1] += 0.1
    assert not is_tied(kernel)


def test_the_first_channels_of_the_fields_determine_a_tied_kernel() -> None:
    kernel = mean_kernel(torch.randn(32, 16, 3, 3), True, True)
    assert torch.equal(all_of_fields(first_of_fields(kernel)), kernel)


def test_a_weights_file_stores_an_eighth_of_a_tied_kernel(tmp_path: Path) -> None:
    network, path = tied_network(), tmp_path / "tied-clean-x2.safetensors"
    weight_files.write(path, network, metadata("plain", Config(2, 16, 3)))
    assert weight_files.read_state(path)[0]["body.2.weight"].shape == (2, 16, 3, 3)
    for name, tensor in weight_files.read(path)[0].state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])


def test_the_mean_over_the_symmetries_is_tied_and_equals_that_of_training() -> None:
    kernel = torch.randn(16, 32, 3, 3)
    mean = torch.stack([transform_kernel(kernel, symmetry) for symmetry in range(SYMMETRIES)]).mean(0)
    assert is_tied(mean)
    torch.testing.assert_close(mean, mean_kernel(kernel, True, True))


def test_moments_over_all_symmetries_are_block_diagonal() -> None:
    bases = isotypic_bases(16)
    whole = torch.cat([basis.flatten(0, 1) for basis in bases])
    torch.testing.assert_close(whole @ whole.T, torch.eye(16 * 9), atol=1e-5, rtol=0)
    kernels = mean_kernel(torch.randn(480, 16, 3, 3), True, True).flatten(1)  # what a tied layer may lie on
    moments = whole @ (kernels.T @ kernels) @ whole.T
    sizes = [len(basis) * [basis.shape[1]] for basis in bases]
    blocks = torch.block_diag(*[torch.ones(n, n) for copies in sizes for n in copies])
    assert (moments * (1 - blocks)).abs().max() < 1e-3 * moments.abs().max()
