"""How the kernels are compiled: on first use, without the GIL, kept on disk."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def jit(function: Callable[P, R]) -> Callable[P, R]:
    """``function`` compiled at its first call with each set of types.

    The machine code is kept beside the source, else in the user's cache folder (``NUMBA_CACHE_DIR`` overrides). Where
    neither can be written it is compiled anew in every process: slower to start, the same afterwards.

    Numba does not notice a change in a compiled function of another file, so compiled code calls only its own file.
    Sums may be reordered, which makes vectors of them; planes hold no NaN or infinity.
    """
    compiled = numba.njit(function, cache=True, nogil=True, fastmath=True, error_model="numpy")
    return cast("Callable[P, R]", compiled)


def find_cache() -> None:
    """Gives Numba, which asks for a folder to keep compiled code in, one for this process, where it finds none."""
    try:
        numba.njit(_nothing, cache=True)
    except RuntimeError:
        folder = tempfile.mkdtemp(prefix="vidsr-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        numba.config.CACHE_DIR = folder  # type: ignore[attr-defined]  # set when Numba is imported


def _nothing() -> None:
    pass


find_cache()  # before any function of this program is compiled, wherever it is
