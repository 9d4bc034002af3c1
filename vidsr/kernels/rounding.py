"""Rounding of float code values to integers.

One pass replaces four: round, clip, cast and copy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidsr.kernels.arrays import Array, Plane
from vidsr.kernels.jit import jit
from vidsr.kernels.workers import in_parallel, strips


def round_codes(values: NDArray[np.float32], peak: int) -> Plane:
    """Return ``values`` (any shape) rounded halves up and clipped to 0 to ``peak``.

    The type is uint8 if that is enough, else uint16.
    """
    out = np.empty(values.shape, np.uint8 if peak <= np.iinfo(np.uint8).max else np.uint16)
    source, target = np.ascontiguousarray(values).reshape(-1), out.reshape(-1)

    def work(span: tuple[int, int]) -> None:
        _round(source[span[0] : span[1]], target[span[0] : span[1]], np.float32(peak))

    in_parallel(work, strips(source.size, 1))
    return out


@jit
def _round(values: Array, out: Array, peak: np.float32) -> None:
    for i in range(out.size):
        out[i] = np.int32(min(max(values[i], np.float32(0)), peak) + np.float32(0.5))
