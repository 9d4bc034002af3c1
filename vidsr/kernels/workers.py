"""The threads that kernels run on: strips of rows, shared out between the caller and a small pool.

Not Numba's own ``parallel=True``: its OpenMP layer spins after every call, as PyTorch's does (10 ms of a core for each
0.5 ms kernel, measured, taken from the encoder) and aborts a forked process; its own work queue aborts when two threads
call it at once; and such functions take longer to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from operator import itemgetter
from typing import TypeVar

import numba

T = TypeVar("T")
R = TypeVar("R")

# The processors this process may use, or what the variable NUMBA_NUM_THREADS says.
THREADS: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
STRIP_PIXELS = (
    1 << 17
)  # long enough to hide the cost of handing it over, short enough to stay in the second-level cache


def strips(rows: int, width: int) -> list[tuple[int, int]]:
    """Half-open ranges that cover ``rows`` rows of ``width`` pixels; the same on every machine, so sums are too."""
    step = max(1, STRIP_PIXELS // max(1, width))
    return [(first, min(first + step, rows)) for first in range(0, rows, step)]


def in_parallel(work: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
    """Results of ``work`` on every task, in order. ``work`` must release the GIL; any thread may call this at any time.

    The caller takes tasks too, and takes back what no worker has begun: it never waits for a thread that is busy
    elsewhere, or that a fork left behind.
    """
    pending = enumerate(tasks)  # shared: taking the next one is atomic

    def drain() -> list[tuple[int, R]]:
        return [(index, work(task)) for index, task in pending]

    helpers = [_pool().submit(drain) for _ in range(min(THREADS, len(tasks)) - 1)]
    done = drain()
    for helper in helpers:
        if not helper.cancel():
            done += helper.result()
    return [result for _, result in sorted(done, key=itemgetter(0))]


@cache
def numba_is_shared() -> bool:
    """Whether several threads may call functions compiled with ``parallel=True`` at once, and there is use in it."""
    asked = numba.config.THREADING_LAYER  # type: ignore[attr-defined]
    pools = {"tbb": ["tbbpool"], "omp": ["omppool"], "workqueue": []}.get(asked, ["tbbpool", "omppool"])
    return THREADS > 1 and any(_is_there(f"numba.np.ufunc.{pool}") for pool in pools)


def _is_there(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:  # the library that it works with is missing
        return False
    return True


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS - 1, thread_name_prefix="vidsr-kernels")
