"""Denoising: constants stay, no noise asks for nothing, known noise is reduced, and slow twins agree."""

import numpy as np
import pytest

from tests.kernels.test_deconvolution import picture
from vidsr.kernels.denoise import NLM_PATCH, NLM_STRENGTH, bilateral, non_local_means
from vidsr.metrics import psnr

METHODS = [bilateral, non_local_means]


def smooth_picture() -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    return (100 + 60 * (x > 32) + 20 * np.sin(y / 9)).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_stays_and_no_noise_asks_for_nothing(method) -> None:
    constant = np.full((20, 30), 117, np.float32)
    assert np.abs(method(constant, 10) - constant).max() < 1e-3
    assert method(picture(), 0) is not None
    np.testing.assert_array_equal(method(picture(), 0), picture())


@pytest.mark.parametrize("method", METHODS)
def test_noise_is_reduced_and_edges_are_kept(method) -> None:
    noise = 10 * np.random.default_rng(1).standard_normal((64, 64))
    noisy = np.clip(smooth_picture() + noise, 0, 255).astype(np.float32)
    assert psnr(method(noisy, 10), smooth_picture()) > psnr(noisy, smooth_picture()) + 4


def test_non_local_means_is_its_formula() -> None:
    rng, noise, reach = np.random.default_rng(2), 12.0, 10
    codes = np.clip(np.rint(picture(26, 24) + noise * rng.standard_normal((26, 24))), 0, 255)
    patch = NLM_PATCH // 2
    padded = np.pad(codes, reach + patch, mode="reflect")

    def patch_at(y: int, x: int) -> np.ndarray:
        return padded[y - patch : y + patch + 1, x - patch : x + patch + 1]

    y, x = 12 + reach + patch, 11 + reach + patch
    total = value = 0.0
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            distance = np.mean(np.square(patch_at(y, x) - patch_at(y + dy, x + dx)))
            weight = np.exp(-distance / (NLM_STRENGTH * noise) ** 2)
            total, value = total + weight, value + weight * padded[y + dy, x + dx]
    assert abs(non_local_means(codes.astype(np.float32), noise)[12, 11] - value / total) < 2
