"""Stopwatch: a step excludes the time of the steps that it pulls from."""

import time
from collections.abc import Iterator

from vidsr.stages.stopwatch import Stopwatch


def test_a_step_excludes_the_time_of_steps_inside_it() -> None:
    watch = Stopwatch()

    def source() -> Iterator[int]:
        for i in range(5):
            time.sleep(0.02)
            yield i

    def passing(items: Iterator[int]) -> Iterator[int]:
        yield from items

    started = time.perf_counter()
    assert list(watch.timed("outer", passing(watch.timed("inner", source())))) == list(range(5))
    elapsed = time.perf_counter() - started
    assert watch.seconds["inner"] >= 0.1
    assert watch.seconds["outer"] < 0.05
    assert sum(watch.seconds.values()) <= elapsed


def test_a_stream_that_is_left_early_is_closed() -> None:
    closed = []

    def source() -> Iterator[int]:
        try:
            yield 1
        finally:
            closed.append(True)

    stream = Stopwatch().timed("source", source())
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert closed == [True]
