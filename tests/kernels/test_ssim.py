"""SSIM: equal to the slow reference of `vidsr.metrics`."""

import numpy as np
import pytest

from vidsr import metrics as slow
from vidsr.kernels.resample import resize
from vidsr.kernels.ssim import ssim

DTYPES = (np.uint8, np.uint16, np.float32)


def noisy_pair(shape: tuple[int, int], dtype: type, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(int(noise))
    top = 65535 if dtype == np.uint16 else 255
    a = resize(rng.uniform(0, top, (9, 11)).astype(np.float32), shape[1], shape[0])
    b = a + rng.normal(0, noise * top / 255, shape)
    return np.clip(a, 0, top).astype(dtype), np.clip(b, 0, top).astype(dtype)


@pytest.mark.parametrize("noise", [0, 2, 30])
@pytest.mark.parametrize("shape", [(11, 11), (11, 300), (48, 31), (400, 500)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_ssim_equals_the_slow_reference(dtype: type, shape: tuple[int, int], noise: float) -> None:
    a, b = noisy_pair(shape, dtype, noise)
    peak = 65535 if dtype == np.uint16 else 255
    assert ssim(a, b) == pytest.approx(slow.ssim(a, b, peak), abs=2e-5)
    if min(shape) > 20:
        assert ssim(a, b, crop=4) == pytest.approx(slow.ssim(a, b, peak, crop=4), abs=2e-5)


def test_ssim_of_equal_planes_is_one_even_if_constant() -> None:
    for value in (0, 128, 255):
        flat = np.full((40, 40), value, np.uint8)
        assert ssim(flat, flat) == pytest.approx(1, abs=1e-6)


def test_ssim_of_ten_bits_uses_their_peak() -> None:
    a, b = (plane.astype(np.uint16) * 4 for plane in noisy_pair((60, 60), np.uint8, 9))
    assert ssim(a, b, peak=1020) == pytest.approx(slow.ssim(a, b, 1020), abs=2e-5)
    assert ssim(a, b, peak=1020) == pytest.approx(ssim((a // 4).astype(np.uint8), (b // 4).astype(np.uint8)), abs=2e-5)


def test_planes_of_different_size_or_too_small_for_the_window_are_refused() -> None:
    a = np.zeros((20, 20), np.uint8)
    with pytest.raises(ValueError, match="cannot compare"):
        ssim(a, a[:, :19])
    with pytest.raises(ValueError, match="cannot compare"):
        ssim(a, a, crop=5)
