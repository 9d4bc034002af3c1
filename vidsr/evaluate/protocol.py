"""The protocol by which super-resolution papers prepare images before PSNR and SSIM are measured. NumPy alone.

1. Crop HR to a multiple of the scale.
2. Make LR with MATLAB's ``imresize`` (cubic a = -0.5 stretched by the scale, borders mirrored) per RGB channel, rounded
   to 8 bits.
3. Round the network's output to 8 bits, and convert both to luma: BT.601, limited range, not rounded. A file with a
   single channel is luma already.
4. Cut off ``scale`` pixels at each side. `vidsr.metrics` has the scores.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]


def imresize(image: Image, height: int, width: int) -> Image:
    """Resize as MATLAB's ``imresize(image, [height width])`` does for uint8: antialiased cubic, rounded."""
    values = _resize_rows(image.astype(np.float64), height)
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


def modcrop(image: Image, scale: int) -> Image:
    """Return the top left part whose sides are multiples of ``scale``."""
    height, width = (n - n % scale for n in image.shape[:2])
    return image[:height, :width]


def shave(values: Values, border: int) -> Values:
    """Return ``values`` without ``border`` pixels on each side."""
    return values[border : values.shape[0] - border, border : values.shape[1] - border]
