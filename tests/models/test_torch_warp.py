"""Warping in PyTorch equals the Numba kernel; its gradient is its derivative."""

import numpy as np
import torch

from vidsr.flow import warp as kernels
from vidsr.models.torch_warp import spline_coefficients, warp_cubic, warp_linear


def test_the_cubic_warp_equals_the_numba_kernel() -> None:
    rng = np.random.default_rng(0)
    plane = rng.random((40, 60), np.float32)
    field = np.zeros((40, 60, 6), np.float32)
    field[..., :2] = rng.normal(0, 8, (40, 60, 2))
    coefficients = kernels.spline_coefficients(plane)
    expected = kernels.render(plane, plane, coefficients, coefficients, np.zeros_like(plane), field, 0.0)
    displacements = torch.from_numpy(field[..., :2]).permute(2, 0, 1)[None]
    result = warp_cubic(spline_coefficients(torch.from_numpy(plane)[None, None]), displacements)
    assert np.abs(result[0, 0].numpy() - expected).max() < 1e-5


def test_the_gradient_of_the_cubic_warp_is_its_slope() -> None:
    generator = torch.Generator().manual_seed(0)
    plane = torch.rand(1, 1, 20, 20, dtype=torch.float64, generator=generator)
    displacements = torch.randn(1, 2, 8, 8, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda d: warp_cubic(plane, d, 6), displacements)


def test_without_displacement_the_plane_does_not_change() -> None:
    plane = torch.rand(2, 1, 18, 22)
    displacements = torch.zeros(2, 2, 10, 14)
    inside = plane[..., 4:14, 4:18]
    assert torch.allclose(warp_cubic(spline_coefficients(plane), displacements, 4), inside, atol=1e-3)
    assert torch.allclose(warp_linear(plane, displacements, 4), inside, atol=1e-3)
