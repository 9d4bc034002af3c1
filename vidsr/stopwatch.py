"""Where the time of a run goes: seconds per step, measured where streams are pulled."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Seconds spent in each named step of one thread. A step's time excludes the timed steps it pulls from."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = [0.0]  # for each step under way, the seconds that went to steps inside it

    def timed(self, name: str, stream: Iterator[T]) -> Iterator[T]:
        """The items of ``stream``, the making of each charged to ``name``."""
        self.seconds.setdefault(name, 0.0)
        try:
            while True:
                self._inner.append(0.0)
                start = perf_counter()
                try:
                    item = next(stream)
                except StopIteration:
                    return
                finally:
                    elapsed = perf_counter() - start
                    self.seconds[name] += elapsed - self._inner.pop()
                    self._inner[-1] += elapsed
                yield item
                del item
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()
