"""Muon: steps of one size in every direction, Adam where there is no matrix."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vidsr.train.muon import ADAM_SHARE, Muon, is_matrix, orthogonal


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


def test_the_size_of_the_gradient_does_not_matter() -> None:
    moved = []
    for size in (1.0, 1e-4):
        kernel = nn.Parameter(torch.zeros(4, 3, 3, 3))
        optimiser = Muon([kernel], 0.1)
        torch.manual_seed(0)
        kernel.grad = size * torch.randn(4, 3, 3, 3)
        optimiser.step()
        moved.append(kernel.detach().clone())
    torch.testing.assert_close(moved[0], moved[1], atol=1e-3, rtol=0)
    assert 0.05 < torch.linalg.matrix_norm(moved[0].flatten(1), 2) < 0.15


def test_what_is_no_matrix_moves_as_adam_moves_it() -> None:
    bias, kernel = nn.Parameter(torch.zeros(5)), nn.Parameter(torch.zeros(4, 1, 3, 3))
    twins = [nn.Parameter(p.detach().clone()) for p in (bias, kernel)]
    ours, adam = Muon([bias, kernel], 0.1), torch.optim.Adam(twins, 0.1 * ADAM_SHARE, (0.9, 0.99))
    assert not is_matrix(bias) and not is_matrix(kernel)
    for step in range(5):
        for one, twin in zip((bias, kernel), twins, strict=True):
            one.grad = torch.randn(one.shape, generator=torch.Generator().manual_seed(step))
            twin.grad = one.grad.clone()
        ours.step()
        adam.step()
    for one, twin in zip((bias, kernel), twins, strict=True):
        torch.testing.assert_close(one, twin)


def test_channels_without_gradient_stay_exactly_as_they_are() -> None:
    kernel = nn.Parameter(torch.randn(6, 4, 3, 3))
    before, optimiser = kernel.detach().clone(), Muon([kernel], 0.1)
    for _ in range(3):
        kernel.grad = torch.randn(6, 4, 3, 3)
        kernel.grad[0] = 0
        kernel.grad[:, 1] = 0
        optimiser.step()
    assert torch.equal(kernel[0], before[0]) and torch.equal(kernel[:, 1], before[:, 1])
    assert not torch.equal(kernel[1:, 0], before[1:, 0])
