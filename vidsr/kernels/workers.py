"""Threads of the kernels: strips of rows for the caller and a small pool.

Kernels do not use Numba's ``parallel=True``. Its OpenMP layer spins after every call, as PyTorch's does (measured:
10 ms of a core for each 0.5 ms kernel, taken from the encoder), and aborts a forked process. Its own work queue aborts
when two threads call it at once. Such functions also take longer to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from operator import itemgetter
from typing import TypeVar

import numba

T = TypeVar("T")
R = TypeVar("R")

# The processors that this process may use, or the variable NUMBA_NUM_THREADS.
THREADS: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
# Large enough to hide the cost of handing a strip over, small enough to stay in the second-level cache.
STRIP_PIXELS = 1 << 17


def strips(rows: int, width: int) -> list[tuple[int, int]]:
    """Return half-open ranges that cover ``rows`` rows of ``width`` pixels.

    They are the same on every machine, so sums over them are too.
    """
    step = max(1, STRIP_PIXELS // max(1, width))
    return [(first, min(first + step, rows)) for first in range(0, rows, step)]


def in_parallel(work: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
    """Return the results of ``work`` on every task, in order.

    ``work`` must release the GIL. Any thread may call this at any time. The caller works on tasks too, and cancels
    workers that have not started. So it never waits for a thread that is busy elsewhere, or missing after a fork.
    """
    pending = enumerate(tasks)  # shared by all threads: taking the next one is atomic

    def drain() -> list[tuple[int, R]]:
        return [(index, work(task)) for index, task in pending]

    helpers = [_pool().submit(drain) for _ in range(min(THREADS, len(tasks)) - 1)]
    done = drain()
    for helper in helpers:
        if not helper.cancel():
            done += helper.result()
    return [result for _, result in sorted(done, key=itemgetter(0))]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS - 1, thread_name_prefix="vidsr-kernels")
