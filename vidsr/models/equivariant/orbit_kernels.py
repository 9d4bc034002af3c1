"""Convolution that keeps to the eight poses of a picture, with a fifth of the multiplications.

Channels come in fields of eight, one for each pose. What an equivariant 3x3 kernel looks at around a pixel, nine taps
of eight channels a field, splits into nine orbits of eight samples that a turn of the picture only permutes; along each
the convolution is one on the group of the poses. After a Fourier transform on that group (four numbers and a matrix of
two by two, for the square has five irreducible representations) it is a product of small matrices: 12 multiplications
where there were 64. (Cohen, Welling, "Group equivariant convolutional networks", ICML 2016, for the convolution;
Diaconis, Rockmore, "Efficient computation of the Fourier transform on finite groups", 1990, for the transform.)

Planes are worked at as one long row each, PIXELS at a time, so that all that is held stays in the second-level cache.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vidsr.kernels.jit import jit
from vidsr.kernels.workers import in_parallel
from vidsr.models.equivariant.symmetries import POSES, TAPS, Array, matrices, tap_after

PIXELS = 128  # worked at together
TOGETHER = 16  # such stretches a task
BORDER = 2  # around a gradient, which lets every tap reach it
SHAPES = 64  # of planes whose offsets are remembered
SINGLES = 4  # irreducible representations of one dimension; the fifth has two

_P = np.uint64(PIXELS)  # unsigned, so that compiled code need not ask whether an index counts from the end
_POSES = np.uint64(POSES)
_0, _1, _2, _3, _4, _5, _6, _7, _8 = (np.uint64(n) for n in range(9))


def _ordered() -> Array:
    """The poses as the butterflies below take them: by the two entries of their matrices that are not zero."""
    straight = {(m[0, 0], m[1, 1]): n for n, m in enumerate(matrices()) if m[0, 0]}
    swapped = {(m[0, 1], m[1, 0]): n for n, m in enumerate(matrices()) if m[0, 1]}
    signs = [(1, 1), (-1, -1), (1, -1), (-1, 1)]
    return np.array([*(straight[s] for s in signs), *(swapped[s] for s in signs)], np.uint64)


ORDER = _ordered()


class Spectrum(NamedTuple):
    """The transform of a kernel from ``fields`` to ``outer`` fields, scaled so that the way back needs no factors."""

    singles: Array  # 4 x outer x 9 fields
    pair: Array  # 2 outer x 18 fields: rows by column of the matrix first, then field; columns the same, then orbit


def convolve(planes: Array, spectrum: Spectrum, bias: Array, rectify: bool) -> Array:
    """N x C x H x W float32 -> N x D x H-2 x W-2: the valid convolution, plus ``bias``, then ReLU if ``rectify``."""
    n, _, height, width = planes.shape
    result = np.empty((n, len(bias), height - 2, width - 2), np.float32)
    rows, starts, begins = _stretches(planes)
    singles, pair = (np.ascontiguousarray(part, np.float32) for part in spectrum)
    low = np.float32(0 if rectify else np.finfo(np.float32).min)

    def work(task: tuple[int, int]) -> None:
        picture, first = task
        part = begins[first : first + TOGETHER]
        _convolve(rows[picture], starts, part, singles, pair, bias, result[picture], low)

    in_parallel(work, [(picture, first) for picture in range(n) for first in range(0, len(begins), TOGETHER)])
    return result


def rectified_gradient(gradient: Array, result: Array) -> Array:
    """N x D x H x W -> N x D x H+4 x W+4: ``gradient`` where ``result`` is positive, elsewhere and around it zero."""
    n, channels, height, width = gradient.shape
    padded = np.zeros((n, channels, height + 2 * BORDER, width + 2 * BORDER), np.float32)
    gradient, result = np.ascontiguousarray(gradient), np.ascontiguousarray(result)
    in_parallel(lambda picture: _rectify(gradient[picture], result[picture], padded[picture]), range(n))
    return padded


def correlate(planes: Array, gradient: Array) -> Spectrum:
    """The gradient of the spectrum, from the `rectified_gradient` of what `convolve` gave for ``planes``."""
    n, channels = planes.shape[:2]
    fields, outer = channels // POSES, gradient.shape[1] // POSES
    rows, starts, begins = _stretches(planes)
    channels_of = np.arange(0, gradient.shape[1] * PIXELS, PIXELS, dtype=np.uint64).reshape(outer, POSES)

    def work(picture: int) -> Spectrum:
        singles = np.zeros((SINGLES, outer, TAPS * fields), np.float32)
        pair = np.zeros((2 * outer, 2 * TAPS * fields), np.float32)
        _correlate(rows[picture], starts, begins, gradient[picture], channels_of, singles, pair)
        return Spectrum(singles, pair)

    parts = in_parallel(work, range(n))
    return Spectrum(*(np.sum(part, axis=0) for part in zip(*parts, strict=True)))


def _stretches(planes: Array) -> tuple[Array, Array, Array]:
    """Pictures as long rows, where in one the samples of each orbit lie for its first pixel, and where stretches begin.

    The last stretch ends with the picture, and so begins in the one before. Only where a whole picture is shorter, it
    is padded.
    """
    n, channels, height, width = planes.shape
    missing = -(-(PIXELS + 2) // width) + 2 - height
    if missing > 0:
        planes = np.pad(planes, ((0, 0), (0, 0), (0, missing), (0, 0)))
    count = max(0, (height - 2) * width - 2)
    begins = np.arange(0, count, PIXELS).clip(max=max(count, PIXELS) - PIXELS)
    starts = _starts(channels // POSES, planes.shape[2] * width, width)
    return np.ascontiguousarray(planes).reshape(n, -1), starts, begins.astype(np.uint64)


@lru_cache(SHAPES)
def _starts(fields: int, plane: int, width: int) -> Array:
    """9 fields x 8: where the samples of each orbit lie in planes of so many pixels, rows of ``width``."""
    poses = ORDER.astype(int)
    taps = tap_after()[poses].T  # 9 x 8
    offsets = taps // 3 * width + taps % 3 + poses * plane
    places: Array = np.arange(fields)[:, None, None] * POSES * plane + offsets
    return places.reshape(-1, POSES).astype(np.uint64)


@jit
def _convolve(
    row: Array,
    starts: Array,
    begins: Array,
    singles: Array,
    pair: Array,
    bias: Array,
    result: Array,
    low: np.float32,
) -> None:
    """The stretches of one picture that begin at ``begins``; nothing in the result is below ``low``."""
    orbits, outer = np.uint64(len(starts)), np.uint64(singles.shape[1])
    seen = np.empty(_POSES * orbits * _P, np.float32)
    said = np.empty(_POSES * outer * _P, np.float32)
    field = np.empty(_POSES * _P, np.float32)
    flat_singles, flat_pair = singles.reshape(-1), pair.reshape(-1)
    part, size, weights = orbits * _P, outer * _P, outer * orbits
    for begin in begins:
        _transform(row, begin, starts, seen)
        for n in range(_4):
            _multiply(flat_singles[n * weights :], seen[n * part :], said[n * size :], outer, orbits)
        for n in range(_4, _8, _2):
            _multiply(flat_pair, seen[n * part :], said[n * size :], _2 * outer, _2 * orbits)
        for f in range(outer):
            _transform_back(said, np.uint64(f), size, field)
            _deal_out(field, np.uint64(f), begin, bias, result, low)


@jit
def _transform(row: Array, begin: np.uint64, starts: Array, seen: Array) -> None:
    """The transform of every orbit: 8 x orbits x PIXELS of ``seen``, the matrix by rows after the four numbers."""
    size = np.uint64(len(starts)) * _P
    for orbit in range(np.uint64(len(starts))):
        at = starts[orbit]
        i0, i1, i2, i3 = begin + at[0], begin + at[1], begin + at[2], begin + at[3]
        i4, i5, i6, i7 = begin + at[4], begin + at[5], begin + at[6], begin + at[7]
        o = orbit * _P
        for p in range(_P):
            a, b, c, d = row[i0 + p], row[i1 + p], row[i2 + p], row[i3 + p]
            e, f, g, h = row[i4 + p], row[i5 + p], row[i6 + p], row[i7 + p]
            ab, a_b, cd, c_d = a + b, a - b, c + d, c - d
            ef, e_f, gh, g_h = e + f, e - f, g + h, g - h
            seen[o + p] = (ab + cd) + (ef + gh)
            seen[o + size + p] = (ab - cd) + (gh - ef)
            seen[o + _2 * size + p] = (ab + cd) - (ef + gh)
            seen[o + _3 * size + p] = (ab - cd) - (gh - ef)
            seen[o + _4 * size + p] = a_b + c_d
            seen[o + _5 * size + p] = e_f + g_h
            seen[o + _6 * size + p] = e_f - g_h
            seen[o + _7 * size + p] = a_b - c_d


@jit
def _multiply(weights: Array, seen: Array, said: Array, rows: np.uint64, columns: np.uint64) -> None:
    """``said`` (rows x PIXELS) = ``weights`` (rows x columns) times ``seen``, two rows and three columns at a time."""
    for z in range(rows * _P):
        said[z] = np.float32(0)
    for k in range(_0, columns, _3):
        for j in range(_0, rows, _2):
            i = j * columns + k
            a, b, c = weights[i], weights[i + _1], weights[i + _2]
            d, e, f = weights[i + columns], weights[i + columns + _1], weights[i + columns + _2]
            r, o = k * _P, j * _P
            for p in range(_P):
                x, y, z2 = seen[r + p], seen[r + _P + p], seen[r + _2 * _P + p]
                said[o + p] += a * x + b * y + c * z2
                said[o + _P + p] += d * x + e * y + f * z2


@jit
def _transform_back(said: Array, field: np.uint64, size: np.uint64, result: Array) -> None:
    """The eight channels of a field, 8 x PIXELS, in the order of `order`."""
    o = field * _P
    for p in range(_P):
        a, b, c, d = said[o + p], said[o + size + p], said[o + _2 * size + p], said[o + _3 * size + p]
        e, f, g, h = said[o + _4 * size + p], said[o + _5 * size + p], said[o + _6 * size + p], said[o + _7 * size + p]
        ac, a_c, bd, b_d = a + c, a - c, b + d, b - d
        result[p] = ac + bd + (e + h)
        result[_P + p] = ac + bd - (e + h)
        result[_2 * _P + p] = ac - bd + (e - h)
        result[_3 * _P + p] = ac - bd - (e - h)
        result[_4 * _P + p] = a_c - b_d + (f + g)
        result[_5 * _P + p] = a_c - b_d - (f + g)
        result[_6 * _P + p] = a_c + b_d + (f - g)
        result[_7 * _P + p] = a_c + b_d - (f - g)


@jit
def _deal_out(
    field: Array,
    number: np.uint64,
    begin: np.uint64,
    bias: Array,
    result: Array,
    low: np.float32,
) -> None:
    """What a stretch holds into the rows it belongs to, but for the two last columns, which saw the next row."""
    height, inner = np.uint64(result.shape[1]), np.uint64(result.shape[2])
    width = inner + _2  # of the planes, and so of the rows in a stretch
    for n in range(_POSES):
        channel = number * _POSES + ORDER[n]
        plus = bias[channel]
        row, column, at = begin // width, begin % width, _0
        while at < _P and row < height:
            for p in range(min(_P - at, max(column, inner) - column)):
                result[channel, row, column + p] = max(field[n * _P + at + p] + plus, low)
            at += width - column
            row, column = row + _1, _0


@jit
def _rectify(gradient: Array, result: Array, padded: Array) -> None:
    channels, height, width = gradient.shape
    for channel in range(channels):
        for row in range(height):
            for column in range(width):
                if result[channel, row, column] > 0:
                    padded[channel, row + BORDER, column + BORDER] = gradient[channel, row, column]


@jit
def _correlate(
    row: Array,
    starts: Array,
    begins: Array,
    gradient: Array,
    fields: Array,
    singles: Array,
    pair: Array,
) -> None:
    """Add one picture's share to the gradients of a spectrum."""
    orbits, outer = np.uint64(len(starts)), np.uint64(singles.shape[1])
    seen = np.empty(_POSES * orbits * _P, np.float32)
    field = np.empty(_POSES * outer * _P, np.float32)
    asked = np.empty(_POSES * outer * _P, np.float32)
    part, size, weights = orbits * _P, outer * _P, outer * orbits
    flat_singles, flat_pair = singles.reshape(-1), pair.reshape(-1)
    end = _0
    for begin in begins:
        _transform(row, begin, starts, seen)
        _gather(gradient, begin, max(end, begin) - begin, field)
        _transform(field, _0, fields, asked)
        end = begin + _P
        for n in range(_4):
            _products(asked[n * size :], seen[n * part :], flat_singles[n * weights :], outer, orbits)
        for n in range(_4, _8, _2):
            _products(asked[n * size :], seen[n * part :], flat_pair, _2 * outer, _2 * orbits)


