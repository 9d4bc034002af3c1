"""Compilation of kernels by Numba: on first use, without the GIL, cached on disk."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba
from numba.core.event import install_timer

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


@dataclass
class Compilation:
    """Seconds that Numba spent compiling; loading from its cache is not counted."""

    seconds: float = 0.0

    @property
    def of_every_process(self) -> float:
        """Seconds that the next process spends again, because nothing keeps the machine code."""
        return self.seconds if _cache_is_temporary else 0.0


@contextmanager
def compile_time() -> Iterator[Compilation]:
    """Measure the compilation within a block, on any thread."""
    time = Compilation()

    def add(seconds: float) -> None:
        time.seconds += seconds

    with install_timer("numba:compile", add):
        yield time


_cache_is_temporary = False


def ensure_cache_folder() -> None:
    """Give Numba a temporary cache folder if it finds no writable one.

    Without a folder Numba raises RuntimeError. The temporary one lasts as long as this process.
    """
    global _cache_is_temporary
    try:
        numba.njit(_nothing, cache=True)
    except RuntimeError:
        folder = tempfile.mkdtemp(prefix="vidsr-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _cache_is_temporary = True
        numba.config.CACHE_DIR = folder  # type: ignore[attr-defined]  # set when Numba is imported


def is_compiled() -> bool:
    """Whether an earlier process has compiled kernels and left them in the cache."""
    cache = getattr(numba.njit(_nothing, cache=True), "_cache", None)
    return cache is None or any(Path(cache.cache_path).glob("*.nbi"))


def _nothing() -> None:
    pass


ensure_cache_folder()  # before any function of this package is compiled
