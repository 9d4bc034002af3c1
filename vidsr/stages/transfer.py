"""Planes to a GPU and back, beside its computing: page-locked memory, and a stream of its own for the way back.

PyTorch keeps page-locked blocks and hands them out again once the copies that used them are done, so a run settles on
a few. On a CPU nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor


def to_device(planes: Tensor, device: torch.device) -> Tensor:
    """``planes`` on ``device``, the copy under way while the caller goes on."""
    if device.type != "cuda" or planes.device.type == "cuda":
        return planes.to(device)
    return planes.pin_memory().to(device, non_blocking=True)


def to_cpu(plane: Tensor) -> Callable[[], Tensor]:
    """Begins to copy ``plane`` to the CPU; the result waits for it and gives the copy."""
    if plane.device.type != "cuda":
        return lambda: plane
    made, stream = torch.cuda.Event(), _stream_of(plane.device)  # type: ignore[no-untyped-call]
    made.record(torch.cuda.current_stream(plane.device))
    with torch.cuda.stream(stream):
        stream.wait_event(made)
        copy = torch.empty(plane.shape, dtype=plane.dtype, pin_memory=True).copy_(plane, non_blocking=True)
        plane.record_stream(stream)  # so that its memory is not given away before
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record(stream)

    def wait() -> Tensor:
        copied.synchronize()
        return copy

    return wait


@cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
