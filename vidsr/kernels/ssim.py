"""SSIM of two planes, fast enough for every frame of a run.

Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004. `vidsr.metrics` has the
slow reference.
"""

from __future__ import annotations

import numpy as np

from vidsr.kernels.arrays import Array, Plane, as_planes, check_pair
from vidsr.kernels.gaussian import gaussian_kernel
from vidsr.kernels.jit import jit
from vidsr.kernels.workers import in_parallel, strips

WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03  # the values of the paper


def ssim(a: Plane, b: Plane, peak: int | None = None, crop: int = 0) -> float:
    """Return the mean structural similarity of two planes; 1 if they are equal.

    The planes are H x W, at least 11 x 11 after ``crop`` pixels are removed at each border. The window is an 11 x 11
    Gaussian of sigma 1.5, at every place where it fits entirely. ``peak`` is the largest code value (default: 255, for
    uint16 65535).
    """
    check_pair(a, b, crop + WINDOW // 2)
    top = float(peak or (np.iinfo(np.uint16).max if a.dtype == np.uint16 else np.iinfo(np.uint8).max))
    a, b = (as_planes(plane[crop : plane.shape[0] - crop, crop : plane.shape[1] - crop])[0] for plane in (a, b))
    height, width = a.shape[0] - WINDOW + 1, a.shape[1] - WINDOW + 1
    weights = gaussian_kernel(WINDOW, SIGMA).astype(np.float32)

    def work(rows: tuple[int, int]) -> float:
        lines = slice(rows[0], rows[1] + WINDOW - 1)
        return float(_ssim(a[lines], b[lines], weights, np.float32(top)))

    return float(sum(in_parallel(work, strips(height, width))) / (height * width))


@jit
def _ssim(a: Array, b: Array, weights: Array, peak: np.float32) -> float:
    """Return the sum of the similarity over every place where the window fits."""
    width = a.shape[1]
    ring = np.empty((4, WINDOW, width), np.float32)  # the four moments of the last eleven rows
    samples = ring.reshape(ring.size)
    blurred = np.empty(width, np.float32)
    means = np.empty((4, width - WINDOW + 1), np.float32)
    rows, columns = np.empty(WINDOW, np.uint64), np.arange(WINDOW).astype(np.uint64)
    total = 0.0
    for line in range(a.shape[0]):
        _moments(a[line], b[line], ring, line % WINDOW, peak)
        if line < WINDOW - 1:
            continue
        for moment in range(4):
            for k in range(WINDOW):
                rows[k] = (moment * WINDOW + (line + 1 + k) % WINDOW) * width
            _window(samples, rows, weights, blurred)
            _window(blurred, columns, weights, means[moment])
        total += _similarity(means)
    return total


@jit
def _moments(a: Array, b: Array, ring: Array, slot: int, peak: np.float32) -> None:
    """Write the four moments of two rows to ``ring``: sum, difference and their squares.

    SSIM has five. Values are scaled to a peak of 1, and the sum is shifted by -1 so that the variances do not cancel.
    """
    unit, one = np.float32(1) / peak, np.float32(1)
    for i in range(np.uint64(a.size)):
        x, y = np.float32(a[i]) * unit, np.float32(b[i]) * unit
        total, difference = x + y - one, x - y
        ring[0, slot, i] = total
        ring[1, slot, i] = difference
        ring[2, slot, i] = total * total
        ring[3, slot, i] = difference * difference


@jit
def _window(samples: Array, at: Array, weights: Array, out: Array) -> None:
    """Write ``out[i]`` = sum over k of ``weights[k] * samples[at[k] + i]``.

    The weights are eleven and symmetric.
    """
    a, b, c, d, e, m = at[0], at[1], at[2], at[3], at[4], at[5]
    v, w, x, y, z = at[10], at[9], at[8], at[7], at[6]
    wa, wb, wc, wd, we, wm = weights[0], weights[1], weights[2], weights[3], weights[4], weights[5]
    for i in range(np.uint64(out.size)):
        outer = wa * (samples[a + i] + samples[v + i]) + wb * (samples[b + i] + samples[w + i])
        inner = wc * (samples[c + i] + samples[x + i]) + wd * (samples[d + i] + samples[y + i])
        out[i] = outer + inner + we * (samples[e + i] + samples[z + i]) + wm * samples[m + i]


@jit
def _similarity(means: Array) -> float:
    """Return the sum over a row of luminance times contrast and structure.

    ``means``: the mean moments of the windows.
    """
    c1, c2 = np.float32(K1 * K1), np.float32(K2 * K2)
    half, one = np.float32(0.5), np.float32(1)
    total = 0.0
    for i in range(means.shape[1]):
        s, d = means[0, i], means[1, i]
        variance_s, variance_d = means[2, i] - s * s, means[3, i] - d * d
        s += one  # luminance needs the mean without the shift of `_moments`
        luminance = (half * (s * s - d * d) + c1) / (half * (s * s + d * d) + c1)
        contrast = (half * (variance_s - variance_d) + c2) / (half * (variance_s + variance_d) + c2)
        total += luminance * contrast
    return total
