"""Seconds per step of a run, measured where streams are pulled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Seconds of each named step of one thread, by ``clock``.

    A step excludes the timed steps inside it.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._inner = [0.0]  # for each open step, the seconds of the steps inside it

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Charge the time of the block to ``name``."""
        self._inner.append(0.0)
        start = self._clock()
        try:
            yield
        finally:
            elapsed = self._clock() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + elapsed - self._inner.pop()
            self._inner[-1] += elapsed

    def timed(self, name: str, stream: Iterator[T]) -> Iterator[T]:
        """Yield the items of ``stream``, and charge the time of making each to ``name``."""
        self.seconds.setdefault(name, 0.0)
        try:
            while True:
                try:
                    with self.step(name):
                        item = next(stream)
                except StopIteration:
                    return
                yield item
                del item
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()
