"""Gaussian blur, equal to that of OpenCV."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vidsr.kernels.arrays import Array, Plane, as_planes, result_array
from vidsr.kernels.jit import jit
from vidsr.kernels.separable_filter import Border, border_index
from vidsr.kernels.workers import in_parallel, strips

Number = TypeVar("Number", int, float)

# The weights of OpenCV for these sizes without a sigma: Pascal's triangle, and similar ones for 7 and 9.
SMALL_KERNELS: dict[int, tuple[float, ...]] = {
    1: (1,),
    3: (0.25, 0.5, 0.25),
    5: (0.0625, 0.25, 0.375, 0.25, 0.0625),
    7: (0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125),
    9: (4 / 256, 13 / 256, 30 / 256, 51 / 256, 60 / 256, 51 / 256, 30 / 256, 13 / 256, 4 / 256),
}
ONE_GROUP = 3  # weights that `_symmetric_sum` handles without a running sum
FRACTION_BITS = {"B": 8, "H": 16}  # fraction bits of OpenCV's fixed-point weights, by type character of the plane


def default_sigma(size: int) -> float:
    """Return the default sigma of OpenCV for a kernel of ``size`` samples."""
    return 0.3 * ((size - 1) / 2 - 1) + 0.8


def default_size(sigma: float, dtype: np.dtype[np.generic]) -> int:
    """Return the default size (odd) of OpenCV for ``sigma``.

    It is 3 sigma on each side for uint8, 4 for other types.
    """
    return round(sigma * (3 if dtype == np.uint8 else 4) * 2 + 1) | 1


def gaussian_kernel(size: int, sigma: float = 0.0) -> NDArray[np.float64]:
    """Return ``size`` (odd) weights with sum 1, as ``cv2.getGaussianKernel``.

    ``sigma`` is in samples; 0 takes the default for the size.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"a Gaussian kernel cannot have {size} samples: give an odd number")
    if sigma <= 0 and size in SMALL_KERNELS:
        return np.array(SMALL_KERNELS[size], np.float64)
    sigma = sigma if sigma > 0 else default_sigma(size)
    x = np.arange(size) - (size - 1) / 2
    weights = np.exp(-x * x / (2 * sigma * sigma))
    return np.asarray(weights / weights.sum())


