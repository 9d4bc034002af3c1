"""Convolution with tied kernels (tied.py) by orbits: a fifth of the multiplications. Numba kernels.

An equivariant 3x3 kernel reads nine taps of eight channels a field around a pixel. These split into nine orbits of
eight samples that a symmetry of the image only permutes. Along each orbit the convolution is one on the group of the
symmetries. A Fourier transform on that group turns it into products of small matrices (four numbers and a matrix of two
by two, for the square has five irreducible representations): 12 multiplications instead of 64. (Cohen, Welling, "Group
equivariant convolutional networks", ICML 2016, for the convolution; Diaconis, Rockmore, "Efficient computation of the
Fourier transform on finite groups", 1990, for the transform.)

Each plane is processed as one long row, in stretches of PIXELS pixels, so that a stretch stays in the second-level
cache.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vidsr.kernels.jit import jit
from vidsr.kernels.workers import in_parallel
from vidsr.models.equivariant.symmetries import SYMMETRIES, TAPS, Array, matrices, tap_permutations

PIXELS = 128  # of a stretch
TOGETHER = 16  # stretches a task
BORDER = 2  # zeros around a gradient, so that every tap has a sample
SHAPES = 64  # of planes, whose offsets are cached
SINGLES = 4  # irreducible representations of one dimension; the fifth has two

_P = np.uint64(PIXELS)  # unsigned, so that compiled code need not ask whether an index counts from the end
_SYMMETRIES = np.uint64(SYMMETRIES)
_0, _1, _2, _3, _4, _5, _6, _7, _8 = (np.uint64(n) for n in range(9))


def _ordered() -> Array:
    """The symmetries in the order of the butterflies below: by the two entries of their matrices that are not zero."""
    straight = {(m[0, 0], m[1, 1]): n for n, m in enumerate(matrices()) if m[0, 0]}
    swapped = {(m[0, 1], m[1, 0]): n for n, m in enumerate(matrices()) if m[0, 1]}
    signs = [(1, 1), (-1, -1), (1, -1), (-1, 1)]
    return np.array([*(straight[s] for s in signs), *(swapped[s] for s in signs)], np.uint64)


ORDER = _ordered()


class Spectrum(NamedTuple):
    """The transform of a kernel from ``fields`` to ``outer`` fields, scaled so that the inverse needs no factors."""

    singles: Array  # 4 x outer x 9 fields
    pair: Array  # 2 outer x 18 fields: rows by column of the matrix first, then field; columns the same, then orbit


def convolve(planes: Array, spectrum: Spectrum, bias: Array, rectify: bool) -> Array:
    """Return the valid convolution plus ``bias``, then ReLU if ``rectify``: N x C x H x W -> N x D x H-2 x W-2."""
    n, _, height, width = planes.shape
    result = np.empty((n, len(bias), height - 2, width - 2), np.float32)
    rows, offsets, begins = _rows_and_stretches(planes)
    singles, pair = (np.ascontiguousarray(part, np.float32) for part in spectrum)
    low = np.float32(0 if rectify else np.finfo(np.float32).min)

    def work(task: tuple[int, int]) -> None:
        image, first = task
        part = begins[first : first + TOGETHER]
        _convolve(rows[image], offsets, part, singles, pair, bias, result[image], low)

    in_parallel(work, [(image, first) for image in range(n) for first in range(0, len(begins), TOGETHER)])
    return result


def rectified_gradient(gradient: Array, result: Array) -> Array:
    """Return ``gradient`` where ``result`` is positive, else zero, with a border of zeros: N x D x H+4 x W+4."""
    n, channels, height, width = gradient.shape
    padded = np.zeros((n, channels, height + 2 * BORDER, width + 2 * BORDER), np.float32)
    gradient, result = np.ascontiguousarray(gradient), np.ascontiguousarray(result)
    in_parallel(lambda image: _rectify(gradient[image], result[image], padded[image]), range(n))
    return padded


def correlate(planes: Array, gradient: Array) -> Spectrum:
    """Return the gradient of the spectrum, from ``planes`` and the `rectified_gradient` of their convolution."""
    n, channels = planes.shape[:2]
    fields, outer = channels // SYMMETRIES, gradient.shape[1] // SYMMETRIES
    rows, offsets, begins = _rows_and_stretches(planes)
    channels_of = np.arange(0, gradient.shape[1] * PIXELS, PIXELS, dtype=np.uint64).reshape(outer, SYMMETRIES)

    def work(image: int) -> Spectrum:
        singles = np.zeros((SINGLES, outer, TAPS * fields), np.float32)
        pair = np.zeros((2 * outer, 2 * TAPS * fields), np.float32)
        _correlate(rows[image], offsets, begins, gradient[image], channels_of, singles, pair)
        return Spectrum(singles, pair)

    parts = in_parallel(work, range(n))
    return Spectrum(*(np.sum(part, axis=0) for part in zip(*parts, strict=True)))


def _rows_and_stretches(planes: Array) -> tuple[Array, Array, Array]:
    """Return images as long rows, the offsets of the samples of each orbit, and the first pixel of each stretch.

    The last stretch ends with the image, so it overlaps the one before. An image shorter than a stretch is padded.
    """
    n, channels, height, width = planes.shape
    missing = -(-(PIXELS + 2) // width) + 2 - height
    if missing > 0:
        planes = np.pad(planes, ((0, 0), (0, 0), (0, missing), (0, 0)))
    count = max(0, (height - 2) * width - 2)
    begins = np.arange(0, count, PIXELS).clip(max=max(count, PIXELS) - PIXELS)
    offsets = _orbit_offsets(channels // SYMMETRIES, planes.shape[2] * width, width)
    return np.ascontiguousarray(planes).reshape(n, -1), offsets, begins.astype(np.uint64)


@lru_cache(SHAPES)
def _orbit_offsets(fields: int, plane: int, width: int) -> Array:
    """9 fields x 8: offsets of the samples of each orbit, for planes of ``plane`` pixels in rows of ``width``."""
    order = ORDER.astype(int)
    taps = tap_permutations()[order].T  # 9 x 8
    offsets = taps // 3 * width + taps % 3 + order * plane
    places: Array = np.arange(fields)[:, None, None] * SYMMETRIES * plane + offsets
    return places.reshape(-1, SYMMETRIES).astype(np.uint64)


@jit
def _convolve(
    row: Array,
    offsets: Array,
    begins: Array,
    singles: Array,
    pair: Array,
    bias: Array,
    result: Array,
    low: np.float32,
) -> None:
    """Convolve the stretches of one image that begin at ``begins``; no output is below ``low``."""
    orbits, outer = np.uint64(len(offsets)), np.uint64(singles.shape[1])
    transformed = np.empty(_SYMMETRIES * orbits * _P, np.float32)
    products = np.empty(_SYMMETRIES * outer * _P, np.float32)
    field = np.empty(_SYMMETRIES * _P, np.float32)
    flat_singles, flat_pair = singles.reshape(-1), pair.reshape(-1)
    part, size, weights = orbits * _P, outer * _P, outer * orbits
    for begin in begins:
        _transform(row, begin, offsets, transformed)
        for n in range(_4):
            _multiply(flat_singles[n * weights :], transformed[n * part :], products[n * size :], outer, orbits)
        for n in range(_4, _8, _2):
            _multiply(flat_pair, transformed[n * part :], products[n * size :], _2 * outer, _2 * orbits)
        for f in range(outer):
            _inverse_transform(products, np.uint64(f), size, field)
            _store(field, np.uint64(f), begin, bias, result, low)


@jit
def _transform(row: Array, begin: np.uint64, offsets: Array, transformed: Array) -> None:
    """Transform every orbit into ``transformed``: 8 x orbits x PIXELS, the four numbers, then the matrix by rows."""
    size = np.uint64(len(offsets)) * _P
    for orbit in range(np.uint64(len(offsets))):
        at = offsets[orbit]
        i0, i1, i2, i3 = begin + at[0], begin + at[1], begin + at[2], begin + at[3]
        i4, i5, i6, i7 = begin + at[4], begin + at[5], begin + at[6], begin + at[7]
        o = orbit * _P
        for p in range(_P):
            a, b, c, d = row[i0 + p], row[i1 + p], row[i2 + p], row[i3 + p]
            e, f, g, h = row[i4 + p], row[i5 + p], row[i6 + p], row[i7 + p]
            ab, a_b, cd, c_d = a + b, a - b, c + d, c - d
            ef, e_f, gh, g_h = e + f, e - f, g + h, g - h
            transformed[o + p] = (ab + cd) + (ef + gh)
            transformed[o + size + p] = (ab - cd) + (gh - ef)
            transformed[o + _2 * size + p] = (ab + cd) - (ef + gh)
            transformed[o + _3 * size + p] = (ab - cd) - (gh - ef)
            transformed[o + _4 * size + p] = a_b + c_d
            transformed[o + _5 * size + p] = e_f + g_h
            transformed[o + _6 * size + p] = e_f - g_h
            transformed[o + _7 * size + p] = a_b - c_d


@jit
def _multiply(weights: Array, transformed: Array, products: Array, rows: np.uint64, columns: np.uint64) -> None:
    """Compute ``products`` (rows x PIXELS) = ``weights`` (rows x columns) times ``transformed``, two by three."""
    for z in range(rows * _P):
        products[z] = np.float32(0)
    for k in range(_0, columns, _3):
        for j in range(_0, rows, _2):
            i = j * columns + k
            a, b, c = weights[i], weights[i + _1], weights[i + _2]
            d, e, f = weights[i + columns], weights[i + columns + _1], weights[i + columns + _2]
            r, o = k * _P, j * _P
            for p in range(_P):
                x, y, z2 = transformed[r + p], transformed[r + _P + p], transformed[r + _2 * _P + p]
                products[o + p] += a * x + b * y + c * z2
                products[o + _P + p] += d * x + e * y + f * z2


@jit
def _inverse_transform(values: Array, field: np.uint64, size: np.uint64, result: Array) -> None:
    """Invert the transform: the eight channels of a field, 8 x PIXELS, in the order of ``ORDER``."""
    o = field * _P
    for p in range(_P):
        a, b, c, d = values[o + p], values[o + size + p], values[o + _2 * size + p], values[o + _3 * size + p]
        e, f = values[o + _4 * size + p], values[o + _5 * size + p]
        g, h = values[o + _6 * size + p], values[o + _7 * size + p]
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
def _store(
    field: Array,
    number: np.uint64,
    begin: np.uint64,
    bias: Array,
    result: Array,
    low: np.float32,
) -> None:
    """Copy a stretch to its rows of the output, without the last two columns: their taps reach into the next row."""
    height, inner = np.uint64(result.shape[1]), np.uint64(result.shape[2])
    width = inner + _2  # of the planes, and so of the rows in a stretch
    for n in range(_SYMMETRIES):
        channel = number * _SYMMETRIES + ORDER[n]
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
    offsets: Array,
    begins: Array,
    gradient: Array,
    fields: Array,
    singles: Array,
    pair: Array,
) -> None:
    """Add the contribution of one image to the gradients of a spectrum."""
    orbits, outer = np.uint64(len(offsets)), np.uint64(singles.shape[1])
    transformed = np.empty(_SYMMETRIES * orbits * _P, np.float32)
    field = np.empty(_SYMMETRIES * outer * _P, np.float32)
    gradients = np.empty(_SYMMETRIES * outer * _P, np.float32)
    part, size, weights = orbits * _P, outer * _P, outer * orbits
    flat_singles, flat_pair = singles.reshape(-1), pair.reshape(-1)
    end = _0
    for begin in begins:
        _transform(row, begin, offsets, transformed)
        _load(gradient, begin, max(end, begin) - begin, field)
        _transform(field, _0, fields, gradients)
        end = begin + _P
        for n in range(_4):
            _accumulate(gradients[n * size :], transformed[n * part :], flat_singles[n * weights :], outer, orbits)
        for n in range(_4, _8, _2):
            _accumulate(gradients[n * size :], transformed[n * part :], flat_pair, _2 * outer, _2 * orbits)


@jit
def _load(gradient: Array, first: np.uint64, done: np.uint64, field: Array) -> None:
    """Copy the stretch of ``gradient`` that begins at ``first``; its first ``done`` pixels become zero."""
    height, inner = np.uint64(gradient.shape[1]) - _4, np.uint64(gradient.shape[2]) - _4
    width = inner + _2
    for z in range(np.uint64(len(field))):
        field[z] = np.float32(0)
    for channel in range(np.uint64(len(gradient))):
        o = channel * _P
        source = channel - channel % _SYMMETRIES + ORDER[channel % _SYMMETRIES]
        row, column, at = first // width, first % width, _0
        while at < _P and row < height:
            for p in range(max(done, at) - at, min(_P - at, max(column, inner) - column)):
                field[o + at + p] = gradient[source, row + _2, column + _2 + p]
            at += width - column
            row, column = row + _1, _0


@jit
def _accumulate(gradients: Array, transformed: Array, sums: Array, rows: np.uint64, columns: np.uint64) -> None:
    """Add to ``sums`` (rows x columns) the products of rows of ``gradients`` and of ``transformed``, two by three."""
    for k in range(_0, columns, _3):
        for j in range(_0, rows, _2):
            r, o = k * _P, j * _P
            a = b = c = d = e = f = np.float32(0)
            for p in range(_P):
                x, y, z = transformed[r + p], transformed[r + _P + p], transformed[r + _2 * _P + p]
                u, v = gradients[o + p], gradients[o + _P + p]
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
