"""Separable filter: rows and columns of a plane weighted by tables.

Resizing is built on it. Each pass uses one primitive, `_combine`: a weighted sum of runs of contiguous samples, four at
a time. For columns the runs are rows of the plane. For rows they are the row itself, shifted. If the size changes by a
ratio of small integers, the row is first split by position modulo the ratio: each phase is contiguous too. Other ratios
gather. Between the two passes stands a strip of float rows in cache: no full-size intermediate, and a single rounding.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidsr.kernels.arrays import Array, Plane, default_peak
from vidsr.kernels.jit import jit
from vidsr.kernels.workers import in_parallel, strips

Border = Literal["reflect", "replicate", "reflect_101", "constant"]


OUTSIDE = -1  # in Axis.source: a sample of value zero
TAPS = 4  # weights per step; rows of weights are padded with zeros to a multiple of it
LONGEST_PERIOD = 32  # phases; for longer periods rows are gathered sample by sample
GATHER_COST = 4  # cost of a gathered multiplication, in contiguous ones
PHASES_COST = 4  # cost per sample of splitting and joining phases, in contiguous multiplications


class Axis(NamedTuple):
    """Weights and input samples of one axis of the result.

    Input samples are counted with the border.
    """

    pad: int  # border samples before the first
    source: NDArray[np.int64]  # sample with border -> sample without, or OUTSIDE
    start: NDArray[np.uint64]  # output sample -> its first input sample; unsigned, so that no index wraps around
    weights: NDArray[np.float32]  # output sample x tap
    columns: NDArray[np.float32]  # tap x output sample: the same weights, for the gathering pass
    period: int  # output samples after which the weights repeat; 0 if longer than LONGEST_PERIOD
    step: int  # input samples per period, and number of phases of a row
    length: int  # samples of one phase
    shifts: NDArray[np.uint64]  # phase of the output x tap -> position in the split row


def make_axis(
    n_in: int, first: NDArray[np.int64], weights: NDArray[np.float64], border: Border, period: int, step: int
) -> Axis:
    """Return the axis with the given ``weights``.

    Output ``j`` is the sum over k of ``weights[j, k]`` times input sample ``first[j] + k``. ``first`` must not
    decrease. ``period`` and ``step`` mean that ``first[j + period] == first[j] + step``, with equal weights. With a
    period of 0 nothing repeats.
    """
    if period == 0 or max(period, step) > LONGEST_PERIOD:
        period, step = 0, 1
    rows = np.pad(weights.astype(np.float32), ((0, 0), (0, -weights.shape[1] % TAPS)))
    pad = max(0, -int(first.min()))
    end = max(n_in, int(first.max()) + rows.shape[1])
    source = border_index(np.arange(-pad, end), n_in, border)
    length = -(-len(source) // step)
    position = (first[:period, None] + pad) + np.arange(rows.shape[1])
    shifts = (position % step * length + position // step).astype(np.uint64)
    columns = np.ascontiguousarray(rows.T)
    return Axis(pad, source, (first + pad).astype(np.uint64), rows, columns, period, step, length, shifts)


def border_index(index: NDArray[np.int64], n: int, border: Border) -> NDArray[np.int64]:
    """Return the sample of an axis of ``n`` for each ``index``; OUTSIDE for zero."""
    if border == "constant":
        return np.where((index >= 0) & (index < n), index, OUTSIDE)
    if border == "replicate" or n == 1:
        return np.clip(index, 0, n - 1)
    if border == "reflect":  # c b a | a b c | c b a
        folded = index % (2 * n)
        return np.minimum(folded, 2 * n - 1 - folded)
    folded = index % (2 * n - 2)  # c b | a b c | b a
    return np.minimum(folded, 2 * n - 2 - folded)


def filter_planes(planes: Plane, out: Plane, x: Axis, y: Axis, peak: int | None = None) -> None:
    """Filter every plane of ``planes`` into ``out``.

    ``planes`` is N x H x W, ``out`` N x h x w, both C-contiguous. Integer results are rounded, halves up, and clipped
    to ``peak`` (default: the largest value of their type).
    """
    height, wider = out.shape[1], max(planes.shape[2], out.shape[2])
    tasks = [(n, rows) for n in range(len(out)) for rows in strips(height, wider)]

    def work(task: tuple[int, tuple[int, int]]) -> None:
        n, (first, last) = task
        filter_rows(planes[n], out[n, first:last], first, x, y, peak)

    in_parallel(work, tasks)


def filter_rows(plane: Plane, out: Plane, first: int, x: Axis, y: Axis, peak: int | None = None) -> None:
    """Write the rows from ``first`` on of the filtered ``plane`` to ``out``."""
    limit = default_peak(out.dtype, peak)
    height, width = out.shape
    start, weights = y.start[first : first + height], y.weights[first : first + height]
    if _down_first(plane.shape, x, y):
        narrow = np.empty((height, plane.shape[1]), np.float32)
        _down(plane, narrow, start, y.source, weights, None)
        wide = out if limit is None else np.empty(out.shape, np.float32)
        _across(narrow, wide, x)
        if limit is not None:
            _round(wide, out, limit)
    else:
        lines = y.source[start[0] : start[-1] + np.uint64(weights.shape[1])]
        narrow = np.empty((len(lines), plane.shape[1]), np.float32)
        _load(plane, lines, narrow)
        wide = np.empty((len(lines), width), np.float32)
        _across(narrow, wide, x)
        _down(wide, out, start - start[0], np.arange(len(lines)), weights, limit)


def _down_first(shape: tuple[int, ...], x: Axis, y: Axis) -> bool:
    """Return whether it is cheaper to filter the columns first."""
    (height, width), (height_out, width_out) = shape, (len(y.start), len(x.start))
    down = y.weights.shape[1]
    across = x.weights.shape[1] * (1 if x.period else GATHER_COST) + PHASES_COST
    rows_last = height_out * (width * down + width_out * across)
    return bool(rows_last < width_out * (height * across + height_out * down))


@jit
def _down(plane: Array, out: Array, start: Array, source: Array, weights: Array, peak: np.float32 | None) -> None:
    """Filter the columns: row ``i`` of ``out`` from rows ``source[start[i]]`` and following."""
    width, taps = out.shape[1], weights.shape[1]
    samples = plane.reshape(plane.size)
    offsets = np.empty(taps, np.uint64)
    row = np.empty(width, np.float32)
    for i in range(out.shape[0]):
        for k in range(taps):
            offsets[k] = source[start[i] + np.uint64(k)] * width
        if peak is None:
            _combine(samples, offsets, weights[i], out[i])
        else:
            _combine(samples, offsets, weights[i], row)
            _store(row, out[i], peak)


@jit
def _across(plane: Array, out: Array, x: Axis) -> None:
    """Filter the rows: each row of ``out`` from that of ``plane``.

    It takes floats only, so that it is compiled once.
    """
    width = plane.shape[1]
    padded = np.zeros(x.length * x.step, np.float32)
    phases = np.empty(x.length * x.step, np.float32)
    parts = np.empty((x.period, out.shape[1] // max(1, x.period)), np.float32)
    for i in range(out.shape[0]):
        line = plane[i]
        for j in range(x.pad):
            padded[j] = line[x.source[j]]
        for j in range(width):
            padded[x.pad + j] = line[j]
        for j in range(x.pad + width, x.source.size):
            padded[j] = line[x.source[j]]
        if x.period == 0:
            _gather(padded, x.start, x.columns, out[i])
        else:
            _split(padded, phases, x.step)
            for p in range(x.period):
                _combine(phases, x.shifts[p], x.weights[p], parts[p])
            _interleave(parts, out[i])


@jit
def _combine(samples: Array, offsets: Array, weights: Array, out: Array) -> None:
    """Write ``out[i]`` = sum over k of ``weights[k] * samples[offsets[k] + i]``."""
    n = np.uint64(out.size)  # unsigned, like the offsets: no index wraps around
    for k in range(0, weights.size, TAPS):
        a, b, c, d = offsets[k], offsets[k + 1], offsets[k + 2], offsets[k + 3]
        wa, wb, wc, wd = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        for i in range(n):
            near = wa * np.float32(samples[a + i]) + wb * np.float32(samples[b + i])
            far = wc * np.float32(samples[c + i]) + wd * np.float32(samples[d + i])
            out[i] = near + far if k == 0 else out[i] + near + far


@jit
def _gather(samples: Array, start: Array, columns: Array, out: Array) -> None:
    """Do the same as `_combine`, with other weights for every output sample."""
    a, b, c, d = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
    for k in range(0, columns.shape[0], TAPS):
        for i in range(out.size):
            j = start[i] + np.uint64(k)
            near = columns[k, i] * samples[j + a] + columns[k + 1, i] * samples[j + b]
            far = columns[k + 2, i] * samples[j + c] + columns[k + 3, i] * samples[j + d]
            out[i] = near + far if k == 0 else out[i] + near + far


@jit
def _split(padded: Array, phases: Array, step: int) -> None:
    """Write the samples of ``padded`` ordered by position modulo ``step``.

    Literal strides let LLVM use shuffles.
    """
    n = padded.size // step
    if step == 1:
        for i in range(n):
            phases[i] = padded[i]
    elif step == 2:
        for i in range(n):
            phases[i] = padded[2 * i]
            phases[n + i] = padded[2 * i + 1]
    elif step == 3:
        for i in range(n):
            phases[i] = padded[3 * i]
            phases[n + i] = padded[3 * i + 1]
            phases[2 * n + i] = padded[3 * i + 2]
    elif step == 4:
        for i in range(n):
            phases[i] = padded[4 * i]
            phases[n + i] = padded[4 * i + 1]
            phases[2 * n + i] = padded[4 * i + 2]
            phases[3 * n + i] = padded[4 * i + 3]
    else:
        for p in range(step):
            for i in range(n):
                phases[p * n + i] = padded[step * i + p]


@jit
def _interleave(parts: Array, row: Array) -> None:
    """Invert `_split`."""
    period, n = parts.shape
    if period == 1:
        for i in range(n):
            row[i] = parts[0, i]
    elif period == 2:
        for i in range(n):
            row[2 * i] = parts[0, i]
            row[2 * i + 1] = parts[1, i]
    elif period == 3:
        for i in range(n):
            row[3 * i] = parts[0, i]
            row[3 * i + 1] = parts[1, i]
            row[3 * i + 2] = parts[2, i]
    elif period == 4:
        for i in range(n):
            row[4 * i] = parts[0, i]
            row[4 * i + 1] = parts[1, i]
            row[4 * i + 2] = parts[2, i]
            row[4 * i + 3] = parts[3, i]
    else:
        for p in range(period):
            for i in range(n):
                row[period * i + p] = parts[p, i]


@jit
def _load(plane: Array, lines: Array, out: Array) -> None:
    """Write rows ``lines`` of ``plane`` as floats."""
    for i in range(lines.size):
        line, row = plane[lines[i]], out[i]
        for j in range(line.size):
            row[j] = line[j]


@jit
def _round(plane: Array, out: Array, peak: np.float32) -> None:
    """Write ``plane`` as integers from 0 to ``peak``."""
    for i in range(plane.shape[0]):
        _store(plane[i], out[i], peak)


@jit
def _store(row: Array, out: Array, peak: np.float32) -> None:
    for i in range(out.size):
        out[i] = np.int32(min(max(row[i], np.float32(0)), peak) + np.float32(0.5))
