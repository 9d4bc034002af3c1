"""Run a stream on its own thread, a bounded number of items ahead. The only file that imports threading."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from types import TracebackType
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """Anything that knows how many bytes it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        ...


T = TypeVar("T", bound=Sized)
Item = TypeVar("Item")
R = TypeVar("R")
process_lock = threading.Lock()  # for what a process may do on one thread only


class prefetch(Generic[T]):  # lower case: it reads as the verb it is, `with prefetch(...) as items`
    """Iterates ``upstream`` on a thread of its own, at most ``depth`` items and ``max_bytes`` ahead of the reader.

    Order is kept. An exception of ``upstream`` is raised in the reader, with its traceback, after the items before it.
    Leaving the block for any reason stops the thread, closes ``upstream`` on it, and joins it. One item is always
    admitted, however large, so that a bound too small slows the stream and never blocks it.
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
        except BaseException:  # Ctrl-C while it waits for the thread to come up: the block is never entered, nor left
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
        self._failure = None  # its traceback holds the producer's frames, and through them the planes

    def _has_room(self, nbytes: int) -> bool:
        return not self._items or (len(self._items) < self._depth and self._bytes + nbytes <= self._max_bytes)

    def _put(self, item: T) -> bool:
        """Wait for room, then queue ``item``; False when the reader has left."""
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
        except BaseException as failure:  # handed to the reader, whatever it is
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
            del item  # so that the planes are freed while the reader waits for the next


AHEAD = 2  # items with each lane: one that it works on, one that waits


def ordered_map(items: Iterator[Item], lanes: Sequence[Callable[[Item], R]]) -> Generator[R]:
    """What ``lanes`` make of ``items``: the first lane of the first, the second of the second, and so on around.

    Each lane works on a thread of its own, in the order of its items; one lane alone works on the caller's. At most
    two items are with each, so that memory stays bounded. An exception of a lane is raised where its result would
    have come. Closing the iterator ends the threads.
    """
    if len(lanes) == 1:
        yield from map(lanes[0], items)
        return
    threads = [ThreadPoolExecutor(1, f"vidsr-lane-{number}") for number in range(len(lanes))]
    waiting: deque[Future[R]] = deque()
    try:
        for item, lane, thread in zip(items, cycle(lanes), cycle(threads), strict=False):
            waiting.append(thread.submit(lane, item))
            if len(waiting) == AHEAD * len(lanes):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for thread in threads:
            thread.shutdown(cancel_futures=True)
