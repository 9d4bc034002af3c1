"""Kernels of recurrent upscaling on the CPU: what the network reads of the previous frame, and its output.

`vidsr.models.architectures.recurrent` is the same in PyTorch, for training and for GPUs, in a pass for each operation.
Planes of channels lie channel by channel within a pixel, as convolutions take and give them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidsr.kernels.arrays import Array, Plane
from vidsr.kernels.jit import jit
from vidsr.kernels.workers import in_parallel, strips

TAPS_REACH = 2  # pixels on each side that the enlargement reads


class Evidence(NamedTuple):
    """What the previous frame tells about each pixel of the present one; every plane is float32."""

    estimate: Plane  # previous output along the motion, scale h x scale w
    error: Plane  # h x w: what the frame has and the reduced estimate lacks
    change: Plane  # previous luma along the motion, less the frame
    inside: Plane  # 1 where the flow stays within the frame, else 0
    mean_error: Plane  # of magnitudes in a window; with a ring around the frame
    mean_change: Plane


def prior_planes(
    evidence: Evidence,
    frame: Plane,
    single: Array,
    hidden: Array,
    flow: Array,
    taps: NDArray[np.float32],
    gain: float,
    keep: float,
    ring: int,
    rows: slice,
    columns: slice,
) -> Array:
    """Return the planes of a part of the frame that the recurrent layers read, with ``ring`` pixels around it.

    They are: ``keep`` times the estimate corrected by what it lacks, less the residual ``single`` of the frame alone;
    error; change; inside; both means; ``hidden`` (h x w x C of the whole frame) sampled linearly along ``flow``. All
    but inside and hidden are multiplied by ``gain``. ``taps``: scale x 5 weights of the enlargement. ``single``: of the
    part, with any border that is left out.
    """
    height, width = rows.stop - rows.start, columns.stop - columns.start
    subpixels, channels = len(taps) ** 2, hidden.shape[2]
    result = np.empty((height + 2 * ring, width + 2 * ring, subpixels + 5 + channels), np.float32)
    result[:ring] = result[-ring:] = result[:, :ring] = result[:, -ring:] = 0
    inner = result[ring:-ring, ring:-ring]
    border = (single.shape[0] - height) // 2
    padded = np.pad(evidence.error, TAPS_REACH, mode="edge")
    gains = np.float32(gain), np.float32(gain * keep)

    def work(part: tuple[int, int]) -> None:
        first, last = part
        _correct(evidence, padded, frame, single, taps, *gains, border, first, last, rows.start, columns.start, inner)
        _add_hidden(hidden, flow, first, last, rows.start, columns.start, subpixels + 5, inner)

    in_parallel(work, strips(height, width * subpixels))
    around = tuple(slice(part.start, part.stop + 2 * ring) for part in (rows, columns))
    result[..., subpixels + 3] = gain * evidence.mean_error[around]
    result[..., subpixels + 4] = gain * evidence.mean_change[around]
    return result


@jit
def _correct(
    evidence: Evidence,
    padded: Array,
    frame: Array,
    single: Array,
    taps: Array,
    gain: np.float32,
    past_gain: np.float32,
    border: int,
    first: int,
    last: int,
    top: int,
    start: int,
    result: Array,
) -> None:
    """Write all planes but means and hidden ones, rows ``first`` to ``last`` of a part at ``top`` and ``start``."""
    scale, width = taps.shape[0], result.shape[1]
    subpixels = scale * scale
    column = np.empty(width + 2 * TAPS_REACH, np.float32)
    fine = np.empty((subpixels, width), np.float32)
    for i in range(first, last):
        at = top + i
        for p in range(scale):
            t0, t1, t2, t3, t4 = taps[p, 0], taps[p, 1], taps[p, 2], taps[p, 3], taps[p, 4]
            a, b, c, d, e = padded[at], padded[at + 1], padded[at + 2], padded[at + 3], padded[at + 4]
            for j in range(column.size):
                n = start + j
                column[j] = t0 * a[n] + t1 * b[n] + t2 * c[n] + t3 * d[n] + t4 * e[n]
            for q in range(scale):
                t0, t1, t2, t3, t4 = taps[q, 0], taps[q, 1], taps[q, 2], taps[q, 3], taps[q, 4]
                line, source = fine[p * scale + q], evidence.estimate[at * scale + p]
                for j in range(width):
                    n = (start + j) * scale + q
                    near = t0 * column[j] + t1 * column[j + 1] + t2 * column[j + 2]
                    line[j] = near + t3 * column[j + 3] + t4 * column[j + 4] + source[n] - frame[at, start + j]
        for j in range(width):
            n = start + j
            inside = evidence.inside[at, n] * past_gain
            target, own = result[i, j], single[i + border, j + border]
            for k in range(subpixels):
                target[k] = inside * (fine[k, j] - own[k])
            target[subpixels] = gain * evidence.error[at, n]
            target[subpixels + 1] = gain * evidence.change[at, n]
            target[subpixels + 2] = evidence.inside[at, n]


@jit
def _add_hidden(
    hidden: Array, flow: Array, first: int, last: int, top: int, start: int, channel: int, result: Array
) -> None:
    """Write ``hidden`` along ``flow``, clamped to the frame, from ``channel`` on."""
    height, width, channels = hidden.shape
    zero, one = np.float32(0), np.float32(1)
    for i in range(first, last):
        for j in range(result.shape[1]):
            x = np.float32(start + j) + flow[top + i, start + j, 0]
            y = np.float32(top + i) + flow[top + i, start + j, 1]
            x, y = min(max(x, zero), np.float32(width - 1)), min(max(y, zero), np.float32(height - 1))
            x0, y0 = np.uint64(x), np.uint64(y)
            x1, y1 = min(x0 + np.uint64(1), np.uint64(width - 1)), min(y0 + np.uint64(1), np.uint64(height - 1))
            fx, fy = x - np.float32(x0), y - np.float32(y0)
            a, b, c, d = hidden[y0, x0], hidden[y0, x1], hidden[y1, x0], hidden[y1, x1]
            wa, wb, wc, wd = (one - fy) * (one - fx), (one - fy) * fx, fy * (one - fx), fy * fx
            target = result[i, j, channel:]
            for n in range(channels):
                target[n] = wa * a[n] + wb * b[n] + wc * c[n] + wd * d[n]


def blend(
    planes: Array,
    head: Array,
    single: Array,
    frame: Plane,
    estimate: Plane,
    output: Plane,
    gain: float,
    slope: float,
    limit: float,
    peak: float,
) -> None:
    """Write the new ``estimate`` of a part of the frame, and its code values to ``output``.

    ``planes``: as `prior_planes` returns them. ``head``: h x w x 2 scale**2, logits of the gate and residuals.
    ``frame``: h x w, 0 to 1. ``slope``: logits that the gate loses per unit of the mean error. The estimate is limited
    to -``limit`` to 1 + ``limit``; the output is not. ``output``: float32, or integers, rounded, from 0 to ``peak``.
    """
    height, width = frame.shape
    ring, border = (planes.shape[0] - height) // 2, (single.shape[0] - height) // 2
    inner = planes[ring : ring + height, ring : ring + width]
    own = single[border : border + height, border : border + width]
    rounded = output.dtype.kind != "f"

    def work(rows: tuple[int, int]) -> None:
        part = slice(*rows)
        fine = slice(rows[0] * estimate.shape[0] // height, rows[1] * estimate.shape[0] // height)
        _blend_rows(
            inner[part],
            head[part],
            own[part],
            frame[part],
            estimate[fine],
            output[fine],
            np.float32(1 / gain),
            np.float32(slope),
            np.float32(limit),
            np.float32(peak),
            rounded,
        )

    in_parallel(work, strips(height, estimate.shape[1] * estimate.shape[0] // height))


@jit
def _blend_rows(
    planes: Array,
    head: Array,
    single: Array,
    frame: Array,
    estimate: Array,
    output: Array,
    unit: np.float32,
    slope: np.float32,
    limit: np.float32,
    peak: np.float32,
    rounded: bool,
) -> None:
    """Each loop does one kind of operation on a row, so that LLVM vectorises it."""
    height, width = frame.shape
    scale = estimate.shape[0] // height
    subpixels = scale * scale
    logits = np.empty((width, subpixels), np.float32)
    gate = logits.reshape(logits.size)
    values = np.empty((width, subpixels), np.float32)
    bits = np.empty(gate.size, np.int32)
    powers = bits.view(np.float32)
    one, half, top = np.float32(1), np.float32(0.5), np.float32(1) + limit
    for i in range(height):
        for j in range(width):
            line = head[i, j]
            shift = slope * planes[i, j, subpixels + 3]
            for k in range(subpixels):
                logits[j, k] = line[k] - shift
        for j in range(gate.size):  # 2 ** -(logit / log 2) as a power of two and a polynomial of the rest
            power = min(max(gate[j] * np.float32(-1 / math.log(2)), np.float32(-126)), np.float32(126))
            whole = np.int32(power + np.float32(127.5))
            rest = (power - np.float32(whole - 127)) * np.float32(math.log(2))
            series = one + rest * (
                one
                + rest * (half + rest * (np.float32(1 / 6) + rest * (np.float32(1 / 24) + rest * np.float32(1 / 120))))
            )
            bits[j] = whole << 23
            gate[j] = series
        for j in range(gate.size):
            gate[j] = one / (one + gate[j] * powers[j])
        for j in range(width):
            past, line, own = planes[i, j], head[i, j], single[i, j]
            inside = past[subpixels + 2] * unit
            y = frame[i, j]
            for k in range(subpixels):
                values[j, k] = y + own[k] + logits[j, k] * inside * past[k] + line[subpixels + k]
        for p in range(scale):
            fine, codes = estimate[i * scale + p], output[i * scale + p]
            for j in range(width):
                for q in range(scale):
                    fine[j * scale + q] = values[j, p * scale + q]
            if rounded:
                for j in range(fine.size):
                    codes[j] = np.int32(min(max(fine[j] * peak, np.float32(0)), peak) + half)
            else:
                for j in range(fine.size):
                    codes[j] = fine[j] * peak
            for j in range(fine.size):
                fine[j] = min(max(fine[j], -limit), top)
