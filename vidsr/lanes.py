"""The same work on several devices at once, its results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 2  # items with each lane: one that it works on, one that waits


def in_order(items: Iterator[T], lanes: Sequence[Callable[[T], R]]) -> Generator[R]:
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
