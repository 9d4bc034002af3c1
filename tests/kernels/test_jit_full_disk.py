"""Numba's cache on a full disk: kernels work, and only the cache is missing."""

import errno

import numba.core.caching
import pytest

from vidsr.kernels.jit import jit


def test_a_kernel_works_when_the_disk_of_the_cache_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    def fail(*arguments: object) -> None:
        attempts.append(arguments)
        raise OSError(errno.ENOSPC, "No space left on device")

    def twice(x: int) -> int:
        return 2 * x

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", fail)
    assert jit(twice)(21) == 42
    assert attempts
