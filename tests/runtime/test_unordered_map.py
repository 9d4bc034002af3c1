"""Items spread over workers: each result once, errors raised, and a slow worker delays no other."""

import threading

import pytest

from vidsr.runtime.concurrency import unordered_map


def test_every_item_has_its_result() -> None:
    assert sorted(unordered_map(range(20), [lambda n: n * n] * 3)) == [(n, n * n) for n in range(20)]


def test_a_slow_worker_delays_no_other() -> None:
    release = threading.Event()

    def slow(item: int) -> str:
        release.wait(10)
        return "slow"

    results = unordered_map(range(6), [slow, lambda item: "fast"])
    assert [next(results)[1] for _ in range(5)] == ["fast"] * 5
    release.set()
    assert list(results) == [(0, "slow")]


def test_an_exception_is_raised() -> None:
    def fail(item: int) -> int:
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        list(unordered_map(range(3), [fail]))
