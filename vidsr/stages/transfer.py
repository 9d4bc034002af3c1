"""Planes to a GPU and back, beside its computing: page-locked memory, and a stream of its own for either way.

On a CPU nothing is copied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

BUFFERS = 3  # of uploads: one that the GPU reads, one that waits, one that is filled


@dataclass
class Buffer:
    """Page-locked memory, and the moment at which the GPU has read it."""

    memory: Tensor  # bytes
    read: Any  # torch.cuda.Event

    def filled(self, planes: Tensor) -> Tensor:
        """``planes`` in this memory, which grows where it must."""
        self.read.synchronize()
        if self.memory.numel() < planes.nbytes:
            self.memory = page_locked(planes.nbytes)
        return self.memory[: planes.nbytes].view(planes.dtype).view(planes.shape).copy_(planes)


class Uploads:
    """Copies planes to ``device`` while it computes what was copied before.

    The host fills one page-locked buffer of a ring while the GPU still reads another; the computing waits for the
    copy on the GPU, not here. For one thread at a time.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._ring = deque(Buffer(torch.empty(0, dtype=torch.uint8), new_event()) for _ in range(BUFFERS))

    def __call__(self, planes: Tensor) -> Tensor:
        """``planes``, of any dtype, on the device."""
        self._ring.rotate()
        buffer = self._ring[0]
        filled = buffer.filled(planes)
        with torch.cuda.stream(self._stream):
            there = torch.empty(planes.shape, dtype=planes.dtype, device=self._device)
            there.copy_(filled, non_blocking=True)
            buffer.read.record(self._stream)
        computing = torch.cuda.current_stream(self._device)
        computing.wait_event(buffer.read)
        there.record_stream(computing)  # its memory belongs to the stream of the copy, and is read in the other
        return there


def new_event() -> Any:
    """An event that has happened until it is recorded."""
    return torch.cuda.Event()  # type: ignore[no-untyped-call]


def page_locked(nbytes: int) -> Tensor:
    """Memory that a GPU copies by itself."""
    return torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)


def to_cpu(plane: Tensor) -> Callable[[], Tensor]:
    """Begins to copy ``plane`` to the CPU; the result waits for it and gives the copy.

    The copy goes on to other threads, for as long as they need it, so its memory is no ring of ours: PyTorch keeps
    page-locked blocks that are free again, and a run settles on a few.
    """
    if plane.device.type != "cuda":
        return lambda: plane
    made, stream = new_event(), _stream_of(plane.device)
    made.record(torch.cuda.current_stream(plane.device))
    with torch.cuda.stream(stream):
        stream.wait_event(made)
        copy = torch.empty(plane.shape, dtype=plane.dtype, pin_memory=True).copy_(plane, non_blocking=True)
        plane.record_stream(stream)  # so that its memory is not given away before
        copied = new_event()
        copied.record(stream)

    def wait() -> Tensor:
        copied.synchronize()
        return copy

    return wait


@cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
