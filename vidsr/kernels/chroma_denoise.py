"""Denoising of chroma guided by luma, at the size of chroma.

A linear model of chroma on luma in windows, as in He, Sun and Tang, "Guided image filtering", 2010, keeps the edges
that luma has. What the model does not explain is kept as far as its variance exceeds that of the noise (a Wiener
filter), so that colours without an edge in luma stay too.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]  # float32, H x W code values

RADIUS = 3  # of the windows, chroma samples
NOISE_FACTOR = 1.25  # share of the noise's variance that is taken out; above 1, as variances scatter around their mean
LUMA_FACTOR = 4.0  # variance of luma that counts as flat, in variances of the noise
LEAST_NOISE = 1.0  # 8-bit code values; what is measured below is texture
# The noise is measured where the model explains most: windows of this radius and quantile, whose residual is below the
# mean of noise by this factor.
NOISE_RADIUS, NOISE_QUANTILE, NOISE_QUANTILE_FACTOR = 2, 0.05, 0.78


def denoise_chroma(chroma: Plane, guide: Plane, noise: float | None, unit: float) -> Plane:
    """Return the plane ``chroma`` denoised.

    ``guide``: denoised luma at the same positions. ``noise``: standard deviation in 8-bit code values; None measures
    it, and returns the plane itself if there is none. ``unit``: code values per 8-bit code value.
    """
    sigma = chroma_noise(chroma, guide) if noise is None else noise * unit
    if noise is None and sigma < LEAST_NOISE * unit:
        return chroma
    slope, offset, residual = _fit(chroma, guide, RADIUS, max(LUMA_FACTOR * sigma * sigma, unit * unit))
    explained = _mean(slope, RADIUS) * guide + _mean(offset, RADIUS)
    kept = np.maximum(residual - NOISE_FACTOR * sigma * sigma, 0) / np.maximum(residual, 1e-3 * unit * unit)
    return np.asarray(explained + _mean(kept, RADIUS) * (chroma - explained), np.float32)


def chroma_noise(chroma: Plane, guide: Plane) -> float:
    """Return the standard deviation of noise in ``chroma``, code values.

    Noise that is correlated over some samples, as cameras make it, counts too.
    """
    *_, residual = _fit(chroma, guide, NOISE_RADIUS, 1.0)
    inner = tuple(
        slice(NOISE_RADIUS, -NOISE_RADIUS, 2) if side > 4 * NOISE_RADIUS else slice(None) for side in chroma.shape
    )
    return float(np.sqrt(np.quantile(residual[inner], NOISE_QUANTILE))) / NOISE_QUANTILE_FACTOR


def _fit(chroma: Plane, guide: Plane, radius: int, flat: float) -> tuple[Plane, Plane, Plane]:
    """Return slope and offset of chroma on luma in each window, and the variance that they do not explain."""
    mean_guide, mean_chroma = _mean(guide, radius), _mean(chroma, radius)
    var_guide = np.maximum(_mean(guide * guide, radius) - mean_guide * mean_guide, 0)
    var_chroma = np.maximum(_mean(chroma * chroma, radius) - mean_chroma * mean_chroma, 0)
    covariance = _mean(guide * chroma, radius) - mean_guide * mean_chroma
    slope = covariance / (var_guide + np.float32(flat))
    return slope, mean_chroma - slope * mean_guide, np.maximum(var_chroma - slope * covariance, 0)


def _mean(plane: Plane, radius: int) -> Plane:
    side = 2 * radius + 1
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)
