"""Lanes: any number of them, at any speed, gives the results in order, and leaves no thread."""

import itertools
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidsr.concurrency import AHEAD, ordered_map


@settings(deadline=None, max_examples=40)
@given(count=st.integers(0, 20), pauses=st.lists(st.sampled_from([0.0, 0.0005, 0.002]), min_size=1, max_size=4))
def test_results_come_in_order_each_from_its_lane(count: int, pauses: list[float]) -> None:
    def lane(number: int):
        def work(item: int) -> tuple[int, int]:
            time.sleep(pauses[number])
            return item, number

        return work

    results = list(ordered_map(iter(range(count)), [lane(n) for n in range(len(pauses))]))
    assert results == [(n, n % len(pauses)) for n in range(count)]


def test_lanes_work_at_the_same_time_and_one_alone_on_the_thread_of_the_caller() -> None:
    together = threading.Barrier(2, timeout=10)
    assert list(ordered_map(iter([0, 1]), [lambda n: together.wait() >= 0] * 2)) == [True, True]
    assert list(ordered_map(iter([0]), [lambda n: threading.get_ident()])) == [threading.get_ident()]


def test_no_more_than_two_items_are_taken_ahead_for_each_lane() -> None:
    numbers = itertools.count()
    results = ordered_map(numbers, [lambda n: n] * 3)
    for shown in range(20):
        assert next(results) == shown
    results.close()
    assert next(numbers) <= 19 + 3 * AHEAD


@pytest.mark.parametrize("lanes", [1, 3])
def test_an_exception_comes_where_its_result_would_have(lanes: int) -> None:
    def fails_at_five(n: int) -> int:
        if n == 5:
            raise ZeroDivisionError
        return n

    results = ordered_map(iter(range(100)), [fails_at_five] * lanes)
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(ZeroDivisionError):
        next(results)
