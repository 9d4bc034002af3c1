"""ordered_map: any number of workers at any speed gives ordered results and leaves no thread."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import examples
from vidsr.runtime.concurrency import ITEMS_PER_WORKER, Behind, completed_behind, lazy, ordered_map


@examples(40)
@given(count=st.integers(0, 20), pauses=st.lists(st.sampled_from([0.0, 0.0005, 0.002]), min_size=1, max_size=4))
def test_results_are_ordered_and_each_comes_from_its_worker(count: int, pauses: list[float]) -> None:
    def worker(number: int):
        def work(item: int) -> tuple[int, int]:
            time.sleep(pauses[number])
            return item, number

        return work

    results = list(ordered_map(iter(range(count)), [worker(n) for n in range(len(pauses))]))
    assert results == [(n, n % len(pauses)) for n in range(count)]


def test_workers_run_in_parallel_and_a_single_one_runs_on_the_calling_thread() -> None:
    together = threading.Barrier(2, timeout=10)
    assert list(ordered_map(iter([0, 1]), [lambda n: together.wait() >= 0] * 2)) == [True, True]
    assert list(ordered_map(iter([0]), [lambda n: threading.get_ident()])) == [threading.get_ident()]


def test_at_most_two_items_per_worker_are_in_flight() -> None:
    numbers = itertools.count()
    results = ordered_map(numbers, [lambda n: n] * 3)
    for expected in range(20):
        assert next(results) == expected
    results.close()
    assert next(numbers) <= 19 + 3 * ITEMS_PER_WORKER


@pytest.mark.parametrize("workers", [1, 3])
def test_an_exception_is_raised_in_place_of_its_result(workers: int) -> None:
    def fails_at_five(n: int) -> int:
        if n == 5:
            raise ZeroDivisionError
        return n

    results = ordered_map(iter(range(100)), [fails_at_five] * workers)
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_lazy_property_is_computed_once_and_waits_for_no_other_object() -> None:
    class Frame:
        def __init__(self, wait: threading.Event | None = None) -> None:
            self.wait, self.computed = wait, 0

        @lazy
        def size(self) -> int:
            """Its docstring."""
            self.computed += 1
            assert self.wait is None or self.wait.wait(10)
            return 7

    slow, fast = Frame(threading.Event()), Frame()
    thread = threading.Thread(target=lambda: slow.size)
    thread.start()
    assert (fast.size, fast.size, fast.computed) == (7, 7, 1)  # while the other is being computed
    assert slow.wait is not None
    slow.wait.set()
    thread.join()
    assert vars(slow)["size"] == 7
    assert Frame.size.__doc__ == "Its docstring."


def test_a_call_is_completed_while_the_next_one_is_prepared() -> None:
    prepared = threading.Event()

    def calls() -> Iterator[Callable[[], int]]:
        yield lambda: prepared.wait(10) and 1
        prepared.set()
        yield lambda: 2

    assert list(completed_behind(calls())) == [1, 2]


def test_a_call_is_completed_if_the_next_one_cannot_be_prepared() -> None:
    completed: list[int] = []

    def calls() -> Iterator[Callable[[], None]]:
        yield lambda: completed.append(1)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        list(completed_behind(calls()))
    assert completed == [1]


def test_calls_behind_keep_their_order_and_few_wait() -> None:
    done, go = list[int](), threading.Event()
    behind = Behind("test", 2)
    behind.call(lambda: go.wait(10))
    threading.Timer(0.05, go.set).start()
    for number in range(9):
        behind.call(lambda number=number: done.append(number))  # type: ignore[misc]
    assert go.is_set()
    behind.finish()
    assert done == list(range(9))


def test_an_exception_behind_is_raised_by_a_later_call_or_at_the_end() -> None:
    def fail() -> None:
        raise InterruptedError

    behind = Behind("test", 9)
    with pytest.raises(InterruptedError):
        behind.call(fail)
        behind.finish()
    behind.cancel()


def test_calls_that_wait_are_dropped_by_a_cancel() -> None:
    go, done = threading.Event(), list[int]()
    behind = Behind("test", 9)
    behind.call(lambda: go.wait(10))
    behind.call(lambda: done.append(1))
    threading.Timer(0.05, go.set).start()
    behind.cancel()
    assert go.is_set() and not done
