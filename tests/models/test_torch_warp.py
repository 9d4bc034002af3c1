"""Warps of tensors against the kernels' and against their own derivative."""

import numpy as np
import torch

from vidsr.flow import warp as kernels
from vidsr.models import torch_warp as warp


def test_the_cubic_warp_is_that_of_the_kernels() -> None:
    rng = np.random.default_rng(0)
    plane = rng.random((40, 60), np.float32)
    field = np.zeros((40, 60, 6), np.float32)
    field[..., :2] = rng.normal(0, 8, (40, 60, 2))
    coefficients = kernels.spline_coefficients(plane)
    expected = kernels.render(plane, plane, coefficients, coefficients, np.zeros_like(plane), field, 0.0)
    ways = torch.from_numpy(field[..., :2]).permute(2, 0, 1)[None]
    result = warp.cubic(warp.spline(torch.from_numpy(plane)[None, None]), ways)
    assert np.abs(result[0, 0].numpy() - expected).max() < 1e-5


def test_the_gradient_of_the_cubic_warp_is_its_slope() -> None:
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 1, 20, 20, dtype=torch.float64, generator=generator)
    ways = torch.randn(1, 2, 8, 8, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: warp.cubic(picture, w, 6), ways)


def test_no_motion_is_no_change() -> None:
    picture = torch.rand(2, 1, 18, 22)
    still = torch.zeros(2, 2, 10, 14)
    inside = picture[..., 4:14, 4:18]
    assert torch.allclose(warp.cubic(warp.spline(picture), still, 4), inside, atol=1e-3)
    assert torch.allclose(warp.linear(picture, still, 4), inside, atol=1e-3)
