"""The optimiser `whitened`: steps change the output by a fixed share; other parameters move as with Adam."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from vidsr.train.methods.equivariance import mean_kernel
from vidsr.train.methods.optimizer import (
    ADAM_SHARE,
    STRIDE,
    Whitened,
    inverse_root,
    orthogonal,
    sample_patches,
    tied_inverse_root,
)


@pytest.mark.parametrize("shape", [(8, 8), (4, 36), (36, 4)])
def test_singular_values_come_near_one_and_singular_vectors_stay(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape) * 1e-3
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonal(matrix)
    along = torch.diagonal(u.T @ result @ vh.T)
    strong = s > 0.05 * s.max()
    assert ((along > 0.6) & (along < 1.3))[strong].all()
    assert (u.T @ result @ vh.T - torch.diag(along)).abs().max() < 0.05


@pytest.mark.parametrize("padding", [(0, 0), (1, 2)])
def test_sampled_patches_equal_those_of_a_slow_loop(padding: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer, inputs = nn.Conv2d(2, 4, (3, 5), padding=padding), torch.randn(2, 2, 11, 12)
    edged = torch.zeros(2, 2, 11 + 2 * padding[0], 12 + 2 * padding[1])
    edged[:, :, padding[0] : padding[0] + 11, padding[1] : padding[1] + 12] = inputs
    corners = product(range(2), range(0, edged.shape[2] - 2, STRIDE), range(0, edged.shape[3] - 4, STRIDE))
    expected = [edged[n, :, i : i + 3, j : j + 5].flatten() for n, i, j in corners]
    assert torch.equal(sample_patches(inputs, layer), torch.stack(expected))


def test_the_inverse_root_whitens_inputs() -> None:
    torch.manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(6, 6))
    inputs = torch.randn(5000, 6) * torch.tensor([1.0, 1, 2, 3, 5, 5]) @ turn
    moments = inputs.T @ inputs / len(inputs)
    white = inputs @ inverse_root(moments)
    torch.testing.assert_close(white.T @ white / len(white), torch.eye(6), atol=0.1, rtol=0)
    assert inverse_root(torch.zeros(6, 6)).isfinite().all()  # a layer whose inputs are zero


def test_the_root_by_blocks_of_a_tied_layer_equals_the_usual_root() -> None:
    torch.manual_seed(0)
    inputs = mean_kernel(torch.randn(480, 16, 3, 3), True, True).flatten(1)
    moments = inputs.T @ inputs / len(inputs)  # the same under all symmetries
    torch.testing.assert_close(tied_inverse_root(moments), inverse_root(moments), rtol=1e-3, atol=1e-3)


def stepped(layer: nn.Conv2d, inputs: Tensor, direction: Tensor, size: float = 1.0) -> Tensor:
    """Return the output of ``layer`` for ``inputs`` after one step that lowers its product with ``direction``."""
    optimiser = Whitened(layer, 0.01)
    loss = (layer(inputs) * direction).sum() * size
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return layer(inputs).detach()


def test_a_step_is_invariant_to_the_scale_of_the_gradient_and_to_mixing_of_the_inputs() -> None:
    torch.manual_seed(0)
    inputs, direction = torch.randn(1, 5, 60, 60), torch.randn(1, 4, 60, 60)
    mixing = torch.randn(5, 5)
    layer, small, mixed = (nn.Conv2d(5, 4, 1, bias=False) for _ in range(3))
    small.weight.data = layer.weight.detach().clone()
    mixed.weight.data = (layer.weight.detach()[:, :, 0, 0] @ torch.linalg.inv(mixing))[:, :, None, None]
    before = layer(inputs).detach()
    change = stepped(layer, inputs, direction) - before
    size = change.square().mean().sqrt() / before.square().mean().sqrt()
    assert 0.006 < size < 0.014  # a hundredth of the output
    torch.testing.assert_close(stepped(small, inputs, direction, 1e-4) - before, change, atol=1e-3, rtol=0)
    other = stepped(mixed, torch.einsum("ij,njhw->nihw", mixing, inputs), direction) - before
    assert (other - change).square().mean() < 0.05 * change.square().mean()


def test_other_parameters_move_as_with_adam() -> None:
    layer = nn.Conv2d(2, 3, 3)
    assert layer.bias is not None
    twin = nn.Parameter(layer.bias.detach().clone())
    ours, adam = Whitened(layer, 0.1), torch.optim.Adam([twin], 0.1 * ADAM_SHARE, (0.9, 0.99))
    layer.weight.requires_grad_(False)
    for step in range(5):
        twin.grad = torch.randn(3, generator=torch.Generator().manual_seed(step))
        layer.bias.grad = twin.grad.clone()
        ours.step()
        adam.step()
    torch.testing.assert_close(layer.bias, twin)


def test_channels_without_gradient_stay_unchanged() -> None:
    layer = nn.Conv2d(4, 6, 3)
    before, optimiser = layer.weight.detach().clone(), Whitened(layer, 0.1)
    for _ in range(3):
        layer(torch.rand(1, 4, 16, 16))
        layer.weight.grad = torch.randn(6, 4, 3, 3)
        layer.weight.grad[0] = 0
        layer.weight.grad[:, 1] = 0
        optimiser.step()
    assert torch.equal(layer.weight[0], before[0]) and torch.equal(layer.weight[:, 1], before[:, 1])
    assert not torch.equal(layer.weight[1:, 0], before[1:, 0])
    layer.weight.grad = torch.zeros(6, 4, 3, 3)
    held = layer.weight.detach().clone()
    optimiser.step()
    assert torch.equal(layer.weight, held)
