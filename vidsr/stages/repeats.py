"""Repeated frames: found once, after decoding, so that every stage computes each distinct frame once.

A frame is repeated when all its planes equal those of the frame before it: slides, animation on twos, film in video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vidsr.frames import FrameBatch, concat

Distinct = tuple[FrameBatch, FrameBatch | None]  # a batch and its distinct frames; None if it has none


def mark_repeats(batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
    """The same batches with `FrameBatch.repeats` set."""
    last: FrameBatch | None = None
    for batch in batches:
        frames = [batch[i : i + 1] for i in range(len(batch))]
        before = [last, *frames[:-1]]
        pairs = zip(before, frames, strict=True)
        yield replace(batch, repeats=tuple(was is not None and same_planes(was, now) for was, now in pairs))
        last = frames[-1]


def same_planes(a: FrameBatch, b: FrameBatch) -> bool:
    """Whether every sample of ``a`` equals that of ``b``."""
    return torch.equal(a.y, b.y) and (a.uv is None or b.uv is None or torch.equal(a.uv, b.uv))


def with_distinct(batches: Iterator[FrameBatch]) -> Iterator[Distinct]:
    """Each batch with its distinct frames; None where it has none.

    The first frame of a stream is distinct whatever its mark says: a range of a clip may begin with a repeat.
    """
    first = True
    for batch in batches:
        if first and batch.repeats[0]:
            batch = replace(batch, repeats=(False, *batch.repeats[1:]))
        first = False
        if not any(batch.repeats):
            yield batch, batch
            continue
        kept = [batch[i : i + 1] for i, repeated in enumerate(batch.repeats) if not repeated]
        yield batch, concat(kept) if kept else None


def with_following(
    items: Iterator[Distinct], count: int
) -> Iterator[tuple[FrameBatch, FrameBatch | None, Sequence[Tensor]]]:
    """Each item of `with_distinct` with the luma of the next ``count`` distinct frames; fewer where the stream ends."""
    held: list[Distinct] = []
    for item in items:
        held.append(item)
        while held and len(following := _luma(held[1:], count)) == count:
            yield *held.pop(0), following
    while held:
        yield *held.pop(0), _luma(held, count)


def _luma(items: Sequence[Distinct], count: int) -> Sequence[Tensor]:
    """Return the luma of the first ``count`` distinct frames, 1 x 1 x H x W each."""
    batches = [distinct.y for _, distinct in items if distinct is not None]
    return [y[i : i + 1] for y in batches for i in range(len(y))][:count]


def spread(batch: FrameBatch, made: FrameBatch | None, last: FrameBatch | None) -> FrameBatch:
    """``batch`` with the planes of ``made``, its distinct frames processed; the last frame made before is ``last``.

    A repeated frame has the planes of the frame before it.
    """
    if made is not None and not any(batch.repeats):
        return made
    known = [] if made is None else [made]
    if last is not None:
        known.insert(0, last if made is None else last.planes(last.y.to(made.y.device), last.uv))
    planes = concat(known)
    which = (~torch.tensor(batch.repeats)).cumsum(0) - int(last is None)
    return batch.planes(planes.y[which], None if planes.uv is None else planes.uv[which])


def each_once(
    batches: Iterator[FrameBatch], process: Callable[[FrameBatch], FrameBatch]
) -> Iterator[tuple[FrameBatch, FrameBatch]]:
    """Each batch and its processed frames; ``process`` gets every distinct frame once, in batches."""
    last: FrameBatch | None = None
    for batch, distinct in with_distinct(batches):
        done = spread(batch, None if distinct is None else process(distinct), last)
        last = done[-1:]
        yield batch, done
