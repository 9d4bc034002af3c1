"""How like two pictures are: PSNR, MSE and SSIM, by the protocol of the super-resolution papers where it says so.

NumPy and PyTorch alone, in double precision. Frames of a run are measured by `vidsr.kernels.squared_error` and
`vidsr.kernels.ssim`, which are fast.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Values = NDArray[Any] | Tensor  # code values: ... x H x W, of one channel unless said otherwise

BT601_LIMITED = (65.481, 128.553, 24.966)  # luma of R, G and B from 0 to 1, on top of 16
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03  # of SSIM


def mse(a: Values, b: Values, crop: int = 0) -> float:
    """Mean squared error, without ``crop`` pixels at each border."""
    x, y = _pair(a, b, crop)
    return float((x - y).square().mean())


def psnr(a: Values, b: Values, peak: float = 255, crop: int = 0) -> float:
    """Peak signal-to-noise ratio in dB, without ``crop`` pixels at each border; infinite where nothing differs."""
    return psnr_from_mse(mse(a, b, crop), peak)


def psnr_from_mse(error: float, peak: float = 255) -> float:
    """Mean squared error as dB below the square of ``peak``; infinite for 0, minus that for an infinite one."""
    if error == 0:
        return math.inf
    return -math.inf if error == math.inf else 10 * math.log10(peak * peak / error)


def psnr_y(a: NDArray[np.uint8], b: NDArray[np.uint8], scale: int) -> float:
    """PSNR in dB as the papers give it: on `rgb_to_y` of both pictures, ``scale`` pixels cropped at each border."""
    return psnr(rgb_to_y(a), rgb_to_y(b), crop=scale)


def rgb_to_y(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luma (H x W) of an 8-bit RGB picture (H x W x 3): BT.601, 16 to 235, not rounded, as in MATLAB.

    A picture of a single channel (H x W) is its own luma. The papers' figures for Set14 need that rule: converting its
    grey file as if it were RGB shrinks its range, and adds 1.3 dB to that picture.
    """
    if picture.ndim == 2:
        return picture.astype(np.float64)
    return 16 + picture.astype(np.float64) @ (np.array(BT601_LIMITED) / 255)


def ssim(a: Values, b: Values, peak: float = 255, crop: int = 0) -> float:
    """Mean structural similarity (1 where equal) of pictures of at least 11 x 11 after ``crop``.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004: 11 x 11 Gaussian
    window of sigma 1.5, where it fits entirely.
    """
    x, y = (values.reshape(-1, 1, *values.shape[-2:]) for values in _pair(a, b, crop))
    offsets = torch.arange(WINDOW, dtype=torch.float64, device=x.device) - WINDOW // 2
    line = torch.exp(-offsets.square() / (2 * SIGMA**2))
    line = line / line.sum()
    moments = torch.cat([x, y, x * x, y * y, x * y], dim=1).flatten(0, 1)[:, None]
    means = F.conv2d(F.conv2d(moments, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1))
    mean_x, mean_y, xx, yy, xy = means.view(len(x), 5, *means.shape[-2:]).unbind(1)
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    variances = xx - mean_x.square() + yy - mean_y.square()
    return float((luminance * (2 * (xy - mean_x * mean_y) + c2) / (variances + c2)).mean())


def _pair(a: Values, b: Values, crop: int) -> tuple[Tensor, Tensor]:
    """Both as doubles, cropped."""
    if a.shape != b.shape or min(a.shape[-2:]) <= 2 * crop:
        raise ValueError(f"cannot compare {tuple(a.shape)} with {tuple(b.shape)} without {crop} pixels at each border")
    rows, columns = (slice(crop, size - crop) for size in a.shape[-2:])
    x, y = (_double(values)[..., rows, columns] for values in (a, b))
    return x, y


def _double(values: Values) -> Tensor:
    return values.double() if isinstance(values, Tensor) else torch.from_numpy(np.array(values, np.float64))
