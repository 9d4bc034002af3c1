"""Estimates of blur and noise: close to the true values, and near zero for sharp or clean frames."""

import numpy as np
import pytest

from vidsr.degrade.blur import MotionBlur
from vidsr.degrade.degradations import convolve
from vidsr.kernels.blur_noise_estimate import blur_sigma, motion_blur_sigma, noise_sigma
from vidsr.kernels.deconvolution import blur


def shapes(side: int = 256) -> np.ndarray:
    """Return disks on a grey background, drawn at twice the size and downscaled: edges are a pixel wide."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[: 2 * side, : 2 * side]
    plane = np.full((2 * side, 2 * side), 110.0)
    for _ in range(30):
        centre, radius = rng.uniform(0, 2 * side, 2), rng.uniform(20, 90)
        plane[np.hypot(x - centre[0], y - centre[1]) < radius] = rng.uniform(30, 220)
    return plane.reshape(side, 2, side, 2).mean((1, 3)).astype(np.float32)


def noisy(plane: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(4).standard_normal(plane.shape)
    return np.clip(np.rint(plane + sigma * noise), 0, 255).astype(np.float32)


@pytest.mark.parametrize("sigma", [1.2, 1.6, 2.5])
@pytest.mark.parametrize("noise", [0, 3])
def test_known_blur_is_estimated(sigma: float, noise: float) -> None:
    assert blur_sigma(noisy(blur(shapes(), sigma), noise)) == pytest.approx(sigma, rel=0.2)


def test_sharp_frame_has_little_blur() -> None:
    assert blur_sigma(shapes()) < 0.8
    assert blur_sigma(np.full((64, 64), 90, np.float32)) == 0


@pytest.mark.parametrize("angle", [0, 30, 90, 135])
def test_motion_blur_is_estimated_where_the_blur_of_all_edges_is_small(angle: float) -> None:
    kernel = MotionBlur((11, 11), (angle, angle)).kernel(np.random.default_rng(0))
    moved = noisy(convolve(shapes()[None], kernel)[0], 1)
    assert motion_blur_sigma(moved) > 2.5 > 1.2 > blur_sigma(moved)


def test_motion_blur_of_isotropic_blur_is_that_blur_and_of_sharp_edges_is_small() -> None:
    assert motion_blur_sigma(blur(shapes(), 1.6)) == pytest.approx(1.6, rel=0.2)
    assert motion_blur_sigma(shapes()) < 0.9
    assert motion_blur_sigma(np.full((64, 64), 90, np.float32)) == 0


@pytest.mark.parametrize("sigma", [2, 5, 10, 20])
def test_known_noise_is_estimated(sigma: float) -> None:
    assert noise_sigma(noisy(shapes(), sigma)) == pytest.approx(sigma, rel=0.12)


def test_clean_frame_has_no_noise() -> None:
    assert noise_sigma(np.full((64, 64), 90, np.float32)) == 0
    assert noise_sigma(blur(shapes(), 1.0)) < 0.5
    assert noise_sigma(np.full((2, 2), 90, np.float32)) == 0


def test_letterbox_bars_do_not_hide_the_noise() -> None:
    plane = np.full((256, 128), 16, np.float32)
    plane[48:208] = noisy(np.full((160, 128), 100, np.float32), 6)
    assert noise_sigma(plane) == pytest.approx(6, rel=0.12)
