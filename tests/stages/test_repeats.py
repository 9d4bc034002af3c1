"""Repeated frames are found once, and every stage computes each distinct frame once."""

import itertools
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import examples
from vidsr.frames import FrameBatch, Origin, concat
from vidsr.stages.repeats import each_once, mark_repeats, with_distinct, with_following


def stream(shown: list[int], cuts: set[int], grey: bool = False) -> list[FrameBatch]:
    """A clip that shows image ``shown[n]`` at frame ``n``, cut into batches at ``cuts``."""
    y = torch.tensor(shown, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 4, 6).contiguous()
    uv = None if grey else y[:, :, ::2, ::2].expand(-1, 2, -1, -1).contiguous()
    numbers = range(len(shown))
    whole = FrameBatch(y, uv, tuple(map(Fraction, numbers)), tuple(map(Origin, numbers)))
    edges = sorted({0, len(shown)} | {cut for cut in cuts if cut < len(shown)})
    return [whole[a:b] for a, b in itertools.pairwise(edges)]


@examples(60)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=14), st.sets(st.integers(1, 13), max_size=6), st.booleans())
def test_a_frame_is_repeated_when_it_equals_the_one_before_wherever_batches_are_cut(
    shown: list[int], cuts: set[int], grey: bool
) -> None:
    marked = concat(list(mark_repeats(iter(stream(shown, cuts, grey)))))
    assert marked.repeats == (False, *(a == b for a, b in itertools.pairwise(shown)))


@examples(60)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=14), st.sets(st.integers(1, 13), max_size=6), st.booleans())
def test_each_distinct_frame_is_processed_once_and_all_frames_get_their_result(
    shown: list[int], cuts: set[int], grey: bool
) -> None:
    processed: list[int] = []

    def doubled(frames: FrameBatch) -> FrameBatch:
        processed.extend(frames.y[:, 0, 0, 0].tolist())
        return frames.planes(frames.y.float() * 2, None if frames.uv is None else frames.uv.float() * 2)

    batches = stream(shown, cuts, grey)
    results = list(each_once(mark_repeats(iter(batches)), doubled))
    assert processed == [image for image, _ in itertools.groupby(shown)]
    for source, (batch, result) in zip(batches, results, strict=True):
        assert result.times == batch.times == source.times and result.repeats == batch.repeats
        assert torch.equal(result.y, source.y.float() * 2)
        assert (result.uv is None) == grey and (source.uv is None or torch.equal(result.uv, source.uv.float() * 2))  # type: ignore[arg-type]


def test_a_frame_whose_chroma_alone_changes_is_not_repeated() -> None:
    (batch,) = stream([1, 1], set())
    assert batch.uv is not None
    batch.uv[1] += 1
    (marked,) = mark_repeats(iter([batch]))
    assert marked.repeats == (False, False)


def test_the_first_frame_of_a_range_is_distinct_even_if_it_repeats_the_frame_before_the_range() -> None:
    (marked,) = mark_repeats(iter(stream([5, 5, 6], set())))
    ((batch, distinct),) = with_distinct(iter([marked[1:]]))
    assert batch.repeats == (False, False) and distinct is batch


def test_a_batch_whose_marks_do_not_fit_its_frames_cannot_be_made() -> None:
    (batch,) = stream([1, 2], set())
    with pytest.raises(ValueError, match="repeats"):
        FrameBatch(batch.y, batch.uv, batch.times, batch.origins, (False,))


@examples(60)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=14), st.sets(st.integers(1, 13), max_size=6), st.integers(0, 5))
def test_a_batch_comes_with_the_distinct_frames_behind_it_wherever_batches_are_cut(
    shown: list[int], cuts: set[int], count: int
) -> None:
    distinct = [image for image, _ in itertools.groupby(shown)]
    begin = 0
    for _, frames, following in with_following(with_distinct(mark_repeats(iter(stream(shown, cuts)))), count):
        begin += 0 if frames is None else len(frames)
        assert [int(frame[0, 0, 0, 0]) for frame in following] == distinct[begin : begin + count]
    assert begin == len(distinct)
