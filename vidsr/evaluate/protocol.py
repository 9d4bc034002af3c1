"""The papers' way to prepare pictures for measuring super-resolution, in NumPy alone; `vidsr.metrics` has the scores.

HR cropped to a multiple of the scale; LR by MATLAB's ``imresize`` (cubic a = -0.5 stretched by the scale, borders
mirrored) per channel of RGB, rounded to 8 bits; the network's result rounded to 8 bits; luma of BT.601 limited range,
not rounded; ``scale`` pixels cut off at each side. A file with a single channel is luma as it is.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]


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


def shave(values: Values, border: int) -> Values:
    """``values`` without ``border`` pixels on each side."""
    return values[border : values.shape[0] - border, border : values.shape[1] - border]
