"""Threads of the kernels: order, exceptions, concurrent callers, forks; and the cache of compiled kernels."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vidsr.kernels.workers import STRIP_PIXELS, THREADS, in_parallel, strips


@pytest.mark.parametrize(("rows", "width"), [(1, 1), (1080, 1920), (7, STRIP_PIXELS + 1), (5000, 3)])
def test_strips_cover_every_row_once(rows: int, width: int) -> None:
    covered = [row for first, last in strips(rows, width) for row in range(first, last)]
    assert covered == list(range(rows))
    assert all((last - first) * width <= max(width, STRIP_PIXELS) for first, last in strips(rows, width))


def test_results_keep_the_order_of_the_tasks() -> None:
    def work(task: int) -> int:
        time.sleep(0.001 * (task % 3))
        return task * task

    assert in_parallel(work, range(20)) == [n * n for n in range(20)]
    assert in_parallel(work, []) == []


def test_failing_task_raises_and_the_next_call_works() -> None:
    def work(task: int) -> int:
        return 10 // (task - 3)

    with pytest.raises(ZeroDivisionError):
        in_parallel(work, range(8))
    assert in_parallel(abs, range(8)) == list(range(8))


def test_concurrent_callers_get_their_own_results() -> None:
    def call(n: int) -> list[int]:
        return in_parallel(lambda task: task + n, range(50))

    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(call, range(40))) == [list(range(n, n + 50)) for n in range(40)]


def test_call_does_not_wait_for_a_worker_that_is_busy_elsewhere() -> None:
    in_parallel(lambda _: time.sleep(0.01), range(4))  # starts the pool

    def slow(_: int) -> None:
        time.sleep(0.15)

    with ThreadPoolExecutor(1) as other:
        busy = other.submit(in_parallel, slow, range(4 * THREADS))  # at least 0.6 s
        time.sleep(0.05)
        in_parallel(abs, range(4))
        assert not busy.done()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_process_computes_without_the_pool() -> None:
    code = """
import os, warnings
import numpy as np
from vidsr.kernels.resample import resize
image = np.random.default_rng(0).integers(0, 256, (300, 400), dtype=np.uint8)
expected = resize(image, 1600, 1200)
warnings.simplefilter("ignore")  # newer Pythons warn of forks with threads, the case under test
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(resize(image, 1600, 1200), expected) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_kernels_compile_if_neither_the_package_nor_the_user_cache_is_writable() -> None:
    """This is an installation owned by root, used by a service without a home folder."""
    code = """
import numba
from numba.core import caching
locators = [locator for locator in caching.CacheImpl._locator_classes if "UserProvided" in locator.__name__]
caching.CacheImpl._locator_classes = locators
numba.config.CACHE_DIR = ""
import vidsr.flow.flow_engine, vidsr.kernels.resample
print(numba.config.CACHE_DIR)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert folder.name.startswith("vidsr-") and not folder.exists()
