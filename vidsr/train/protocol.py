"""The papers' way to measure super-resolution, in NumPy and PyTorch alone.

HR cropped to a multiple of the scale; LR by MATLAB's ``imresize`` (cubic a = -0.5 stretched by the scale, borders
mirrored) per channel of RGB, rounded to 8 bits; the network's result rounded to 8 bits; luma of BT.601 limited range,
not rounded; ``scale`` pixels cut off at each side. A file with a single channel is luma as it is.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

Picture = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]

WINDOW, SIGMA = 11, 1.5  # of SSIM (Wang et al. 2004)
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def imresize(picture: Picture, height: int, width: int) -> Picture:
    """What MATLAB's ``imresize(picture, [height width])`` gives for uint8: antialiased cubic, rounded."""
    values = _resize_rows(picture.astype(np.float64), height)
    values = _resize_rows(values.swapaxes(0, 1), width).swapaxes(0, 1)
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


def _resize_rows(values: Values, length: int) -> Values:
    source = values.shape[0]
    ratio = length / source
    stretch = max(1.0, 1 / ratio)
    centres = (np.arange(length) + 0.5) / ratio - 0.5
    taps = math.ceil(4 * stretch) + 2
    indices = np.floor(centres - 2 * stretch).astype(int)[:, None] + np.arange(taps)
    weights = _cubic((centres[:, None] - indices) / stretch)
    weights /= weights.sum(1, keepdims=True)
    mirrored = np.concatenate([np.arange(source), np.arange(source)[::-1]])[indices % (2 * source)]
    matrix = np.zeros((length, source))
    np.add.at(matrix, (np.arange(length)[:, None], mirrored), weights)
    result: Values = np.tensordot(matrix, values, axes=(1, 0))
    return result


def _cubic(x: Values) -> Values:
    """Keys's kernel, a = -0.5."""
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def modcrop(picture: Picture, scale: int) -> Picture:
    """The top-left part whose sides are multiples of ``scale``."""
    height, width = (n - n % scale for n in picture.shape[:2])
    return picture[:height, :width]


def luma(picture: Picture) -> Values:
    """H x W luma: 16 to 235 of an RGB picture, a single-channel picture as it is."""
    values = picture.astype(np.float64)
    return values if picture.ndim == 2 else values @ np.array([65.481, 128.553, 24.966]) / 255 + 16


def shave(values: Values, border: int) -> Values:
    """``values`` without ``border`` pixels on each side."""
    return values[border : values.shape[0] - border, border : values.shape[1] - border]


def mse(a: Values, b: Values) -> float:
    """Mean squared error."""
    return float(np.mean((a - b) ** 2))


def psnr(a: Values, b: Values) -> float:
    """Peak signal-to-noise ratio for a peak of 255, dB; infinite for equal pictures."""
    error = mse(a, b)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def ssim(a: Values, b: Values) -> float:
    """Structural similarity: 11 x 11 Gaussian window of sigma 1.5, valid region, peak 255 (Wang et al. 2004)."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    line = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    line /= line.sum()
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    stack = torch.stack([x, y, x * x, y * y, x * y])[:, None]
    stack = F.conv2d(F.conv2d(stack, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1))[:, 0]
    mean_x, mean_y, xx, yy, xy = stack
    variance_x, variance_y, covariance = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    similarity /= (mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2)
    return float(similarity.mean())
