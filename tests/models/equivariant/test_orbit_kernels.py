"""Convolution by orbits equals the usual convolution, for tied kernels."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vidsr.models.equivariant.orbit_convolution import spectrum
from vidsr.models.equivariant.orbit_kernels import PIXELS, Spectrum, convolve, correlate, rectified_gradient
from vidsr.train.methods.equivariance import mean_kernel

SIZES = [(2, 16, 32, 12, 11), (1, 64, 64, 40, 37), (1, 48, 16, 5, 7), (1, 16, 16, 3, 300), (1, 16, 16, 300, 3)]


@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_convolution_by_orbits_equals_the_usual_one(size: tuple[int, ...], rectify: bool) -> None:
    torch.manual_seed(0)
    n, inner, outer, height, width = size
    kernel = mean_kernel(torch.randn(outer, inner, 3, 3), True, True)
    planes, bias = torch.randn(n, inner, height, width), torch.randn(outer)
    usual = F.conv2d(planes, kernel, bias)
    usual = usual.relu() if rectify else usual
    transformed = Spectrum(*(part.numpy() for part in spectrum(kernel)))
    result = convolve(planes.numpy(), transformed, bias.numpy(), rectify)
    torch.testing.assert_close(torch.from_numpy(result), usual, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_the_gradient_of_a_kernel_is_the_usual_one_over_all_symmetries(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    n, inner, outer, height, width = size
    kernel = mean_kernel(torch.randn(outer, inner, 3, 3), True, True).requires_grad_()
    planes, gradient = torch.randn(n, inner, height, width), torch.randn(n, outer, height - 2, width - 2)
    (usual,) = torch.autograd.grad(F.conv2d(planes, kernel).relu(), kernel, gradient)
    rectified = F.conv2d(planes, kernel).relu().detach()
    parts = correlate(planes.numpy(), rectified_gradient(gradient.numpy(), rectified.numpy()))
    (ours,) = torch.autograd.grad(spectrum(kernel), kernel, [torch.from_numpy(part) for part in parts])
    expected = mean_kernel(usual, True, True)
    scale = expected.abs().max().item()
    torch.testing.assert_close(mean_kernel(ours, True, True), expected, rtol=1e-4, atol=1e-5 * scale)


def test_an_output_pixel_does_not_depend_on_its_place_in_a_stretch() -> None:
    torch.manual_seed(0)
    kernel = mean_kernel(torch.randn(16, 16, 3, 3), True, True)
    transformed = Spectrum(*(part.numpy() for part in spectrum(kernel)))
    planes, no_bias = np.random.default_rng(0).random((1, 16, 30, 3 * PIXELS), np.float32), np.zeros(16, np.float32)
    whole = convolve(planes, transformed, no_bias, True)
    part = convolve(planes[..., 5:, 7:], transformed, no_bias, True)
    assert np.array_equal(part, whole[..., 5:, 7:])
