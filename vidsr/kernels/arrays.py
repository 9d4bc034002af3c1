"""Array types of the kernels, and checks of the arrays that callers pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]  # in compiled code, where Numba infers the type
Plane = NDArray[np.uint8 | np.uint16 | np.float32]
DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))


def check_plane(plane: NDArray[np.generic]) -> None:
    """Raise TypeError unless the kernels support the type of ``plane``."""
    if plane.dtype not in DTYPES:
        raise TypeError(f"a plane of {plane.dtype} is not supported: give uint8, uint16 or float32")


def as_planes(image: Plane) -> Plane:
    """Return ``image`` (... x H x W) as N x H x W, writable and contiguous.

    Code is compiled for this layout alone.
    """
    check_plane(image)
    return np.require(image, requirements=["C", "W", "A"]).reshape(-1, *image.shape[-2:])


def result_array(out: Plane | None, shape: tuple[int, ...], dtype: DTypeLike) -> Plane:
    """Return ``out`` after a check, or a new array.

    Raises:
        ValueError: ``out`` cannot hold a result of ``shape``.
    """
    if out is None:
        out = np.empty(shape, dtype)
    check_plane(out)
    if out.shape != shape or not out.flags.c_contiguous:
        raise ValueError(f"out of shape {out.shape} does not hold {shape} contiguously")
    return out


def check_pair(a: Plane, b: Plane, crop: int) -> None:
    """Raise ValueError unless ``a`` and ``b`` can be compared.

    They need one size (H x W), larger than ``crop`` pixels at each border.
    """
    if a.ndim != 2 or a.shape != b.shape or min(a.shape) <= 2 * crop:
        raise ValueError(f"cannot compare {a.shape} with {b.shape} without {crop} pixels at each border")


def default_peak(dtype: np.dtype[np.generic], peak: int | None) -> np.float32 | None:
    """Return ``peak``, or the largest value of ``dtype``; None for float32."""
    if dtype.kind == "f":
        return None
    return np.float32(np.iinfo(dtype.name).max if peak is None else peak)
