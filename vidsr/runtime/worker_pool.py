"""Workers that share one queue: the first call in the order goes to whichever worker is free.

A worker is a process of this machine (`vidsr.runtime.worker.Worker`) or an actor of a cluster. Each has a thread here,
which takes a call only when its worker is ready. So no call ever waits for one particular worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from queue import PriorityQueue, SimpleQueue
from types import TracebackType
from typing import Any, Protocol, Self

from vidsr.errors import Note, OnNote, ignore
from vidsr.runtime import interrupt
from vidsr.runtime.concurrency import run_in_background
from vidsr.runtime.error_boundary import Failure, WorkerFailed

TRIES = 3  # of a call whose worker ends

Key = tuple[int, int]  # what a call belongs to, and its part of it


class PoolWorker(Protocol):
    """Makes one call at a time, in another process."""

    def prepare(self, on_note: OnNote) -> None:
        """Wait until the worker can take a call; ``on_note`` receives what the user should know meanwhile.

        Raises:
            VidsrError: no worker of this kind ever can.
        """

    def call(self, *arguments: Any, on_event: Callable[[Any], object]) -> Any:
        """Return the result of a call; ``on_event`` receives its events in order.

        Raises:
            WorkerFailed: the call failed, or the worker ended.
        """

    def close(self) -> None:
        """End the worker; a call that is still running fails."""


@dataclass(frozen=True)
class Begins:
    """The event that a worker begins a call."""


@dataclass(frozen=True)
class Outcome:
    """The result of a call, or why there is none."""

    key: Key
    value: Any = None
    failure: Failure | None = None


@dataclass(frozen=True, order=True)
class _Call:
    order: tuple[int, ...]
    key: Key
    arguments: tuple[Any, ...] = field(default=(), compare=False)
    tries: int = field(default=1, compare=False)


OnEvent = Callable[[Key, int, Any], object]  # (key of the call, number of the worker, event)
_LAST = _Call((), (0, 0))  # before all others: ends a thread


class WorkerPool:
    """Spreads calls over ``workers``, which end with the block. All listeners run on the thread of `outcomes`."""

    def __init__(self, workers: Sequence[PoolWorker], on_event: OnEvent = ignore, on_note: OnNote = ignore) -> None:
        self._workers = workers
        self._on_event, self._on_note = on_event, on_note
        self._waiting: PriorityQueue[_Call] = PriorityQueue()
        self._messages: SimpleQueue[tuple[Key, int, Any] | Outcome | Note | Exception] = SimpleQueue()
        self._withdrawn: set[Key] = set()
        self._expected = 0  # outcomes
        self._closed = False

    def __enter__(self) -> Self:
        for number, worker in enumerate(self._workers):
            run_in_background(partial(self._serve, number, worker))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for worker in self._workers:
            self._waiting.put(_LAST)
            worker.close()

    def submit(self, key: Key, order: tuple[int, ...], *arguments: Any) -> None:
        """Queue a call; of those that wait, the one with the smallest ``order`` comes first."""
        self._expected += 1
        self._waiting.put(_Call(order, key, arguments))

    def withdraw(self, keys: set[Key]) -> None:
        """Leave out those of the calls ``keys`` that no worker has begun; they have no outcome."""
        self._withdrawn |= keys

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of every call as it becomes known. More calls may be submitted on the way.

        Raises:
            VidsrError: no worker can take calls.
        """
        while self._expected:
            message = self._messages.get()
            if isinstance(message, Exception):
                raise message
            if isinstance(message, Outcome):
                self._expected -= 1
                if message.key not in self._withdrawn:
                    yield message
            elif isinstance(message, Note):
                self._on_note(message)
            else:
                self._on_event(*message)

    def _serve(self, number: int, worker: PoolWorker) -> None:
        """Send calls to one worker, until the pool is closed."""
        try:
            while not self._closed:
                worker.prepare(self._messages.put)
                call = self._waiting.get()
                if call is _LAST:
                    return
                self._make(call, number, worker)
        except interrupt.Interrupted:
            return  # the main thread is interrupted too, and ends the pool
        except Exception as error:
            if not self._closed:
                self._messages.put(error)

    def _make(self, call: _Call, number: int, worker: PoolWorker) -> None:
        if call.key in self._withdrawn:
            self._messages.put(Outcome(call.key))
            return
        self._messages.put((call.key, number, Begins()))
        try:
            value = worker.call(*call.arguments, on_event=lambda event: self._messages.put((call.key, number, event)))
        except WorkerFailed as error:
            if error.failure.crashed and call.tries < TRIES and not self._closed:
                self._waiting.put(replace(call, tries=call.tries + 1))
            else:
                self._messages.put(Outcome(call.key, failure=error.failure))
        else:
            self._messages.put(Outcome(call.key, value))
