"""Run a stream on its own thread, or spread its items over workers.

The only file that imports threading.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from types import TracebackType
from typing import Generic, Protocol, TypeVar, overload


class Sized(Protocol):
    """An object with a size in bytes."""

    @property
    def nbytes(self) -> int:
        """Return the number of bytes held."""
        ...


T = TypeVar("T", bound=Sized)
Item = TypeVar("Item")
R = TypeVar("R")
Owner = TypeVar("Owner")
process_lock = threading.Lock()  # for operations that only one thread of a process may run at a time


class prefetch(Generic[T]):  # lower case, because it is used as a verb: `with prefetch(...) as items`
    """Iterates ``upstream`` on its own thread, at most ``depth`` items and ``max_bytes`` ahead of the consumer.

    Order is kept. An exception of ``upstream`` is raised in the consumer, with its traceback, after the items before
    it. The end of the block stops the thread, closes ``upstream`` on it, and joins it. One item is always admitted,
    however large, so a small bound slows the stream but never blocks it.
    """

    def __init__(self, upstream: Iterator[T], depth: int, name: str, max_bytes: int = 256 << 20) -> None:
        self._upstream = upstream
        self._depth = depth
        self._max_bytes = max_bytes
        self._items: deque[T] = deque()
        self._bytes = 0
        self._failure: BaseException | None = None
        self._finished = False
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._produce, name=f"vidsr-{name}", daemon=True)

    def __enter__(self) -> Iterator[T]:
        try:
            self._thread.start()
        except BaseException:  # Ctrl-C while the thread starts: the block is never entered or left
            self._stop()
            raise
        return self._consume()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        self._failure = None  # its traceback keeps the producer's stack frames alive, and with them the planes

    def _has_room(self, nbytes: int) -> bool:
        return not self._items or (len(self._items) < self._depth and self._bytes + nbytes <= self._max_bytes)

    def _put(self, item: T) -> bool:
        """Wait for room, then queue ``item``; return False if the consumer has stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(item.nbytes))
            if self._stopped:
                return False
            self._items.append(item)
            self._bytes += item.nbytes
            self._changed.notify_all()
            return True

    def _produce(self) -> None:
        try:
            for item in self._upstream:
                if not self._put(item):
                    break
        except BaseException as failure:  # of any kind: raised in the consumer
            self._failure = failure
        finally:
            close = getattr(self._upstream, "close", None)
            if close is not None:
                close()
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _consume(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._finished or self._stopped)
                if self._stopped:
                    return
                if not self._items:
                    if self._failure is not None:
                        raise self._failure
                    return
                item = self._items.popleft()
                self._bytes -= item.nbytes
                self._changed.notify_all()
            yield item
            del item  # frees the planes while the consumer waits for the next item


class lazy(Generic[Owner, R]):  # lower case, because it is a decorator
    """A property that is computed at its first use, and kept.

    It has no lock: two threads may compute it twice, but none waits for another object's, as they do at
    `functools.cached_property` until Python 3.12.
    """

    def __init__(self, compute: Callable[[Owner], R]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type[Owner], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type[Owner]) -> lazy[Owner, R]: ...
    @overload
    def __get__(self, instance: Owner, owner: type[Owner]) -> R: ...
    def __get__(self, instance: Owner | None, owner: type[Owner]) -> lazy[Owner, R] | R:
        if instance is None:
            return self
        value = self._compute(instance)
        vars(instance)[self._name] = value  # from now on Python finds it there, before it asks this class
        return value


def run_in_background(function: Callable[[], object]) -> None:
    """Call ``function`` on a thread of its own, which does not keep the process alive."""
    threading.Thread(target=function, daemon=True).start()


ITEMS_PER_WORKER = 2  # one in progress, one waiting


def ordered_map(items: Iterator[Item], workers: Sequence[Callable[[Item], R]]) -> Generator[R]:
    """Results of ``items`` in order. Item i goes to worker i modulo the number of ``workers``.

    Each worker has its own thread; a single worker runs on the calling thread. At most two items per worker are in
    flight, which bounds the memory. An exception of a worker is raised in place of its result. Closing the iterator
    ends the threads.
    """
    if len(workers) == 1:
        yield from map(workers[0], items)
        return
    threads = [ThreadPoolExecutor(1, f"vidsr-worker-{number}") for number in range(len(workers))]
    waiting: deque[Future[R]] = deque()
    try:
        for item, worker, thread in zip(items, cycle(workers), cycle(threads), strict=False):
            waiting.append(thread.submit(worker, item))
            if len(waiting) == ITEMS_PER_WORKER * len(workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for thread in threads:
            thread.shutdown(cancel_futures=True)


def completed_behind(calls: Iterable[Callable[[], R]]) -> Generator[R]:
    """Result of each of ``calls`` in order, made on one thread of their own while the next call is prepared.

    At most one is in progress. Closing the iterator waits for it.
    """
    thread = ThreadPoolExecutor(1, "vidsr-behind")
    last: Future[R] | None = None
    try:
        for call in calls:
            if last is not None:
                yield last.result()
            last = thread.submit(call)
        if last is not None:
            yield last.result()
    finally:
        thread.shutdown()


def computed_ahead(items: Iterable[Item], worker: Callable[[Item], R]) -> Generator[R]:
    """Results of ``worker`` in order, computed on one thread of their own, while the caller uses the ones before.

    Results of all ``items`` may wait at a time. Closing the iterator ends the thread.
    """
    thread = ThreadPoolExecutor(1, "vidsr-ahead")
    try:
        for waiting in [thread.submit(worker, item) for item in items]:
            yield waiting.result()
    finally:
        thread.shutdown(cancel_futures=True)


class Behind:
    """Makes calls in order on one thread of their own; at most ``depth`` of them wait.

    An exception of a call is raised by it, by a later one, or by `finish`. Leave the thread by `finish` or `cancel`.
    """

    def __init__(self, name: str, depth: int) -> None:
        self._thread = ThreadPoolExecutor(1, f"vidsr-{name}")
        self._depth = depth
        self._waiting: deque[Future[object]] = deque()

    def call(self, function: Callable[[], object]) -> None:
        """Make a call in the background; wait while too many others do."""
        self._waiting.append(self._thread.submit(function))
        while len(self._waiting) > self._depth or (self._waiting and self._waiting[0].done()):
            self._waiting.popleft().result()

    def finish(self) -> None:
        """Wait for all calls, and end the thread."""
        while self._waiting:
            self._waiting.popleft().result()
        self._thread.shutdown()

    def cancel(self) -> None:
        """Drop the calls that wait, and end the thread."""
        self._thread.shutdown(cancel_futures=True)
