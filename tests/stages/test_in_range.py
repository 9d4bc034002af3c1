"""The context of a segment is dropped, also from the frames that the log compares."""

from collections.abc import Iterator
from fractions import Fraction

import torch

from vidsr.frames import FrameBatch, Origin
from vidsr.stages import StreamRange
from vidsr.stages.frame_log import Tap
from vidsr.stages.in_range import InRange


def batches(sizes: tuple[int, ...]) -> Iterator[FrameBatch]:
    first = 0
    for size in sizes:
        numbers = range(first, first + size)
        luma = torch.tensor(list(numbers), dtype=torch.uint8).reshape(-1, 1, 1, 1)
        yield FrameBatch(luma, None, tuple(Fraction(n) for n in numbers), tuple(map(Origin, numbers)))
        first += size


def test_frames_outside_are_dropped_with_what_the_log_holds() -> None:
    tap = Tap()
    stage = InRange(StreamRange(begin=Fraction(2), end=Fraction(7)), tap)
    kept = list(stage(tap(batches((2, 3, 1, 4)))))
    assert [batch.y.flatten().tolist() for batch in kept] == [[2, 3, 4], [5], [6]]
    assert [luma.flatten().tolist() for luma in stage.tap.seen] == [[2, 3, 4], [5], [6]]


def test_a_range_in_slow_motion_is_stretched_from_the_beginning_of_the_run() -> None:
    part = StreamRange(clip_start=Fraction(1), begin=Fraction(3), end=None)
    assert part.slowed(Fraction(4)).begin == 9
    assert part.slowed(Fraction(4)).end is None
