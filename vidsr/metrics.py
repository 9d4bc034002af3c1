"""PSNR, MSE and SSIM of two images, in double precision, by NumPy and PyTorch.

`psnr_y` follows the protocol of the super-resolution papers. A run measures its frames with the faster
`vidsr.kernels.squared_error` and `vidsr.kernels.ssim`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Values = NDArray[Any] | Tensor  # code values: ... x H x W

BT601_LIMITED = (65.481, 128.553, 24.966)  # luma of R, G and B from 0 to 1, added to 16
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03  # of SSIM


def mse(a: Values, b: Values, crop: int = 0) -> float:
    """Return the mean squared error, without ``crop`` pixels at each border."""
    x, y = _pair(a, b, crop)
    return float((x - y).square().mean())


def psnr(a: Values, b: Values, peak: float = 255, crop: int = 0) -> float:
    """Return the PSNR in dB without ``crop`` pixels at each border.

    It is infinite for equal images.
    """
    return psnr_from_mse(mse(a, b, crop), peak)


def psnr_from_mse(error: float, peak: float = 255) -> float:
    """Convert a mean squared error to PSNR in dB.

    The PSNR of 0 is infinite, that of an infinite error minus infinity.
    """
    if error == 0:
        return math.inf
    return -math.inf if error == math.inf else 10 * math.log10(peak * peak / error)


def psnr_y(a: NDArray[np.uint8], b: NDArray[np.uint8], scale: int) -> float:
    """Return the PSNR of the papers in dB.

    It is measured on `rgb_to_y`, without ``scale`` pixels at each border.
    """
    return psnr(rgb_to_y(a), rgb_to_y(b), crop=scale)


def rgb_to_y(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return luma (H x W) of an 8-bit RGB image (H x W x 3).

    It is BT.601 from 16 to 235, not rounded, as in MATLAB.

    An image of a single channel (H x W) is luma already. The papers' figures for Set14 need this rule: converting its
    grey file as RGB shrinks the range and adds 1.3 dB to that image.
    """
    if image.ndim == 2:
        return image.astype(np.float64)
    return 16 + image.astype(np.float64) @ (np.array(BT601_LIMITED) / 255)


def ssim(a: Values, b: Values, peak: float = 255, crop: int = 0) -> float:
    """Return the mean structural similarity, which is 1 for equal images.

    Images need at least 11 x 11 pixels after ``crop``.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004: 11 x 11 Gaussian
    window of sigma 1.5, only where it fits entirely.
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
    """Return both as cropped doubles."""
    if a.shape != b.shape or min(a.shape[-2:]) <= 2 * crop:
        raise ValueError(f"cannot compare {tuple(a.shape)} with {tuple(b.shape)} without {crop} pixels at each border")
    rows, columns = (slice(crop, size - crop) for size in a.shape[-2:])
    x, y = (_double(values)[..., rows, columns] for values in (a, b))
    return x, y


def _double(values: Values) -> Tensor:
    return values.double() if isinstance(values, Tensor) else torch.from_numpy(np.array(values, np.float64))
