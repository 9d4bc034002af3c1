"""Chroma denoising guided by luma: against a slow twin; noise falls and colours stay."""

import cv2
import numpy as np
import pytest

from vidsr.kernels.chroma_denoise import (
    LEAST_NOISE,
    LUMA_FACTOR,
    NOISE_FACTOR,
    NOISE_QUANTILE,
    NOISE_QUANTILE_FACTOR,
    NOISE_RADIUS,
    RADIUS,
    chroma_noise,
    denoise_chroma,
)

# --- slow twin: every window by its definition


def windows(plane: np.ndarray, radius: int) -> np.ndarray:
    padded = np.pad(plane.astype(np.float64), radius, mode="symmetric")
    return np.lib.stride_tricks.sliding_window_view(padded, (2 * radius + 1,) * 2)


def twin_fit(chroma: np.ndarray, guide: np.ndarray, radius: int, flat: float) -> tuple[np.ndarray, ...]:
    slope, offset, residual = (np.empty(chroma.shape) for _ in range(3))
    c, g = windows(chroma, radius), windows(guide, radius)
    for i, j in np.ndindex(chroma.shape):
        covariance = np.mean((c[i, j] - c[i, j].mean()) * (g[i, j] - g[i, j].mean()))
        slope[i, j] = covariance / (g[i, j].var() + flat)
        offset[i, j] = c[i, j].mean() - slope[i, j] * g[i, j].mean()
        residual[i, j] = max(0, c[i, j].var() - slope[i, j] * covariance)
    return slope, offset, residual


def twin(chroma: np.ndarray, guide: np.ndarray, sigma: float, unit: float) -> np.ndarray:
    slope, offset, residual = twin_fit(chroma, guide, RADIUS, max(LUMA_FACTOR * sigma**2, unit**2))
    mean_slope, mean_offset = windows(slope, RADIUS).mean((-1, -2)), windows(offset, RADIUS).mean((-1, -2))
    explained = mean_slope * guide + mean_offset
    kept = np.maximum(residual - NOISE_FACTOR * sigma**2, 0) / np.maximum(residual, 1e-3 * unit**2)
    return explained + windows(kept, RADIUS).mean((-1, -2)) * (chroma - explained)


def scene(depth: int = 8, side: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Return clean chroma and luma: an edge of both, and an edge of colour alone."""
    unit = 2.0 ** (depth - 8)
    luma = np.full((side, side), 60 * unit, np.float32)
    chroma = np.full((side, side), 120 * unit, np.float32)
    luma[:, side // 3 :], chroma[:, side // 3 :] = 180 * unit, 150 * unit
    chroma[: side // 3, side // 2 :] = 90 * unit
    return chroma, luma


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("shape", [(24, 31), (8, 8), (5, 40)])
def test_the_filter_is_its_slow_twin(shape: tuple[int, int], depth: int) -> None:
    rng, unit = np.random.default_rng(0), 2.0 ** (depth - 8)
    guide = (rng.integers(0, 256, (4, 4)).repeat(12, 0).repeat(12, 1)[: shape[0], : shape[1]] * unit).astype(np.float32)
    chroma = (0.3 * guide + 60 * unit + rng.normal(0, 4 * unit, shape)).astype(np.float32)
    chroma[: shape[0] // 2] += 20 * unit
    result = denoise_chroma(chroma, guide, 4.0, unit)
    np.testing.assert_allclose(result, twin(chroma, guide, 4.0 * unit, unit), rtol=0, atol=0.02 * unit)
    *_, residual = twin_fit(chroma, guide, NOISE_RADIUS, 1.0)
    inner = tuple(slice(2, -2, 2) if side > 8 else slice(None) for side in shape)
    measured = np.sqrt(np.quantile(residual[inner], NOISE_QUANTILE)) / NOISE_QUANTILE_FACTOR
    assert chroma_noise(chroma, guide) == pytest.approx(measured, rel=0.01)


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("blotches", [False, True])
def test_noise_falls_and_edges_of_colour_stay(blotches: bool, depth: int) -> None:
    clean, luma = scene(depth, 96)
    unit = 2.0 ** (depth - 8)
    noise = np.random.default_rng(1).normal(0, 1, clean.shape).astype(np.float32)
    if blotches:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.0))
    noisy = clean + noise * np.float32(4 * unit / noise.std())
    found = chroma_noise(noisy, luma) / unit
    assert (2 if blotches else 3) < found < 4.5
    error = np.sqrt(np.mean((denoise_chroma(noisy, luma, None, unit) - clean) ** 2)) / unit
    assert error < (3.0 if blotches else 1.6)


def test_clean_chroma_is_returned_as_it_is() -> None:
    clean, luma = scene()
    assert denoise_chroma(clean, luma, None, 1.0) is clean
    rounding = np.random.default_rng(0).uniform(-0.5, 0.5, clean.shape).astype(np.float32)
    assert chroma_noise(clean + rounding, luma) < LEAST_NOISE


def test_flat_colour_stays_flat_over_any_luma() -> None:
    luma = np.random.default_rng(0).uniform(0, 255, (40, 40)).astype(np.float32)
    flat = np.full((40, 40), 131, np.float32)
    np.testing.assert_allclose(denoise_chroma(flat, luma, 4.0, 1.0), flat, atol=1e-2)
