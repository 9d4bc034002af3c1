"""Streams of single frames, and batches bounded in frames and bytes."""

from __future__ import annotations

from collections.abc import Iterator

from vidsr.frames import FrameBatch, concat

BATCH_FRAMES = 16
BATCH_BYTES = 32 << 20


def single_frames(batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
    """Yield the frames of ``batches`` one by one."""
    for batch in batches:
        for n in range(len(batch)):
            yield batch[n : n + 1]


def rebatched(frames: Iterator[FrameBatch], size: int | None = None) -> Iterator[FrameBatch]:
    """Yield the frames in batches of at most ``size`` frames.

    Without one the bounds are `BATCH_FRAMES` and, unless one frame is larger, `BATCH_BYTES`.
    """
    held: list[FrameBatch] = []
    for frame in frames:
        if held and sum(map(len, held)) + len(frame) > (size or frames_per_batch(frame)):
            yield concat(held)
            held = []
        held.append(frame)
    if held:
        yield concat(held)


def frames_per_batch(frame: FrameBatch) -> int:
    """Return how many frames like ``frame`` fit a batch, counted as float32."""
    first = frame[:1]
    floats = first.y.numel() + (0 if first.uv is None else first.uv.numel())
    return max(1, min(BATCH_FRAMES, BATCH_BYTES // (4 * floats)))
