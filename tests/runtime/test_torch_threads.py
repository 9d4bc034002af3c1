"""Threads of PyTorch's operations are limited for one thread alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from vidsr.runtime.torch_threads import with_torch_threads


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def count(_: None = None) -> int:
    return torch.get_num_threads()


@pytest.mark.usefixtures("four_threads")
def test_workers_are_limited_and_threads_that_begin_earlier_or_later_are_not() -> None:
    with ThreadPoolExecutor(1) as earlier, ThreadPoolExecutor(1) as worker, ThreadPoolExecutor(1) as later:
        assert earlier.submit(count).result() == 4
        assert worker.submit(with_torch_threads(2, count), None).result() == 2
        assert worker.submit(count).result() == 2
        assert [thread.submit(count).result() for thread in (earlier, later)] == [4, 4]
        assert count() == 4


@pytest.mark.usefixtures("four_threads")
def test_a_limit_above_the_number_of_threads_changes_nothing() -> None:
    with ThreadPoolExecutor(1) as worker:
        assert worker.submit(with_torch_threads(9, count), None).result() == 4
