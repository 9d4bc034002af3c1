"""The last output of recurrent upscaling moved along the optical flow, on the CPU.

`vidsr.models.temporal.warp_state` is the same in PyTorch.
"""

from __future__ import annotations

import numpy as np

from vidsr.kernels.arrays import Array, Plane
from vidsr.kernels.jit import jit
from vidsr.kernels.workers import in_parallel, strips

CUBIC = np.float32(-0.75)  # slope of the cubic convolution, as in PyTorch and OpenCV
BORDER = 4  # pixels by which the output is extended for the taps of its border


def warp_estimate(estimate: Plane, flow: Array, scale: int) -> Plane:
    """Return ``estimate`` sampled by cubic convolution along ``flow``; every tap is clamped to the plane.

    ``estimate``: ``scale`` h x ``scale`` w. ``flow``: h x w x 2, x and y in its own pixels; enlarged linearly.
    """
    height, width = estimate.shape
    result = np.empty_like(estimate)
    padded = np.pad(estimate, BORDER, mode="edge")
    place = np.clip((np.arange(width) + 0.5) / scale - 0.5, 0, flow.shape[1] - 1)
    left = np.minimum(place.astype(np.uint32), np.uint32(max(0, flow.shape[1] - 2)))
    right = np.minimum(left + np.uint32(1), np.uint32(flow.shape[1] - 1))
    share = (place - left).astype(np.float32)
    u, v = (np.ascontiguousarray(flow[..., n]) for n in (0, 1))

    def work(rows: tuple[int, int]) -> None:
        _warp_rows(padded, u, v, left, right, share, rows[0], rows[1], scale, result)

    in_parallel(work, strips(height, width))
    return result


@jit
def _warp_rows(
    padded: Array,
    u: Array,
    v: Array,
    left: Array,
    right: Array,
    share: Array,
    first: int,
    last: int,
    scale: int,
    result: Array,
) -> None:
    """Write rows ``first`` to ``last``; each loop does one kind of operation on a row, so that LLVM vectorises it."""
    height, width = result.shape
    stride = np.uint32(padded.shape[1])
    samples = padded.reshape(padded.size)
    coarse_u, coarse_v = np.empty(u.shape[1], np.float32), np.empty(u.shape[1], np.float32)
    base, weights = np.empty(width, np.uint32), np.empty((width, 8), np.float32)
    fx, fy = np.empty(width, np.float32), np.empty(width, np.float32)
    one, two, three = np.float32(1), np.float32(2), np.float32(3)
    unit, shift = np.float32(scale), np.float32(BORDER - 1)
    for row in range(first, last):
        place = min(max((row + 0.5) / scale - 0.5, 0.0), u.shape[0] - 1.0)
        above = int(place)
        below = min(above + 1, u.shape[0] - 1)
        part = np.float32(place - above)
        for i in range(u.shape[1]):
            coarse_u[i] = u[above, i] + part * (u[below, i] - u[above, i])
            coarse_v[i] = v[above, i] + part * (v[below, i] - v[above, i])
        for i in range(width):
            a, b = left[i], right[i]
            px = np.float32(i) + unit * (coarse_u[a] + share[i] * (coarse_u[b] - coarse_u[a]))
            py = np.float32(row) + unit * (coarse_v[a] + share[i] * (coarse_v[b] - coarse_v[a]))
            # farther out all taps are the border pixel
            px = min(max(px, np.float32(-2)), np.float32(width + 1)) + shift
            py = min(max(py, np.float32(-2)), np.float32(height + 1)) + shift
            x, y = np.uint32(np.int32(px)), np.uint32(np.int32(py))
            fx[i], fy[i] = px - np.float32(np.int32(px)), py - np.float32(np.int32(py))
            base[i] = y * stride + x
        target = result[row]
        for i in range(width):
            f, g = fx[i], fy[i]
            weights[i, 0], weights[i, 4] = CUBIC * f * (one - f) * (one - f), CUBIC * g * (one - g) * (one - g)
            weights[i, 3], weights[i, 7] = CUBIC * f * f * (one - f), CUBIC * g * g * (one - g)
            weights[i, 1] = ((CUBIC + two) * f - (CUBIC + three)) * f * f + one
            weights[i, 5] = ((CUBIC + two) * g - (CUBIC + three)) * g * g + one
            weights[i, 2] = one - weights[i, 0] - weights[i, 1] - weights[i, 3]
            weights[i, 6] = one - weights[i, 4] - weights[i, 5] - weights[i, 7]
        for i in range(np.uint64(width)):
            k = weights[i]
            g0, g1, g2, g3 = k[4], k[5], k[6], k[7]
            at = np.uint64(base[i])
            bt = at + np.uint64(stride)
            ct = bt + np.uint64(stride)
            dt = ct + np.uint64(stride)
            o, p, q = np.uint64(1), np.uint64(2), np.uint64(3)
            c0 = g0 * samples[at] + g1 * samples[bt] + g2 * samples[ct] + g3 * samples[dt]
            c1 = g0 * samples[at + o] + g1 * samples[bt + o] + g2 * samples[ct + o] + g3 * samples[dt + o]
            c2 = g0 * samples[at + p] + g1 * samples[bt + p] + g2 * samples[ct + p] + g3 * samples[dt + p]
            c3 = g0 * samples[at + q] + g1 * samples[bt + q] + g2 * samples[ct + q] + g3 * samples[dt + q]
            target[i] = k[0] * c0 + k[1] * c1 + k[2] * c2 + k[3] * c3