@jit
def _gather(gradient: Array, first: np.uint64, done: np.uint64, field: Array) -> None:
    """The stretch of ``gradient`` that begins at ``first``; zero in the ``done`` pixels of the one before."""
    height, inner = np.uint64(gradient.shape[1]) - _4, np.uint64(gradient.shape[2]) - _4
    width = inner + _2
    for z in range(np.uint64(len(field))):
        field[z] = np.float32(0)
    for channel in range(np.uint64(len(gradient))):
        o = channel * _P
        source = channel - channel % _POSES + ORDER[channel % _POSES]
        row, column, at = first // width, first % width, _0
        while at < _P and row < height:
            for p in range(max(done, at) - at, min(_P - at, max(column, inner) - column)):
                field[o + at + p] = gradient[source, row + _2, column + _2 + p]
            at += width - column
            row, column = row + _1, _0


@jit
def _products(asked: Array, seen: Array, sums: Array, rows: np.uint64, columns: np.uint64) -> None:
    """Add to ``sums`` (rows x columns) the products of the rows of ``asked`` with those of ``seen``, two by three."""
    for k in range(_0, columns, _3):
        for j in range(_0, rows, _2):
            r, o = k * _P, j * _P
            a = b = c = d = e = f = np.float32(0)
            for p in range(_P):
                x, y, z = seen[r + p], seen[r + _P + p], seen[r + _2 * _P + p]
                u, v = asked[o + p], asked[o + _P + p]
                a += u * x
                b += u * y
                c += u * z
                d += v * x
                e += v * y
                f += v * z
            i = j * columns + k
            sums[i] += a
            sums[i + _1] += b
            sums[i + _2] += c
            sums[i + columns] += d
            sums[i + columns + _1] += e
            sums[i + columns + _2] += f
