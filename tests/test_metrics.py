"""PSNR, MSE and SSIM equal their definitions."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from vidsr.metrics import mse, psnr, psnr_from_mse, psnr_y, rgb_to_y, ssim

RNG = np.random.default_rng(0)


def random_plane(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape).astype(np.uint8)


def test_mse_and_psnr_equal_their_definition() -> None:
    a, b = random_plane(20, 30), random_plane(20, 30)
    error = sum((int(x) - int(y)) ** 2 for x, y in zip(a.ravel(), b.ravel(), strict=True)) / a.size
    assert mse(a, b) == pytest.approx(error)
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 / error))
    assert psnr(a, b, peak=1023) == pytest.approx(10 * math.log10(1023**2 / error))
    assert psnr_from_mse(error) == pytest.approx(psnr(a, b))


def test_psnr_of_zero_and_infinite_errors_is_infinite() -> None:
    assert (psnr_from_mse(0), psnr_from_mse(math.inf)) == (math.inf, -math.inf)
    assert math.isnan(psnr_from_mse(math.nan))
    assert psnr(np.full((4, 4), 10), np.full((4, 4), 11)) == pytest.approx(48.1308, abs=1e-4)


def test_equal_images_have_infinite_psnr_and_ssim_1() -> None:
    a = random_plane(32, 32)
    assert psnr(a, a) == math.inf
    assert mse(a, a) == 0
    assert ssim(a, a) == pytest.approx(1)


def test_crop_ignores_the_border() -> None:
    a = random_plane(30, 40)
    b = a.copy()
    b[:3], b[-3:], b[:, :3], b[:, -3:] = 0, 0, 0, 0
    assert mse(a, b) > 0
    assert mse(a, b, crop=3) == 0
    assert mse(a, b, crop=2) > 0
    assert ssim(a, b, crop=3) == pytest.approx(1)


def ssim_by_loops(a: np.ndarray, b: np.ndarray, peak: float) -> float:
    x = np.arange(11) - 5
    window = np.exp(-(x[:, None] ** 2 + x[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    scores = []
    for i in range(a.shape[0] - 10):
        for j in range(a.shape[1] - 10):
            p, q = a[i : i + 11, j : j + 11].astype(float), b[i : i + 11, j : j + 11].astype(float)
            mean_p, mean_q = (window * p).sum(), (window * q).sum()
            var_p, var_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
            cov = (window * (p - mean_p) * (q - mean_q)).sum()
            score = (2 * mean_p * mean_q + c1) * (2 * cov + c2)
            scores.append(score / ((mean_p**2 + mean_q**2 + c1) * (var_p + var_q + c2)))
    return float(np.mean(scores))


@pytest.mark.parametrize("peak", [255, 1023])
def test_ssim_equals_its_definition(peak: int) -> None:
    a = random_plane(24, 19).astype(np.uint16) * peak // 255
    b = np.clip(a + RNG.normal(0, peak / 20, a.shape), 0, peak).astype(np.uint16)
    assert ssim(a, b, peak) == pytest.approx(ssim_by_loops(a, b, peak), abs=1e-9)


def test_tensors_and_batches_have_the_scores_of_arrays() -> None:
    a, b = random_plane(2, 3, 20, 25), random_plane(2, 3, 20, 25)
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    assert psnr(x, y) == psnr(a, b)
    assert ssim(x, y) == pytest.approx(ssim(a, b))
    planes = [(a[n, c], b[n, c]) for n in range(2) for c in range(3)]
    assert mse(a, b) == pytest.approx(np.mean([mse(p, q) for p, q in planes]))
    assert ssim(a, b) == pytest.approx(np.mean([ssim(p, q) for p, q in planes]))


def test_luma_is_that_of_matlab_and_a_single_channel_is_luma_already() -> None:
    image = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(rgb_to_y(image)[0], [16, 235, 81.481, 144.553, 40.966], atol=1e-9)
    gray = random_plane(5, 6)
    assert np.array_equal(rgb_to_y(gray), gray)
    stacked = np.repeat(gray[..., None], 3, axis=2)  # a grey image in three channels
    np.testing.assert_allclose(rgb_to_y(stacked), 16 + gray * (219 / 255), atol=1e-9)


def test_psnr_y_crops_as_many_pixels_as_the_scale() -> None:
    a = random_plane(40, 40, 3)
    b = a.copy()
    b[:4] = 255 - b[:4]
    assert psnr_y(a, b, 4) == math.inf
    assert psnr_y(a, b, 3) < 60


def test_read_only_arrays_are_accepted_and_sizes_must_match() -> None:
    a = random_plane(20, 20)
    a.flags.writeable = False
    assert mse(a, a) == 0
    with pytest.raises(ValueError, match="cannot compare"):
        psnr(a, a[:, 1:])
    with pytest.raises(ValueError, match="cannot compare"):
        psnr(a, a, crop=10)


def test_metrics_import_without_opencv_and_numba() -> None:
    code = "import sys; sys.modules.update(dict.fromkeys(('av', 'cv2', 'numba'))); import vidsr.metrics"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
