"""Classical denoising: constants stay, known noise is reduced, edges are kept, the definition is met."""

import numpy as np
import pytest

from tests.kernels.test_deconvolution import frame
from vidsr.kernels.denoise import NLM_PATCH, NLM_STRENGTH, bilateral, non_local_means
from vidsr.metrics import psnr

METHODS = [bilateral, non_local_means]


def smooth_frame() -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    return (100 + 60 * (x > 32) + 20 * np.sin(y / 9)).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_constant_stays_and_zero_noise_changes_nothing(method) -> None:
    constant = np.full((20, 30), 117, np.float32)
    assert np.abs(method(constant, 10) - constant).max() < 1e-3
    np.testing.assert_array_equal(method(frame(), 0), frame())


@pytest.mark.parametrize("method", METHODS)
def test_noise_is_reduced_and_psnr_rises(method) -> None:
    noise = 10 * np.random.default_rng(1).standard_normal((64, 64))
    noisy = np.clip(smooth_frame() + noise, 0, 255).astype(np.float32)
    assert psnr(method(noisy, 10), smooth_frame()) > psnr(noisy, smooth_frame()) + 4


def test_bilateral_smooths_noise_and_keeps_an_edge() -> None:
    step = np.repeat(np.repeat([[50, 200]], 40, axis=1), 60, axis=0).astype(np.float32)
    noisy = step + 4 * np.random.default_rng(3).standard_normal(step.shape, np.float32)
    smooth = bilateral(noisy, 10)
    assert smooth[:, 10:30].std() < 0.5 * noisy[:, 10:30].std()
    assert (smooth[:, 40] - smooth[:, 39]).min() > 130


def test_non_local_means_equals_its_definition() -> None:
    rng, noise, reach = np.random.default_rng(2), 12.0, 10
    codes = np.clip(np.rint(frame(26, 24) + noise * rng.standard_normal((26, 24))), 0, 255)
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
