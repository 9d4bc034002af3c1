"""Cuts lie at keyframes and depend on the source and the options only."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clips import make_clip
from tests.segments.runs import source
from tests.tiers import examples
from vidsr.options.source import Reading
from vidsr.segments.cut import CONTEXT_SHARE, cut_clip, joined
from vidsr.video.packet_index import PacketIndex, packet_index

INDEX = PacketIndex(Fraction(1, 25), tuple(range(1000)), tuple(range(0, 1000, 50)))


def starts(index: PacketIndex, **options: int) -> list[int]:
    cut = cut_clip(index, Fraction(10), **options)  # type: ignore[arg-type]
    return [] if cut is None else [segment.first.frame for segment in cut.segments]


def test_segments_are_as_long_as_asked() -> None:
    assert starts(INDEX) == [0, 250, 500, 750]


def test_a_short_rest_belongs_to_the_last_segment() -> None:
    shorter = PacketIndex(INDEX.tick, INDEX.stamps[:850], INDEX.keys[:17])
    assert starts(shorter) == [0, 250, 500]


def test_a_clip_under_two_segments_is_one() -> None:
    assert starts(PacketIndex(INDEX.tick, INDEX.stamps[:499], INDEX.keys[:10])) == []
    assert cut_clip(INDEX, Fraction(0)) is None


def test_a_clip_without_keyframes_is_one_segment() -> None:
    assert starts(replace(INDEX, keys=(0,))) == []


def test_a_part_of_a_clip_counts_its_own_frames() -> None:
    assert starts(INDEX, start=2, frames=800) == [0, 250, 500]
    cut = cut_clip(INDEX, Fraction(10), Fraction(2), frames=800)
    assert cut is not None
    assert [segment.first.time for segment in cut.segments] == [2, 12, 22]
    assert (cut.segments[-1].stop, cut.end) == (800, 34)


@pytest.mark.parametrize(
    ("context", "first"),
    [
        (0, [0, 250, 500, 750]),
        (8, [0, 250, 500, 750]),  # 3 x 8 of 1000 frames
        (9, [0, 500]),
        (25, [0, 500]),
        (900, [0, 500]),  # however much it is: the clip stays resumable
    ],
)
def test_segments_are_joined_where_the_context_of_all_is_much_of_the_clip(context: int, first: list[int]) -> None:
    cut = cut_clip(INDEX, Fraction(10))
    assert cut is not None
    segments = joined(cut, context).segments
    assert [segment.first.frame for segment in segments] == first
    assert [segment.stop for segment in segments] == [*first[1:], 1000]
    assert [segment.end for segment in segments[:-1]] == [segment.first.time for segment in segments[1:]]
    assert segments[-1].end is None


@examples(40)
@given(st.integers(3, 400), st.integers(1, 80))
def test_the_context_of_joined_segments_is_a_small_share_of_the_clip(count: int, context: int) -> None:
    frames = 250 * count
    index = PacketIndex(INDEX.tick, tuple(range(frames)), tuple(range(0, frames, 50)))
    cut = cut_clip(index, Fraction(10))
    assert cut is not None
    segments = joined(cut, context).segments
    assert len(segments) == 2 or (len(segments) - 1) * context <= CONTEXT_SHARE * frames
    assert {segment.first for segment in segments} <= {segment.first for segment in cut.segments}


@examples(40)
@given(
    st.lists(st.integers(1, 90), min_size=2, max_size=300),
    st.sets(st.integers(1, 299)),
    st.fractions(min_value=1, max_value=20, max_denominator=7),
)
def test_every_frame_is_in_one_segment(steps: list[int], keys: set[int], length: Fraction) -> None:
    stamps = tuple(sum(steps[:number]) for number in range(len(steps)))
    index = PacketIndex(Fraction(1, 30), stamps, (0, *sorted(key for key in keys if key < len(steps))))
    cut = cut_clip(index, length)
    if cut is None:
        return
    borders = [segment.first.frame for segment in cut.segments] + [len(steps)]
    assert borders[0] == 0 and borders == sorted(set(borders))
    assert [segment.stop for segment in cut.segments] == borders[1:]
    assert set(borders[:-1]) <= set(index.keys) and set(borders[:-1]) <= {entry.frame for entry in cut.entries}
    assert [segment.end for segment in cut.segments] == [*(index.time(one) for one in borders[1:-1]), None]


def test_the_index_has_every_frame_and_keyframe(tmp_path: Path) -> None:
    index = packet_index(source(tmp_path, "clip.mp4"), Reading())
    assert index is not None
    assert [index.time(number) for number in range(len(index.stamps))] == [Fraction(n, 25) for n in range(100)]
    assert index.keys == tuple(range(0, 100, 12))


@pytest.mark.parametrize("name", ["clip.avi", "clip.ts"])
def test_containers_without_an_index_are_one_segment(tmp_path: Path, name: str) -> None:
    assert packet_index(make_clip(tmp_path / name, 30, gop=10), Reading()) is None
