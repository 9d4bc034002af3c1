"""Calls spread over workers: each has one outcome, in the order asked for, whichever worker ends early."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

from vidsr.errors import Note, OnNote, VidsrError
from vidsr.runtime.error_boundary import Failure, WorkerFailed
from vidsr.runtime.interrupt import Interrupted
from vidsr.runtime.worker_pool import TRIES, Begins, Key, Outcome, WorkerPool


class Here:
    """A worker on the thread of the pool, which calls its argument."""

    def __init__(self) -> None:
        self.closed = False

    def prepare(self, on_note: OnNote) -> None:
        pass

    def call(self, function: Callable[[Callable[[Any], object]], Any], on_event: Callable[[Any], object]) -> Any:
        return function(on_event)

    def close(self) -> None:
        self.closed = True


def fail(crashed: bool) -> Callable[[Any], Any]:
    def function(_: Any) -> None:
        raise WorkerFailed(Failure("it failed", crashed=crashed))

    return function


def test_every_call_has_its_result() -> None:
    workers = [Here() for _ in range(3)]
    with WorkerPool(workers) as pool:
        for number in range(20):
            pool.submit((0, number), (number,), lambda _, number=number: number * number)
        results = {outcome.key[1]: outcome.value for outcome in pool.outcomes()}
    assert results == {number: number * number for number in range(20)}
    assert all(worker.closed for worker in workers)


def test_a_call_that_a_signal_ends_leaves_no_traceback_of_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by the campaign of kills, in a folder run by two processes."""
    printed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    threads: SimpleQueue[threading.Thread] = SimpleQueue()

    def interrupted(_: Any) -> None:
        threads.put(threading.current_thread())
        raise Interrupted

    with WorkerPool([Here()]) as pool:
        pool.submit((0, 0), (0,), interrupted)
        threads.get(timeout=10).join(10)
    assert not printed


def test_the_first_in_the_order_comes_first_whenever_it_is_submitted() -> None:
    begun = threading.Event()
    with WorkerPool([Here()]) as pool:
        pool.submit((0, 0), (0,), lambda _: begun.wait(10))
        for number in (3, 1, 2):
            pool.submit((1, number), (number,), lambda _: None)
        begun.set()
        assert [outcome.key[1] for outcome in pool.outcomes()] == [0, 1, 2, 3]


def test_a_slow_worker_delays_no_other() -> None:
    release = threading.Event()
    with WorkerPool([Here(), Here()]) as pool:
        pool.submit((0, 0), (0,), lambda _: release.wait(10))
        for number in range(1, 6):
            pool.submit((0, number), (number,), lambda _: None)
        outcomes = pool.outcomes()
        assert sorted(next(outcomes).key[1] for _ in range(5)) == [1, 2, 3, 4, 5]
        release.set()
        assert [outcome.key for outcome in outcomes] == [(0, 0)]


def test_events_come_before_the_outcome() -> None:
    seen: list[Any] = []

    def listen(key: Key, worker: int, event: Any) -> None:
        seen.append((key, worker, event))

    with WorkerPool([Here()], listen) as pool:
        pool.submit((4, 2), (0,), lambda emit: emit("half"))
        seen += list(pool.outcomes())
    assert seen == [((4, 2), 0, Begins()), ((4, 2), 0, "half"), Outcome((4, 2))]


@pytest.mark.parametrize("crashed", [True, False])
def test_a_call_is_tried_again_only_if_its_worker_ended(crashed: bool) -> None:
    tries: list[None] = []

    def function(emit: Any) -> None:
        tries.append(None)
        fail(crashed)(emit)

    with WorkerPool([Here(), Here()]) as pool:
        pool.submit((0, 0), (0,), function)
        (outcome,) = pool.outcomes()
    assert outcome.failure is not None and outcome.failure.line == "it failed"
    assert len(tries) == (TRIES if crashed else 1)


def test_withdrawn_calls_have_no_outcome() -> None:
    begun = threading.Event()
    with WorkerPool([Here()]) as pool:
        pool.submit((0, 0), (0,), lambda _: begun.wait(10))
        pool.submit((1, 0), (1,), fail(False))
        pool.submit((2, 0), (2,), lambda _: None)
        pool.withdraw({(1, 0)})
        begun.set()
        assert [outcome.key for outcome in pool.outcomes()] == [(0, 0), (2, 0)]


def test_a_worker_that_can_take_no_call_ends_the_run() -> None:
    class Unfit(Here):
        def prepare(self, on_note: OnNote) -> None:
            raise VidsrError("a machine has another version")

    with WorkerPool([Unfit()]) as pool, pytest.raises(VidsrError, match="another version"):
        pool.submit((0, 0), (0,), lambda _: None)
        list(pool.outcomes())


def test_what_a_worker_notes_while_it_waits_reaches_the_listener_before_its_first_outcome() -> None:
    class Waiting(Here):
        def prepare(self, on_note: OnNote) -> None:
            on_note(Note("waiting", "no room"))

    notes: list[Note] = []
    with WorkerPool([Waiting()], on_note=notes.append) as pool:
        pool.submit((0, 0), (0,), lambda _: list(notes))
        list(pool.outcomes())
    assert notes[0] == Note("waiting", "no room")
