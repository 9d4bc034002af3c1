"""Chroma upscaling guided by luma: the edges of colours follow those of the upscaled luma.

Bicubic chroma plus the detail of luma times a local gain. The gain is the slope of a linear model of chroma on luma in
3 x 3 windows of the source, as in He and Sun, "Fast guided filter", 2015. Three rules keep colour where it belongs:

- The gain shrinks by the fourth power of the correlation between chroma and luma.
- The frame itself tests the model: the source chroma is predicted from half its size, and the share of the detail that
  the prediction confirms is the share that is used. Noisy and compressed chroma gets little, sharp chroma all of it.
  Detail below about one 8-bit code counts for less: sources whose encoder has blurred chroma confirm too much of it.
- The detail never exceeds the range of the source chroma around it, so that no colour appears where there was none.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vidsr.kernels.arrays import Array, Plane, check_plane, default_peak, result_array
from vidsr.kernels.jit import jit
from vidsr.kernels.resample import resampling_axis, resize
from vidsr.kernels.separable_filter import Axis, filter_rows
from vidsr.kernels.workers import in_parallel, strips

# Noise of luma and chroma below which their correlation means nothing: variances in squared 8-bit codes.
LUMA_VARIANCE = 2.0
CHROMA_VARIANCE = 0.5
FULL_DETAIL = 1.125  # root mean square of the detail, in 8-bit codes, from which on its confirmed share is used whole
SMALLEST = 4  # samples of a side of chroma; in smaller planes nothing can be tested

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ChromaAxis:
    """One axis of a resize of chroma: its grid within luma, and the sizes of luma before and after."""

    step: int  # luma samples per chroma sample
    at: float  # offset of a chroma sample from the first luma sample of its group
    luma_in: int
    luma_out: int

    @property
    def n_in(self) -> int:
        """Chroma samples before."""
        return -(-self.luma_in // self.step)

    @property
    def n_out(self) -> int:
        """Chroma samples after."""
        return -(-self.luma_out // self.step)

    @property
    def ratio(self) -> Fraction:
        """Source samples per output sample, the same for luma and chroma."""
        return Fraction(self.luma_in, self.luma_out)

    @property
    def shift(self) -> float:
        """Shift of the sampling positions, in source chroma samples, that keeps the siting.

        A plain resize puts sample j of the output at (j + 1/2) * ratio - 1/2 of the input. That is right for samples
        midway between two luma samples. Others lie (1/2 - at) / 2 chroma samples before that, in input and output.
        """
        if self.step == 1:
            return 0.0
        offset = (0.5 - self.at) / 2
        return offset - offset * float(self.ratio)

    def axis(self, kernel: str) -> Axis:
        """Return the axis that resizes chroma."""
        return resampling_axis(self.n_in, self.n_out, kernel, self.shift, self.ratio)


def resize_chroma(uv: Plane, x: ChromaAxis, y: ChromaAxis, kernel: str, out: Plane, peak: int | None) -> None:
    """Resize ``uv`` (... x h x w) to ``out`` by ``kernel`` alone, with its siting kept."""
    sizes = x.n_out, y.n_out
    resize(uv, *sizes, kernel, out=out, peak=peak, shift_x=x.shift, shift_y=y.shift, ratio_x=x.ratio, ratio_y=y.ratio)


def upscale_chroma(
    uv: Plane,
    luma: Plane,
    large_luma: Plane,
    x: ChromaAxis,
    y: ChromaAxis,
    depth: int,
    out: Plane,
    peak: int | None,
    shares: Floats | None = None,
) -> None:
    """Upscale chroma to ``out``, guided by luma.

    ``uv`` is N x 2 x h x w, ``luma`` N x H x W of the same frames, ``large_luma`` N x H' x W' upscaled, ``out`` N x 2 x
    h' x w': uint8, uint16 or float32 code values of ``depth`` bits. Integers in ``out`` are clipped to ``peak``.
    ``shares``: the `confirmed_share` of both planes, where ``uv`` is a part of a frame; None measures it.

    Raises:
        ValueError: the sizes do not fit ``x`` and ``y``.
        TypeError: the type of a plane is not supported.
    """
    n = len(uv)
    result_array(out, (n, 2, y.n_out, x.n_out), out.dtype)
    sizes = {"uv": (2, y.n_in, x.n_in), "luma": (y.luma_in, x.luma_in), "large_luma": (y.luma_out, x.luma_out)}
    for (name, size), planes in zip(sizes.items(), (uv, luma, large_luma), strict=True):
        check_plane(planes)
        if planes.shape != (n, *size):
            raise ValueError(f"{name} of shape {planes.shape} is not {(n, *size)}")
    limit = default_peak(out.dtype, peak)
    bicubic, linear = (x.axis("bicubic"), y.axis("bicubic")), (x.axis("bilinear"), y.axis("bilinear"))
    sources = [_Source.of(uv[i], at_chroma(luma[i], x.step, x.at, y.step, y.at), depth, shares) for i in range(n)]
    guides = [at_chroma(large_luma[i], x.step, x.at, y.step, y.at) for i in range(n)]

    def work(task: tuple[int, tuple[int, int]]) -> None:
        i, (first, last) = task
        source, size = sources[i], (last - first, x.n_out)
        small_guide = np.empty(size, np.float32)
        filter_rows(source.guide, small_guide, first, *bicubic)
        for plane in range(2):
            chroma, gain, most, result = (np.empty(size, np.float32) for _ in range(4))
            filter_rows(source.chroma[plane], chroma, first, *bicubic)
            filter_rows(source.gain[plane], gain, first, *bicubic)
            filter_rows(source.range[plane], most, first, *linear)
            target = out[i, plane, first:last]
            if limit is None:
                _add_detail(chroma, gain, most, guides[i][first:last], small_guide, target)
            else:
                _add_detail(chroma, gain, most, guides[i][first:last], small_guide, result)
                _round(result, target, limit)

    in_parallel(work, [(i, rows) for i in range(n) for rows in strips(y.n_out, 4 * x.n_out)])


def at_chroma(luma: Plane, step_x: int, at_x: float, step_y: int, at_y: float) -> Floats:
    """Return ``luma`` (H x W) at the positions of chroma samples, ceil(H / step) x ceil(W / step), float32."""
    height, width = luma.shape
    if height % step_y or width % step_x:
        luma = np.pad(luma, ((0, height % step_y), (0, width % step_x)), mode="edge")
    if step_x == step_y == 1:
        return luma.astype(np.float32)
    size = luma.shape[1] // step_x, luma.shape[0] // step_y
    shifts = (0.0 if step == 1 else at - 0.5 for step, at in ((step_x, at_x), (step_y, at_y)))
    return resize(luma, *size, "bicubic", dtype=np.float32, shift_x=next(shifts), shift_y=next(shifts))  # type: ignore[return-value]


@dataclass(frozen=True)
class _Source:
    """Planes of the source that are upscaled: 2 x h x w, the guide h x w."""

    chroma: Floats
    gain: Floats
    range: Floats
    guide: Floats

    @classmethod
    def of(cls, uv: Plane, guide: Floats, depth: int, shares: Floats | None) -> _Source:
        chroma = uv.astype(np.float32)
        gain, around = _gains(chroma, guide, squared_unit(depth))
        gain *= (confirmed_share(confirmation(chroma, guide, depth)) if shares is None else shares)[:, None, None]
        return cls(chroma, gain, around, guide)


def squared_unit(depth: int) -> np.float32:
    """Return the squared code values in a squared 8-bit code value."""
    return np.float32(4.0 ** (depth - 8))


def confirmation(chroma: Floats, guide: Floats, depth: int, rows: slice = slice(None)) -> NDArray[np.float64]:
    """Return what ``chroma`` (2 x h x w) confirms of the detail: for each plane three sums, for `confirmed_share`.

    The model of the halved planes predicts ``chroma``. Sums are over ``rows`` and may be added; their ends are even
    numbers.
    """
    height, width = (side // 2 * 2 for side in guide.shape)
    if min(height, width) < SMALLEST:
        return np.zeros((2, 3))
    chroma, guide = chroma[:, :height, :width], guide[:height, :width]
    small_chroma, small_guide = _halved(chroma), _halved(guide)
    gain, _ = _gains(small_chroma, small_guide, squared_unit(depth))
    large_gain, predicted, blurred = (resize(planes, width, height) for planes in (gain, small_chroma, small_guide))
    parts = [(chroma[p, rows], predicted[p, rows], large_gain[p, rows], guide[rows], blurred[rows]) for p in range(2)]
    return np.array([(*_confirmed(*part), part[0].size * squared_unit(depth)) for part in parts])


def confirmed_share(sums: NDArray[np.float64]) -> Floats:
    """Return the factor of the detail of each plane, 0 to 1.

    It is the factor with which the prediction comes nearest to chroma, less what the detail lacks to `FULL_DETAIL`.
    """
    confirmed, square, samples = sums.T
    nearest = confirmed / np.maximum(square, 1e-6)
    size = np.sqrt(square / np.maximum(samples, 1))
    shares: Floats = np.clip(nearest - np.maximum(FULL_DETAIL - size, 0), 0, 1).astype(np.float32)
    return shares


def _halved(planes: Floats) -> Floats:
    """Return the means of 2 x 2 samples."""
    rows = planes[..., 0::2, :] + planes[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]) * np.float32(0.25)


def _gains(chroma: Floats, guide: Floats, unit: np.float32) -> tuple[Floats, Floats]:
    """Return the gain of both planes, averaged over 3 x 3 windows, and the range of chroma in each window."""
    gain, around = np.empty_like(chroma), np.empty_like(chroma)
    for plane in range(len(chroma)):
        raw = np.empty(guide.shape, np.float32)
        _fit(
            np.ascontiguousarray(chroma[plane]),
            np.ascontiguousarray(guide),
            raw,
            around[plane],
            unit * np.float32(LUMA_VARIANCE),
            unit * np.float32(CHROMA_VARIANCE),
        )
        _mean(raw, gain[plane])
    return gain, around


@jit
def _fit(
    chroma: Array, guide: Array, gain: Array, around: Array, luma_variance: np.float32, chroma_variance: np.float32
) -> None:
    """Write the shrunk slope of ``chroma`` on ``guide``, and the range of ``chroma``, in each 3 x 3 window."""
    height, width = chroma.shape
    ninth = np.float32(1 / 9)
    sums = np.empty((5, width + 2), np.float32)
    low, high = np.empty(width + 2, np.float32), np.empty(width + 2, np.float32)
    for i in range(height):
        a, b = max(i - 1, 0), min(i + 1, height - 1)
        for j in range(width):
            g, h, k = guide[a, j], guide[i, j], guide[b, j]
            u, v, w = chroma[a, j], chroma[i, j], chroma[b, j]
            sums[0, j + 1] = g + h + k
            sums[1, j + 1] = u + v + w
            sums[2, j + 1] = g * g + h * h + k * k
            sums[3, j + 1] = g * u + h * v + k * w
            sums[4, j + 1] = u * u + v * v + w * w
            low[j + 1] = min(u, v, w)
            high[j + 1] = max(u, v, w)
        for k in range(5):
            sums[k, 0], sums[k, width + 1] = sums[k, 1], sums[k, width]
        low[0], low[width + 1], high[0], high[width + 1] = low[1], low[width], high[1], high[width]
        for j in range(width):
            mean_guide = (sums[0, j] + sums[0, j + 1] + sums[0, j + 2]) * ninth
            mean_chroma = (sums[1, j] + sums[1, j + 1] + sums[1, j + 2]) * ninth
            var_guide = (sums[2, j] + sums[2, j + 1] + sums[2, j + 2]) * ninth - mean_guide * mean_guide
            covariance = (sums[3, j] + sums[3, j + 1] + sums[3, j + 2]) * ninth - mean_guide * mean_chroma
            var_chroma = (sums[4, j] + sums[4, j + 1] + sums[4, j + 2]) * ninth - mean_chroma * mean_chroma
            slope = covariance / (max(var_guide, np.float32(0)) + luma_variance)
            correlation = slope * covariance / (max(var_chroma, np.float32(0)) + chroma_variance)
            gain[i, j] = slope * correlation * correlation
            around[i, j] = max(high[j], high[j + 1], high[j + 2]) - min(low[j], low[j + 1], low[j + 2])


@jit
def _mean(plane: Array, out: Array) -> None:
    """Write the means of 3 x 3 windows."""
    height, width = plane.shape
    sums = np.empty(width + 2, np.float32)
    for i in range(height):
        a, b = max(i - 1, 0), min(i + 1, height - 1)
        for j in range(width):
            sums[j + 1] = plane[a, j] + plane[i, j] + plane[b, j]
        sums[0], sums[width + 1] = sums[1], sums[width]
        for j in range(width):
            out[i, j] = (sums[j] + sums[j + 1] + sums[j + 2]) * np.float32(1 / 9)


@jit
def _confirmed(chroma: Array, predicted: Array, gain: Array, guide: Array, blurred: Array) -> tuple[float, float]:
    """Return the sums of detail times what ``predicted`` lacks, and of squared detail."""
    confirmed = square = 0.0
    for i in range(chroma.shape[0]):
        for j in range(chroma.shape[1]):
            detail = gain[i, j] * (guide[i, j] - blurred[i, j])
            confirmed += np.float64(detail * (chroma[i, j] - predicted[i, j]))
            square += np.float64(detail * detail)
    return confirmed, square


@jit
def _add_detail(chroma: Array, gain: Array, most: Array, guide: Array, small_guide: Array, out: Array) -> None:
    """Write ``chroma`` plus ``gain`` times the detail of the guide, at most ``most`` either way."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            detail = gain[i, j] * (guide[i, j] - small_guide[i, j])
            out[i, j] = chroma[i, j] + min(max(detail, -most[i, j]), most[i, j])


@jit
def _round(plane: Array, out: Array, peak: np.float32) -> None:
    """Write ``plane`` as integers from 0 to ``peak``."""
    for i in range(plane.shape[0]):
        for j in range(plane.shape[1]):
            out[i, j] = np.int32(min(max(plane[i, j], np.float32(0)), peak) + np.float32(0.5))
