"""Streams of single frames, and back into batches bounded in frames and bytes."""

from __future__ import annotations

from collections.abc import Iterator

from vidsr.frames import FrameBatch, concat

BATCH_FRAMES = 16
BATCH_BYTES = 32 << 20


def singly(batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
    """The frames one by one."""
    for batch in batches:
        for n in range(len(batch)):
            yield batch[n : n + 1]


def gathered(frames: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
    """The same frames in batches of at most `BATCH_FRAMES` and, unless one frame is larger, `BATCH_BYTES`."""
    held: list[FrameBatch] = []
    for frame in frames:
        if held and sum(map(len, held)) + len(frame) > fitting(frame):
            yield concat(held)
            held = []
        held.append(frame)
    if held:
        yield concat(held)


def fitting(frame: FrameBatch) -> int:
    """How many frames like the first of ``frame`` fit a batch, all as float32, which computed ones are."""
    first = frame[:1]
    floats = first.y.numel() + (0 if first.uv is None else first.uv.numel())
    return max(1, min(BATCH_FRAMES, BATCH_BYTES // (4 * floats)))
