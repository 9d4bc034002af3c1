"""Compilation of kernels by Numba: on first use, without the GIL, cached on disk."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def jit(function: Callable[P, R]) -> Callable[P, R]:
    """Return ``function`` compiled at its first call with each set of types.

    The machine code is cached next to the source, else in the user's cache folder (``NUMBA_CACHE_DIR`` overrides both).
    If neither is writable, every process compiles again: the start is slower, the rest is not.

    Numba does not notice a change in a compiled function of another file, so compiled code calls only its own file.
    Sums may be reordered so that they are vectorised. Planes hold no NaN or infinity.
    """
    compiled = numba.njit(function, cache=True, nogil=True, fastmath=True, error_model="numpy")
    cache = getattr(compiled, "_cache", None)  # none where NUMBA_DISABLE_JIT is set
    if cache is not None:
        cache.save_overload = _without_disk_errors(cache.save_overload)
    return cast("Callable[P, R]", compiled)


def _without_disk_errors(save: Callable[..., None]) -> Callable[..., None]:
    """Return ``save`` of Numba's cache for a disk that may be full: the next process compiles again."""

    def saved(*arguments: object) -> None:
        with suppress(OSError):
            save(*arguments)

    return saved


def ensure_cache_folder() -> None:
    """Give Numba a temporary cache folder if it finds no writable one.

    Without a folder Numba raises RuntimeError. The temporary one lasts as long as this process.
    """
    try:
        numba.njit(_nothing, cache=True)
    except RuntimeError:
        folder = tempfile.mkdtemp(prefix="vidsr-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        numba.config.CACHE_DIR = folder  # type: ignore[attr-defined]  # set when Numba is imported


def _nothing() -> None:
    pass


ensure_cache_folder()  # before any function of this package is compiled
