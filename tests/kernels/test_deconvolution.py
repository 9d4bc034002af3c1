"""Deconvolution: identity without blur, constants stay, known blur is reduced, definitions are met."""

import numpy as np
import pytest

from vidsr.kernels.deconvolution import blur, richardson_lucy, unsharp, wiener
from vidsr.metrics import psnr


def frame(height: int = 40, width: int = 52) -> np.ndarray:
    """Return bars, a disk and some texture, 20 to 230."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bars = 60 * ((x // 6) % 2)
    disk = 80 * (np.hypot(x - width / 2, y - height / 2) < height / 4)
    texture = 10 * np.random.default_rng(0).standard_normal((height, width))
    return np.clip(60 + bars + disk + texture, 20, 230).astype(np.float32)


METHODS = {
    "unsharp": lambda plane, sigma: unsharp(plane, sigma, 1.5),
    "wiener": lambda plane, sigma: wiener(plane, sigma, 0.001),
    "richardson-lucy": lambda plane, sigma: richardson_lucy(plane, sigma, 20),
}


@pytest.mark.parametrize("name", METHODS)
def test_constant_stays_and_zero_sigma_changes_nothing(name: str) -> None:
    constant = np.full((24, 31), 93, np.float32)
    assert np.abs(METHODS[name](constant, 1.6) - constant).max() < 1e-2
    assert np.abs(METHODS[name](frame(), 0.0) - frame()).max() < 1e-3


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("sigma", [0.8, 1.6])
def test_known_blur_is_reduced(name: str, sigma: float) -> None:
    soft = blur(frame(), sigma)
    assert psnr(METHODS[name](soft, sigma), frame()) > psnr(soft, frame()) + 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (7, 5)])
def test_wiener_takes_frames_of_any_size(shape: tuple[int, int]) -> None:
    result = wiener(np.full(shape, 50, np.float32), 1.2, 0.01)
    assert result.shape == shape
    assert np.abs(result - 50).max() < 1e-2


def matrix(line: np.ndarray, length: int) -> np.ndarray:
    """Return the matrix that filters by ``line`` (odd length), mirrored about the border samples."""
    rows, reach = np.zeros((length, length)), len(line) // 2
    for i in range(length):
        for k, weight in enumerate(line):
            j = abs(i + k - reach)
            rows[i, 2 * (length - 1) - j if j >= length else j] += weight
    return rows


def test_wiener_solves_its_least_squares_problem() -> None:
    height, width, sigma, weight = 11, 9, 0.6, 0.02
    plane = frame(height, width)
    steps = np.arange(-3, 4)
    gauss = np.exp(-(steps**2) / (2 * sigma**2))
    gauss /= gauss.sum()
    blur_matrix = np.kron(matrix(gauss, height), matrix(gauss, width))
    second = np.array([-1, 2, -1])
    laplace = np.kron(matrix(second, height), np.eye(width)) + np.kron(np.eye(height), matrix(second, width))
    # in the mirrored frame a border sample counts once and all others twice
    counts = np.kron(*(np.where(np.isin(np.arange(n), (0, n - 1)), 1, 2) for n in (height, width)))[:, None]
    normal = blur_matrix.T @ (counts * blur_matrix) + weight * laplace.T @ (counts * laplace)
    solved = np.linalg.solve(normal, blur_matrix.T @ (counts[:, 0] * plane.ravel()))
    np.testing.assert_allclose(wiener(plane, sigma, weight).ravel(), solved, atol=0.02)


def test_richardson_lucy_equals_its_definition() -> None:
    plane, sigma = frame(12, 14), 1.1
    guess = plane.astype(np.float64)
    steps = np.arange(-5, 6)
    gauss = np.exp(-(steps**2) / (2 * sigma**2))
    gauss /= gauss.sum()
    down, across = matrix(gauss, 12), matrix(gauss, 14)
    for _ in range(3):
        guess = guess * (down @ (plane / (down @ guess @ across.T)) @ across.T)
    np.testing.assert_allclose(richardson_lucy(plane, sigma, 3), guess, rtol=1e-3)
