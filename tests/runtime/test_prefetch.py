"""prefetch: order, bounds, errors, and no leftover thread."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import examples
from vidsr.runtime.concurrency import prefetch


@dataclass
class Item:
    value: int
    nbytes: int = 1


def stream(n: int, nbytes: int = 1) -> Iterator[Item]:
    return (Item(i, nbytes) for i in range(n))


@examples(25)
@given(n=st.integers(0, 50), depth=st.integers(1, 5), chained=st.booleans())
def test_prefetch_keeps_order_and_loses_nothing(n: int, depth: int, chained: bool) -> None:
    with prefetch(stream(n), depth, "a") as first:
        if not chained:
            assert [item.value for item in first] == list(range(n))
        else:
            with prefetch(first, depth, "b") as second:
                assert [item.value for item in second] == list(range(n))


@pytest.mark.parametrize(("depth", "max_bytes", "ahead"), [(3, 1 << 20, 3), (100, 40, 4), (5, 1, 1)])
def test_prefetch_stays_within_its_bounds(depth: int, max_bytes: int, ahead: int) -> None:
    made = []

    def source() -> Iterator[Item]:
        for i in range(20):
            made.append(i)
            yield Item(i, 10)

    with prefetch(source(), depth, "bounded", max_bytes) as items:
        for taken, _ in enumerate(items):
            time.sleep(0.003)
            # queued items, plus the one that the consumer holds and the one that waits for room
            assert len(made) <= taken + 1 + ahead + 1


def test_an_upstream_error_is_raised_after_the_items_before_it() -> None:
    def source() -> Iterator[Item]:
        yield from stream(3)
        raise ZeroDivisionError("the third frame is bad")

    seen = []
    with prefetch(source(), 8, "failing") as items, pytest.raises(ZeroDivisionError, match="third frame"):
        for item in items:
            seen.append(item.value)
    assert seen == [0, 1, 2]


def test_a_consumer_that_stops_early_closes_the_producer_on_its_thread() -> None:
    closed_on = []

    def source() -> Iterator[Item]:
        try:
            while True:
                yield Item(0)
        finally:
            closed_on.append(threading.current_thread().name)

    with prefetch(source(), 2, "endless") as items:
        next(items)
    assert closed_on == ["vidsr-endless"]
    assert not [t for t in threading.enumerate() if t.name == "vidsr-endless"]


def test_a_consumer_that_raises_leaves_no_thread() -> None:
    with pytest.raises(KeyboardInterrupt), prefetch(stream(1000), 2, "a") as a, prefetch(a, 2, "b") as b:
        next(b)
        raise KeyboardInterrupt
    assert not [t for t in threading.enumerate() if t.name in ("vidsr-a", "vidsr-b")]


def test_ctrl_c_while_the_thread_starts_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def interrupted(self: threading.Thread) -> None:
        start(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), prefetch(stream(1000), 2, "a"):
        pass
    assert not [t for t in threading.enumerate() if t.name == "vidsr-a"]
