"""Sum of squared errors of two planes, from which PSNR is computed.

It is fast enough for every frame of a run.
"""

from __future__ import annotations

import numpy as np

from vidsr.kernels.arrays import Array, Plane, as_planes, check_pair
from vidsr.kernels.jit import jit
from vidsr.kernels.resample import resampling_axis
from vidsr.kernels.separable_filter import filter_rows
from vidsr.kernels.workers import in_parallel, strips


def sse(a: Plane, b: Plane, crop: int = 0) -> float:
    """Return the sum of squared errors of two planes (H x W).

    ``crop`` pixels at each border are left out. The sum is exact for integers.
    """
    check_pair(a, b, crop)
    a, b = as_planes(a)[0], as_planes(b)[0]

    def work(rows: tuple[int, int]) -> float:
        return float(_sse(a[slice(*rows)], b[slice(*rows)], crop))

    return sum(in_parallel(work, _cropped_strips(a.shape, crop)))


def sse_resized(source: Plane, target: Plane, kernel: str = "bicubic", peak: int | None = None, crop: int = 0) -> float:
    """Return `sse` of ``target`` and of ``source`` resized to its size and type.

    The resized plane is never stored. Either may be the larger: the output against the upscaled input, or the
    downscaled output against the input. ``peak`` and ``kernel`` are those of `vidsr.kernels.resample.resize`.
    """
    check_pair(target, target, crop)
    plane, target = as_planes(source)[0], as_planes(target)[0]
    x = resampling_axis(plane.shape[1], target.shape[1], kernel)
    y = resampling_axis(plane.shape[0], target.shape[0], kernel)

    def work(rows: tuple[int, int]) -> float:
        first, last = rows
        resized = np.empty((last - first, target.shape[1]), target.dtype)
        filter_rows(plane, resized, first, x, y, peak)
        return float(_sse(resized, target[first:last], crop))

    return sum(in_parallel(work, _cropped_strips((target.shape[0], max(plane.shape[1], target.shape[1])), crop)))


def _cropped_strips(shape: tuple[int, ...], crop: int) -> list[tuple[int, int]]:
    return [(crop + first, crop + last) for first, last in strips(shape[0] - 2 * crop, shape[1])]


@jit
def _sse(a: Array, b: Array, crop: int) -> float:
    total = 0.0
    for i in range(np.uint64(a.shape[0])):  # unsigned: no index wraps around, so the loop is vectorised
        for j in range(np.uint64(crop), np.uint64(a.shape[1] - crop)):
            difference = np.float64(a[i, j]) - np.float64(b[i, j])
            total += difference * difference
    return total
