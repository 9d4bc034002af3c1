"""Convolution by orbits is the usual convolution, for kernels that are tied in all poses."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vidsr.models.equivariant import symmetries
from vidsr.models.equivariant.orbit_convolution import spectrum
from vidsr.models.equivariant.orbit_kernels import PIXELS, Spectrum, convolve, correlate, rectified_gradient
from vidsr.models.equivariant.symmetries import POSES
from vidsr.models.self_ensemble import turned
from vidsr.train.methods.equivariance import mean_kernel

SIZES = [(2, 16, 32, 12, 11), (1, 64, 64, 40, 37), (1, 48, 16, 5, 7), (1, 16, 16, 3, 300), (1, 16, 16, 300, 3)]


def test_poses_are_those_of_tensors() -> None:
    picture = torch.arange(12).view(3, 4)
    for pose in range(POSES):
        assert np.array_equal(symmetries.turned(picture.numpy(), pose), turned(picture, pose).numpy())


def test_one_pose_after_another_is_their_product() -> None:
    picture = np.arange(9).reshape(3, 3)
    for a in range(POSES):
        for b in range(POSES):
            both = symmetries.turned(symmetries.turned(picture, b), a)
            assert np.array_equal(both, symmetries.turned(picture, symmetries.product()[a, b]))


def test_characters_and_matrices_represent_the_group() -> None:
    matrices, characters, product = symmetries.matrices(), symmetries.characters(), symmetries.product()
    for a in range(POSES):
        for b in range(POSES):
            assert np.array_equal(matrices[a] @ matrices[b], matrices[product[a, b]])
            assert np.array_equal(characters[:, a] * characters[:, b], characters[:, product[a, b]])
    assert np.array_equal(characters @ characters.T, POSES * np.eye(4)), "they are four different ones"


@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_by_orbits_is_the_usual_convolution(size: tuple[int, ...], rectify: bool) -> None:
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
def test_the_gradient_of_a_kernel_is_the_usual_one_in_all_poses(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    n, inner, outer, height, width = size
    kernel = mean_kernel(torch.randn(outer, inner, 3, 3), True, True).requires_grad_()
    planes, asked = torch.randn(n, inner, height, width), torch.randn(n, outer, height - 2, width - 2)
    (usual,) = torch.autograd.grad(F.conv2d(planes, kernel).relu(), kernel, asked)
    said = F.conv2d(planes, kernel).relu().detach()
    parts = correlate(planes.numpy(), rectified_gradient(asked.numpy(), said.numpy()))
    (ours,) = torch.autograd.grad(spectrum(kernel), kernel, [torch.from_numpy(part) for part in parts])
    expected = mean_kernel(usual, True, True)
    scale = expected.abs().max().item()
    torch.testing.assert_close(mean_kernel(ours, True, True), expected, rtol=1e-4, atol=1e-5 * scale)


def test_a_pixel_does_not_mind_where_in_a_stretch_it_lies() -> None:
    torch.manual_seed(0)
    kernel = mean_kernel(torch.randn(16, 16, 3, 3), True, True)
    transformed = Spectrum(*(part.numpy() for part in spectrum(kernel)))
    planes, silent = np.random.default_rng(0).random((1, 16, 30, 3 * PIXELS), np.float32), np.zeros(16, np.float32)
    whole = convolve(planes, transformed, silent, True)
    part = convolve(planes[..., 5:, 7:], transformed, silent, True)
    assert np.array_equal(part, whole[..., 5:, 7:])
