"""Threads of PyTorch's operations, by the thread that calls them.

Where several threads run a network at the same time, an operation that each splits among all processors costs more than
it gains: its threads wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from vidsr.runtime.concurrency import completed_behind, process_lock

T = TypeVar("T")
R = TypeVar("R")


def with_torch_threads(threads: int, work: Callable[[T], R]) -> Callable[[T], R]:
    """Return ``work`` for threads of its own, where PyTorch then uses at most ``threads`` threads for each operation.

    Other threads keep their number.
    """

    def limited(item: T) -> R:
        if torch.get_num_threads() > threads:
            _limit(threads)
        return work(item)

    return limited


def _limit(threads: int) -> None:
    """Let PyTorch use ``threads`` threads for operations that the calling thread starts."""
    with process_lock:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)  # of this thread, and of those that begin to use PyTorch later
        list(completed_behind([lambda: torch.set_num_threads(before)]))  # on another thread: for those that begin later
