"""PReLU and rounding to 8-bit codes in one pass, between two convolutions in int8."""

from __future__ import annotations

import numpy as np

from vidsr.kernels.arrays import Array
from vidsr.kernels.jit import jit
from vidsr.kernels.workers import in_parallel, strips


def prelu_codes(values: Array, rises: Array, falls: Array, zeros: Array, out: Array) -> None:
    """Write the codes of ``values`` after PReLU into the middle of ``out``, whose border stays as it is.

    ``values`` is N x H x W x C, the bits of bf16 values in uint16. ``out`` is N x H+2 x W+2 x C, uint8. The code of a
    value v of channel c is ``zeros[c]`` + v * (``rises[c]`` if v is positive, else ``falls[c]``), rounded halves up and
    limited to 0 to 255. All three are float32.
    """
    n, height, width, channels = values.shape
    if out.shape != (n, height + 2, width + 2, channels) or out.dtype != np.uint8 or values.dtype != np.uint16:
        raise ValueError(f"codes {out.shape} {out.dtype} do not fit values {values.shape} {values.dtype}")
    rows, targets = values.reshape(n, height, -1), out.reshape(n, height + 2, -1)

    def work(task: tuple[int, tuple[int, int]]) -> None:
        i, (first, last) = task
        inner = targets[i, first + 1 : last + 1, channels:-channels]
        _codes(rows[i, first:last], rises, falls, zeros + np.float32(0.5), inner)

    in_parallel(work, [(i, part) for i in range(n) for part in strips(height, width * channels // 8)])


@jit
def _codes(rows: Array, rises: Array, falls: Array, zeros: Array, out: Array) -> None:
    """Write ``out``; two loops over the channels of a pixel, so that LLVM vectorises both."""
    bits = np.empty(zeros.size, np.uint32)
    values = bits.view(np.float32)  # bf16 is the upper half of a float
    count, top = np.uint64(zeros.size), np.float32(255)
    for i in range(rows.shape[0]):
        row, target = rows[i], out[i]
        for pixel in range(np.uint64(row.size) // count):
            first = pixel * count
            for c in range(count):
                bits[c] = np.uint32(row[first + c]) << np.uint32(16)
            for c in range(count):
                code = max(values[c], np.float32(0)) * rises[c] + min(values[c], np.float32(0)) * falls[c] + zeros[c]
                target[first + c] = np.int32(max(min(code, top), np.float32(0)))
