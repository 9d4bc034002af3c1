"""Resizing of planes to any size by separable kernels: nearest, bilinear, bicubic, Lanczos.

Sample ``j`` of an axis of ``n_out`` lies at ``(j + 1/2) * n_in / n_out - 1/2`` of the input axis: pixels are squares,
and the corners of input and output coincide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vidsr.kernels.arrays import Plane, as_planes, result_array
from vidsr.kernels.separable_filter import Axis, Border, filter_planes, make_axis

NEGLIGIBLE = 1e-12  # a smaller weight is a rounding error of 0


def box(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nearest neighbour; halfway between two samples the later one counts."""
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def tent(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear interpolation."""
    return np.where(np.abs(x) < 1, 1 - np.abs(x), 0.0)


def cubic(x: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """Cubic convolution with slope ``a`` at 1.

    Keys, "Cubic convolution interpolation for digital image processing", 1981, has a = -0.5.
    """
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def lanczos3(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lanczos kernel of three lobes (Duchon, "Lanczos filtering in one and two dimensions", 1979)."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


@dataclass(frozen=True)
class Kernel:
    """A weight function, with its behaviour at borders and in downscaling."""

    weight: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    radius: float  # in samples; beyond it the weight is zero
    antialias: bool = True  # widened by the factor when downscaling
    border: Border = "reflect"


KERNELS: dict[str, Kernel] = {
    "nearest": Kernel(box, 0.5, antialias=False),
    "bilinear": Kernel(tent, 1),
    "bicubic": Kernel(lambda x: cubic(x, -0.5), 2),  # MATLAB's imresize, which the papers use
    "bicubic_opencv": Kernel(lambda x: cubic(x, -0.75), 2, antialias=False, border="replicate"),  # cv2.INTER_CUBIC
    "lanczos": Kernel(lanczos3, 3),
}


def resize(
    image: Plane,
    width: int,
    height: int,
    kernel: str = "bicubic",
    *,
    dtype: DTypeLike | None = None,
    out: Plane | None = None,
    peak: int | None = None,
    shift_x: float = 0.0,
    shift_y: float = 0.0,
    ratio_x: Fraction | None = None,
    ratio_y: Fraction | None = None,
) -> Plane:
    """Return ``image`` resized to ``width`` and ``height``.

    ``image`` is ... x H x W, uint8, uint16 or float32. ``dtype`` is that of the result (default: the image's). Integers
    are rounded once, halves up, and clipped to ``peak`` (default: the largest value of the type); float32 is neither.
    ``out`` receives the result instead of a new array. ``shift_x`` and ``shift_y`` move every sampling position, in
    samples of ``image``, for chroma that is not centred on its luma. ``ratio_x`` and ``ratio_y`` are the samples of
    ``image`` per sample of the result where these are not the quotients of the sizes, as for chroma of odd sizes.

    Raises:
        ValueError: a side is empty, or ``out`` does not fit.
        TypeError: the type is not supported.
    """
    shape = (*image.shape[:-2], height, width)
    if 0 in image.shape or min(width, height) < 1:
        raise ValueError(f"cannot resize {image.shape} to {shape}: a side is empty")
    planes = as_planes(image)
    out = result_array(out, shape, image.dtype if dtype is None else dtype)
    x = resampling_axis(image.shape[-1], width, kernel, shift_x, ratio_x)
    y = resampling_axis(image.shape[-2], height, kernel, shift_y, ratio_y)
    filter_planes(planes, out.reshape(-1, height, width), x, y, peak)
    return out


@lru_cache(maxsize=64)
def resampling_axis(n_in: int, n_out: int, kernel: str, shift: float = 0.0, ratio: Fraction | None = None) -> Axis:
    """Return the axis that resizes ``n_in`` samples to ``n_out``.

    ``ratio``: input samples per output sample; None is the quotient of both. The weights of a sample sum to 1.
    """
    shape = KERNELS[kernel]
    ratio = Fraction(n_in, n_out) if ratio is None else ratio
    stretch = max(1.0, float(ratio)) if shape.antialias else 1.0
    radius = shape.radius * stretch
    period, step = ratio.denominator, ratio.numerator
    j = np.arange(period)
    centre = ((2 * j + 1) * step - period) / (2 * period) + shift  # an integer before the division, so exact
    first = np.floor(centre - radius).astype(np.int64) + 1
    index = first[:, None] + np.arange(int(np.ceil(2 * radius)))
    weights = shape.weight((index - centre[:, None]) / stretch)
    weights[np.abs(weights) < NEGLIGIBLE] = 0
    used = np.flatnonzero(weights.any(axis=0))
    weights = weights[:, used[0] : used[-1] + 1] / weights.sum(axis=1, keepdims=True)
    repeats = -(-n_out // period)
    first = (first + used[0] + step * np.arange(repeats)[:, None]).ravel()[:n_out]
    weights = np.tile(weights, (repeats, 1))[:n_out]
    period = period if n_out % period == 0 else 0  # of whole periods only
    return make_axis(n_in, first, weights, shape.border, period, step)