def fixed_point(weights: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Return symmetric ``weights`` as multiples of ``2**-bits`` with sum 1.

    The rounding error of each weight is added to the next.
    """
    unit = 1 << bits
    half, error = [], 0.0
    for weight in weights[: len(weights) // 2]:
        wanted = weight * unit + error
        half.append(round(wanted))
        error = wanted - half[-1]
    return np.array([*half, unit - 2 * sum(half), *half[::-1]]) / unit


def gaussian_blur(
    image: Plane,
    size: int | tuple[int, int],
    sigma: float | tuple[float, float] = 0.0,
    border: Border = "reflect_101",
    out: Plane | None = None,
) -> Plane:
    """Return ``image`` blurred as by ``cv2.GaussianBlur``.

    ``image`` is ... x H x W, uint8, uint16 or float32. ``size`` and ``sigma`` are one number or (x, y). Sizes are odd;
    size 0 is derived from sigma, sigma 0 from the size. uint8 equals the result of OpenCV exactly, uint16 within one
    code value.
    """
    planes = as_planes(image)
    out = result_array(out, image.shape, image.dtype)
    sizes, sigmas = _pair(size), _pair(sigma)
    across, down = (
        _weights(n or default_size(s, image.dtype), s, image.dtype) for n, s in zip(sizes, sigmas, strict=True)
    )
    results = out.reshape(planes.shape)
    height, width = image.shape[-2:]
    columns = border_index(np.arange(1 - len(across), width + len(across) - 1), width, border)
    lines = border_index(np.arange(1 - len(down), height + len(down) - 1), height, border)
    if border == "constant":
        planes = np.pad(planes, ((0, 0), (1, 0), (0, 0)))  # a row of zeros, to which OUTSIDE refers
        lines += 1
    half = np.float32(0 if image.dtype.kind == "f" else 0.5)  # added before truncation
    tasks = [(n, rows) for n in range(len(planes)) for rows in strips(height, width)]

    def work(task: tuple[int, tuple[int, int]]) -> None:
        n, (first, last) = task
        _blur(planes[n], results[n, first:last], lines[first:], columns, down, across, half)

    in_parallel(work, tasks)
    return out


def _pair(value: Number | tuple[Number, Number]) -> tuple[Number, Number]:
    return value if isinstance(value, tuple) else (value, value)


def _weights(size: int, sigma: float, dtype: np.dtype[np.generic]) -> NDArray[np.float32]:
    """Return the weights from the centre of the kernel outwards."""
    weights = gaussian_kernel(size, sigma)
    if dtype.char in FRACTION_BITS:
        weights = fixed_point(weights, FRACTION_BITS[dtype.char])
    return weights[size // 2 :].astype(np.float32)


@jit
def _blur(plane: Array, out: Array, lines: Array, columns: Array, down: Array, across: Array, half: np.float32) -> None:
    """Blur ``plane`` into ``out``.

    Row ``i`` of ``out`` is the centre of rows ``lines[i : i + 2 * len(down) - 1]`` of ``plane``.
    """
    height, width = out.shape
    reach_y, reach_x = down.size - 1, across.size - 1
    samples = plane.reshape(plane.size)
    before, after = np.empty(down.size, np.uint64), np.empty(down.size, np.uint64)  # unsigned: no index wraps around
    left, right = np.empty(across.size, np.uint64), np.empty(across.size, np.uint64)
    for k in range(across.size):
        left[k], right[k] = reach_x - k, reach_x + k
    padded = np.empty(width + 2 * reach_x, np.float32)
    body = padded[reach_x : reach_x + width]
    row = np.empty(width, np.float32)
    for i in range(height):
        for k in range(down.size):
            before[k] = lines[i + reach_y - k] * width
            after[k] = lines[i + reach_y + k] * width
        _symmetric_sum(samples, before, after, down, body, np.float32(0))
        for k in range(1, across.size):
            padded[reach_x - k] = _at(body, columns[reach_x - k])
            padded[reach_x + width - 1 + k] = _at(body, columns[reach_x + width - 1 + k])
        if across.size <= ONE_GROUP:  # no running sum between groups: rounded at once
            _symmetric_sum(padded, left, right, across, out[i], half)
        else:
            _symmetric_sum(padded, left, right, across, row, half)
            for j in range(width):
                out[i, j] = row[j]


@jit
def _at(line: Array, index: int) -> np.float32:
    return line[index] if index >= 0 else np.float32(0)


@jit
def _symmetric_sum(samples: Array, before: Array, after: Array, weights: Array, out: Array, bias: np.float32) -> None:
    """Write ``out[i]`` = ``bias`` + the weighted sum of a sample and the pairs around it.

    Two pairs are added at a time.
    """
    last, n = weights.size - 1, np.uint64(out.size)
    m, wm = before[0], weights[0]
    if last == 0:
        for i in range(n):
            out[i] = wm * np.float32(samples[m + i]) + bias
    elif last % 2 == 1:
        a, b, wa = before[1], after[1], weights[1]
        for i in range(n):
            pair = np.float32(samples[a + i]) + np.float32(samples[b + i])
            out[i] = wm * np.float32(samples[m + i]) + wa * pair + bias
    else:
        a, b, wa, c, d, wc = before[1], after[1], weights[1], before[2], after[2], weights[2]
        for i in range(n):
            near = np.float32(samples[a + i]) + np.float32(samples[b + i])
            far = np.float32(samples[c + i]) + np.float32(samples[d + i])
            out[i] = wm * np.float32(samples[m + i]) + wa * near + wc * far + bias
    for k in range(3 - last % 2, last, 2):
        a, b, wa, c, d, wc = before[k], after[k], weights[k], before[k + 1], after[k + 1], weights[k + 1]
        for i in range(n):
            near = np.float32(samples[a + i]) + np.float32(samples[b + i])
            far = np.float32(samples[c + i]) + np.float32(samples[d + i])
            out[i] += wa * near + wc * far
