"""Blind deconvolution: its bank, filters and features, against slow and obvious twins."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vidsr.degrade.blur import DefocusBlur, GaussianBlur, MotionBlur
from vidsr.models import build_network, point_spreads
from vidsr.models.architectures.blind_deconvolution import (
    BLOCK,
    KNOTS,
    REACH,
    RESPONSES,
    SIDE,
    Deconvolution,
    _convolve,
    _smooth,
    _starts,
)
from vidsr.models.layers import pad


@pytest.fixture(scope="module")
def deconvolution() -> Deconvolution:
    torch.manual_seed(0)
    return Deconvolution(shifts=3).requires_grad_(False)


def test_every_point_spread_function_keeps_the_mean_and_amplifies_nothing() -> None:
    spectra = point_spreads.spectra()
    assert spectra.shape[1:] == (point_spreads.SIDE, point_spreads.SIDE // 2 + 1)
    assert torch.equal(spectra[0], torch.ones_like(spectra[0]))
    assert (spectra[:, 0, 0] == 1).all()
    assert spectra.abs().max() <= 1 + 1e-6


@pytest.mark.parametrize(
    ("index", "kernel"),
    [
        (1 + point_spreads.GAUSSIANS.index(1.6), GaussianBlur((1.6, 1.6)).kernel(np.random.default_rng(0))),
        (
            1 + len(point_spreads.GAUSSIANS) + point_spreads.DISKS.index(2.4),
            DefocusBlur((2.4, 2.4)).kernel(np.random.default_rng(0)),
        ),
    ],
)
def test_the_bank_contains_the_round_kernels_of_training(index: int, kernel: np.ndarray) -> None:
    plane = torch.fft.irfft2(point_spreads.spectra()[index].double())
    reach = kernel.shape[0] // 2
    middle = plane.roll((reach, reach), (0, 1))[: kernel.shape[0], : kernel.shape[1]]
    np.testing.assert_allclose(middle, kernel, atol=2e-4)  # the kernel of training is cut at three standard deviations


def test_the_bank_contains_a_line_close_to_every_motion_blur_of_training() -> None:
    lines = torch.fft.irfft2(point_spreads.spectra()[point_spreads.ROUND :].double())
    for angle in (0, 10, 45, 77, 90, 133):
        kernel = torch.from_numpy(MotionBlur((9, 9), (angle, angle)).kernel(np.random.default_rng(0))).double()
        side = kernel.shape[0]
        middle = lines.roll((side // 2, side // 2), (1, 2))[:, :side, :side]
        similarity = (middle * kernel).sum((1, 2)) / (middle.square().sum((1, 2)) * kernel.square().sum()).sqrt()
        assert similarity.max() > 0.9
        nearest = (int(similarity.argmax()) // point_spreads.ORIENTED) * 180 / point_spreads.ANGLES
        assert abs((nearest - angle + 90) % 180 - 90) <= 90 / point_spreads.ANGLES


@pytest.mark.parametrize("index", [0, 14, 60, 400])
def test_a_certain_estimate_gives_the_wiener_filter(deconvolution: Deconvolution, index: int) -> None:
    weights = F.one_hot(torch.tensor([index]), deconvolution.bank.shape[1]).float()
    filters = deconvolution.responses(weights, torch.zeros(1, len(KNOTS)))[0]
    kernel = torch.fft.irfft2(point_spreads.spectra()[index].double())
    half = point_spreads.SIDE // 2
    for row, column in ((0, 0), (3, 5), (SIDE - 7, 20), (SIDE // 2, SIDE // 2)):
        fy, fx = row / SIDE, column / SIDE
        blur = sum(  # the transform by its definition
            kernel[y, x].item() * math.cos(2 * math.pi * (fy * y + fx * x))
            for y in range(-half, half)
            for x in range(-half, half)
            if abs(kernel[y, x]) > 1e-12
        )
        radius = math.hypot(min(fy, 1 - fy), fx)
        for wiener, least in ((filters[0], 0.1), (filters[1], 0.01)):
            expected = blur / (blur**2 + least * (2 * radius) ** 2)
            assert wiener[row, column].item() == pytest.approx(expected, abs=2e-4)


def test_an_uncertain_estimate_sharpens_less_than_a_certain_one(deconvolution: Deconvolution) -> None:
    certain, doubtful = torch.zeros(2, 1, deconvolution.bank.shape[1])
    certain[0, 14], doubtful[0, [0, 14]] = 1, 0.5
    noises = torch.zeros(1, len(KNOTS))
    sharper, cautious = (deconvolution.responses(weights, noises)[0, 0] for weights in (certain, doubtful))
    assert (cautious[1, 5:20] < sharper[1, 5:20]).all()


@pytest.mark.parametrize("size", [(2 * REACH + 1, 2 * REACH + 7), (150, 161)])
def test_convolution_by_fourier_transform_equals_the_direct_sum(size: tuple[int, int]) -> None:
    torch.manual_seed(1)
    x, taps = torch.rand(2, 1, *size), 0.02 * torch.randn(2, 3, SIDE, SIDE)
    # conv2d correlates; the centre, at 0, 0, goes to the middle of a kernel of odd size
    kernel = F.pad(torch.fft.fftshift(taps, (-2, -1)), (0, 1, 0, 1)).flip(-2, -1)
    expected = torch.cat([F.conv2d(one[None], k[:, None]) for one, k in zip(x, kernel, strict=True)])
    torch.testing.assert_close(_convolve(x, taps), expected, atol=1e-4, rtol=0)


def test_a_uniform_image_does_not_change(deconvolution: Deconvolution) -> None:
    x = torch.full((1, 1, 200, 180), 0.3)
    features = deconvolution.global_features(torch.rand(1, 1, 90, 90))
    torch.testing.assert_close(deconvolution(x, features), torch.full((1, 2, 72, 52), 0.3), atol=1e-6, rtol=0)


def test_the_spectrum_of_noise_equals_its_variance(deconvolution: Deconvolution) -> None:
    torch.manual_seed(2)
    sigma = 5 / 255
    spectrum = deconvolution.spectrum(sigma * torch.randn(1, 1, 512, 512)) * 4 - 8
    of_mean, of_logarithms = spectrum.view(2, BLOCK, BLOCK // 2 + 1)[:, 4:-4, 4:-4].mean((1, 2))
    assert of_mean.item() == pytest.approx(math.log(sigma**2), abs=0.03)
    assert of_logarithms.item() == pytest.approx(math.log(sigma**2) - 0.577, abs=0.05)  # Euler's constant


@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_a_wave_appears_in_its_direction(deconvolution: Deconvolution, degrees: int) -> None:
    angle = math.radians(degrees)
    y, x = torch.meshgrid(torch.arange(200.0), torch.arange(200.0), indexing="ij")
    wave = 0.5 + 0.3 * torch.cos(2 * math.pi * 0.2 * (x * math.cos(angle) - y * math.sin(angle)))
    strongest = int(deconvolution.polar(deconvolution.spectrum(wave[None, None]))[0, 0].argmax())
    assert (strongest % point_spreads.ANGLES) * 180 / point_spreads.ANGLES == degrees


def test_rotating_the_image_rotates_its_direction_features(deconvolution: Deconvolution) -> None:
    x = torch.rand(1, 1, 96, 96).cumsum(3) / 96
    upright, rotated = deconvolution.direction_features(x), deconvolution.direction_features(torch.rot90(x, 1, (2, 3)))
    torch.testing.assert_close(rotated, upright.roll(point_spreads.ANGLES // 2, 1), atol=0.05, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (20, 300), (64, 65), (1200, 96)])
def test_the_number_of_global_features_does_not_depend_on_the_image_size(
    deconvolution: Deconvolution, size: tuple[int, int]
) -> None:
    assert deconvolution.global_features(torch.rand(2, 1, *size)).shape == (2, RESPONSES + 3)


@pytest.mark.parametrize("length", [64, 65, 96, 270, 4000])
def test_squares_reach_from_edge_to_edge(length: int) -> None:
    starts = _starts(length)
    assert (starts[0], starts[-1]) == (0, length - BLOCK)
    assert length > 1000 or max(np.diff(starts), default=0) <= BLOCK // 2


def test_the_deconvolution_stays_in_float32_in_a_network_of_bf16() -> None:
    network = build_network("unshuffled", {"scale": 1, "deconvolve": True}).to(torch.bfloat16)
    assert network.dtype == torch.bfloat16
    tensors = network.state_dict(keep_vars=True)
    types = {name: tensor.dtype for name, tensor in tensors.items() if "deconvolution." in name}
    assert set(types.values()) == {torch.float32}
    assert network.deconvolution.bank.dtype == torch.float32
    assert not any("bank" in name for name in types)  # formulas are not stored


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 40)])
def test_padding_a_small_image_equals_that_of_numpy(shape: tuple[int, int]) -> None:
    x = torch.rand(2, 1, *shape)
    mirrored = pad(x, 9, 17, 4, 11)
    if 1 not in shape:
        expected = np.pad(x.numpy(), ((0, 0), (0, 0), (4, 11), (9, 17)), mode="reflect")
        np.testing.assert_array_equal(mirrored.numpy(), expected)
    else:
        assert (mirrored == x).all()


def test_transform_lengths_are_even_and_have_small_prime_factors() -> None:
    assert [_smooth(length) for length in (1, 16, 17, 343, 401)] == [2, 16, 18, 360, 432]


@pytest.mark.gpu
@pytest.mark.parametrize("architecture", ["unshuffled", "gated_unet"])
def test_a_gpu_restores_as_a_cpu_does(architecture: str) -> None:
    torch.manual_seed(0)
    network = build_network(architecture, {"scale": 1, "deconvolve": True}).eval().requires_grad_(False)
    x = torch.rand(2, 1, 150, 131)
    expected = network(x)
    torch.testing.assert_close(network.cuda()(x.cuda()).cpu(), expected, atol=2e-3, rtol=0)
    half = network.half()
    assert half.deconvolution.bank.dtype == torch.float32
    torch.testing.assert_close(half(x.cuda()).cpu(), expected, atol=2e-2, rtol=0)
