"""Equivariance: upscaling a flipped or rotated image flips or rotates the output."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.models.test_model import write_weights
from vidsr.errors import OptionError
from vidsr.models import weight_files
from vidsr.models.architectures.plain import Config, Plain
from vidsr.models.equivariant import SYMMETRIES, apply_symmetry
from vidsr.train import loop
from vidsr.train.methods.equivariance import make_equivariant, mean_kernel, tie, tie_gradients
from vidsr.train.recipe import Recipe


def network(scale: int, channels: int = 16) -> Plain:
    torch.manual_seed(0)
    result = Plain(Config(scale, channels, 2))
    result.for_training(keep=False, branches=False)
    for conv in result.body:
        if isinstance(conv, nn.Conv2d) and conv.bias is not None:
            nn.init.normal_(conv.bias, std=0.1)
    return result


def is_equivariant(network: Plain) -> bool:
    image = torch.rand(1, 1, 14, 17)
    with torch.no_grad():
        output = network(image)
        return all(
            torch.allclose(network(apply_symmetry(image, n)), apply_symmetry(output, n), atol=1e-6)
            for n in range(SYMMETRIES)
        )


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_a_transformed_image_gives_the_transformed_output(scale: int) -> None:
    plain = network(scale)
    assert not is_equivariant(plain)
    make_equivariant(plain, keep=False)
    assert is_equivariant(plain)


def test_a_random_kernel_keeps_its_size() -> None:
    plain = network(2, channels=64)
    sizes = [conv.weight.std().item() for conv in plain.body if isinstance(conv, nn.Conv2d)]
    make_equivariant(plain, keep=False)
    for conv, size in zip((c for c in plain.body if isinstance(c, nn.Conv2d)), sizes, strict=True):
        assert conv.weight.std().item() == pytest.approx(size, rel=0.3)


def test_tied_kernels_stay_unchanged() -> None:
    plain = network(4)
    tie(plain)
    tied = copy.deepcopy(plain.state_dict())
    make_equivariant(plain, keep=True)
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(tensor, tied[name], rtol=1e-5, atol=1e-7)


def test_training_starts_only_from_tied_weights(tmp_path: Path) -> None:
    recipe = Recipe("wide", "plain", scale=2, config={"channels": 16, "layers": 1}, equivariant=True)
    path = write_weights(tmp_path)
    recipe = replace(recipe, init=str(path))
    with pytest.raises(OptionError, match=r"tiny-clean-x2\.safetensors'.* kernels are not tied"):
        loop.start(recipe, torch.device("cpu"))
    small, metadata = weight_files.read(path)
    tie(small)
    weight_files.write(path, small, metadata)
    expanded = loop.start(recipe, torch.device("cpu")).network
    image = torch.rand(1, 1, 12, 12)
    torch.testing.assert_close(expanded(image), small(image), rtol=0, atol=1e-5)


def test_the_tied_kernel_is_the_nearest() -> None:
    """The difference is orthogonal to every tied kernel."""
    torch.manual_seed(1)
    kernel, other = torch.randn(2, 16, 8, 3, 3, dtype=torch.float64)
    off = kernel - mean_kernel(kernel, True, True)
    assert (off * mean_kernel(other, True, True)).sum().abs() < 1e-10
    assert off.norm() > 1


def test_gradients_are_those_of_the_batch_under_all_symmetries() -> None:
    plain = network(3)
    make_equivariant(plain, keep=False)
    slow = network(3)  # of usual convolutions
    slow.load_state_dict(plain.state_dict())
    image, truth = torch.rand(2, 1, 16, 16), torch.rand(2, 1, 48, 48)
    (plain(image) - truth).square().mean().backward()
    tie_gradients(plain)
    for symmetry in range(SYMMETRIES):
        loss = (slow(apply_symmetry(image, symmetry)) - apply_symmetry(truth, symmetry)).square().mean() / SYMMETRIES
        loss.backward()
    for one, other in zip(plain.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-7)


def test_channels_must_be_a_multiple_of_eight() -> None:
    with pytest.raises(OptionError, match="channels = 12 must be a multiple of 8"):
        make_equivariant(network(2, channels=12), keep=False)
