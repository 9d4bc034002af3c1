"""Interpolate: exact times, untouched real frames, nothing across a cut, the same however the stream is cut."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import examples
from vidsr.frames import Chroma, FrameBatch, Origin, VideoInfo, concat
from vidsr.options.choices import Interpolation, Repeats
from vidsr.options.frame_rate import Clock, Rate, Times, parse_fps
from vidsr.stages import batching as batches
from vidsr.stages.interpolate import Interpolate
from vidsr.stages.interpolation_engines import BlendEngine, Planes, PreparedPair, make_engine
from vidsr.stages.repeats import mark_repeats

HALF = Fraction(1, 2)


def picture(seed: int, height: int = 48, width: int = 64, cell: int = 8) -> torch.Tensor:
    cells = np.random.default_rng(seed).random((height // cell, width // cell), np.float32)
    values = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    return torch.from_numpy(np.clip(16 + 219 * values, 0, 255)).round().to(torch.uint8)


def clip(
    lumas: Sequence[torch.Tensor], times: Sequence[Fraction] | None = None, fps: Fraction = Fraction(24)
) -> tuple[FrameBatch, VideoInfo]:
    n, (height, width) = len(lumas), lumas[0].shape
    shown = tuple(times) if times is not None else tuple(i / fps for i in range(n))
    info = VideoInfo(width, height, fps, "gray", frames=n, duration=n / fps, time_base=Fraction(1, 24000))
    return FrameBatch(torch.stack(list(lumas))[:, None], None, shown, tuple(Origin(i) for i in range(n))), info


def drifting(n: int, step: int = 2) -> list[torch.Tensor]:
    wide = picture(0, 48, 64 + step * n)
    return [wide[:, step * i : step * i + 64] for i in range(n)]


def singles(batch: FrameBatch, cuts: Sequence[int] = ()) -> Iterator[FrameBatch]:
    edges = sorted({0, len(batch), *cuts})
    return (batch[a:b] for a, b in pairwise(edges))


def run(stage: Interpolate, batch: FrameBatch, cuts: Sequence[int] = ()) -> FrameBatch:
    return concat(list(stage(mark_repeats(singles(batch, cuts)))))


@dataclass
class CountingEngine:
    """Blends, and remembers which pairs and phases it was asked for."""

    asked: list[tuple[int, tuple[Fraction, ...]]] = field(default_factory=list)
    neighbours: list[tuple[int | None, int, int | None]] = field(default_factory=list)
    name: str = "counting"
    weights: dict[str, str] = field(default_factory=dict)

    def prepare(self, a: FrameBatch, b: FrameBatch) -> PreparedPair[int]:
        return _CountingPair(self, a, b)


@dataclass
class _CountingPair:
    engine: CountingEngine
    a: FrameBatch
    b: FrameBatch
    flow_confidence: None = None

    @property
    def index(self) -> int:
        return self.a.origins[0].index

    @property
    def motion(self) -> int:
        return self.index

    def interpolate(self, phases: Sequence[Fraction], before: int | None = None, after: int | None = None) -> Planes:
        self.engine.asked.append((self.index, tuple(phases)))
        self.engine.neighbours.append((before, self.index, after))
        return BlendEngine().prepare(self.a, self.b).interpolate(phases)


@pytest.mark.parametrize("engine", ["flow", "net", "blend", "none"])
@pytest.mark.parametrize("rate", ["2x", "2.5x", "60", "23.976"])
def test_real_frames_at_output_times_pass_untouched(engine: Interpolation, rate: str) -> None:
    batch, info = clip(drifting(6))
    result = run(Interpolate(parse_fps(rate), make_engine(engine, 8), info), batch)
    real = [n for n, (time, origin) in enumerate(zip(result.times, result.origins, strict=True)) if time in batch.times]
    assert 0 in real
    for n in real:
        index = batch.times.index(result.times[n])
        assert result.origins[n] == Origin(index)
        assert torch.equal(result.y[n], batch.y[index].to(result.y.dtype))


def test_film_to_60_makes_only_the_phases_that_are_shown() -> None:
    batch, info = clip(drifting(5))
    engine = CountingEngine()
    run(Interpolate(Rate(Fraction(60)), engine, info), batch)
    fifth = Fraction(1, 5)
    assert engine.asked == [
        (0, (2 * fifth, 4 * fifth)),
        (1, (fifth, 3 * fifth)),
        (2, (2 * fifth, 4 * fifth)),
        (3, (fifth, 3 * fifth)),
    ]


@examples(25)
@given(
    st.sampled_from([Times(Fraction(2)), Times(Fraction(5, 2)), Rate(Fraction(60)), Rate(Fraction(24000, 1001))]),
    st.lists(st.integers(1, 8), max_size=4),
)
def test_the_result_does_not_depend_on_how_the_stream_is_cut(clock: Clock, cuts: list[int]) -> None:
    batch, info = clip(drifting(9))
    whole, cut = (run(Interpolate(clock, BlendEngine(), info), batch, at) for at in ((), cuts))
    assert whole.times == cut.times
    assert whole.origins == cut.origins
    assert torch.equal(whole.y, cut.y)


@pytest.mark.parametrize(
    ("clock", "count"), [(Times(Fraction(2)), 16), (Times(Fraction(5, 2)), 20), (Rate(Fraction(60)), 20)]
)
def test_the_clip_keeps_its_length_and_its_last_frame(clock: Clock, count: int) -> None:
    batch, info = clip(drifting(8))
    stage = Interpolate(clock, BlendEngine(), info)
    result = run(stage, batch)
    expected = stage.output(info)
    assert len(result) == count == expected.frames
    assert expected.fps is not None
    assert result.times[-1] + 1 / expected.fps == 8 / info.fps  # type: ignore[operator]
    assert torch.equal(result.y[-1], batch.y[-1].float())
    assert result.times[0] == batch.times[0]


def test_variable_frame_rate_is_cut_in_the_middle_of_each_interval() -> None:
    times = [Fraction(3, 2) + t for t in (Fraction(0), Fraction(1, 30), Fraction(1, 10), Fraction(7, 20))]
    batch, info = clip(drifting(4), times, fps=Fraction(12))
    result = run(Interpolate(Times(Fraction(2)), BlendEngine(), info), batch)
    middles = [(a + b) / 2 for a, b in pairwise(times)]
    assert list(result.times[:7]) == sorted(times + middles)
    assert result.times[7] == times[3] + Fraction(1, 24)  # the last is shown for an average interval, not the long one
    assert all(a < b for a, b in pairwise(result.times))


@pytest.mark.parametrize(
    ("source", "target", "real"), [(24, 48, 12), (Fraction(24000, 1001), Fraction(48000, 1001), 12), (25, 50, 12)]
)
def test_real_frames_pass_though_matroska_rounds_their_times(source: Fraction, target: Fraction, real: int) -> None:
    times = [Fraction(round(1000 * n / Fraction(source)), 1000) for n in range(12)]
    batch, info = clip(drifting(12), times, fps=Fraction(source))
    engine = CountingEngine()
    result = run(Interpolate(Rate(Fraction(target)), engine, replace(info, time_base=Fraction(1, 1000))), batch)
    assert result.times == tuple(n / Fraction(target) for n in range(len(result)))
    assert [origin.index for origin in result.origins[:24:2]] == list(range(real))
    assert all(origin.phase == 0 for origin in result.origins[:24:2])
    assert torch.equal(result.y[:24:2], batch.y.float())
    assert len(engine.asked) == 11


def test_times_counted_in_long_ticks_are_not_taken_to_be_rounded() -> None:
    batch, info = clip(drifting(6), fps=Fraction(25))
    engine = CountingEngine()
    run(Interpolate(Rate(Fraction(60)), engine, replace(info, time_base=Fraction(1, 50))), batch)
    assert [len(phases) for _, phases in engine.asked] == [2, 2, 3, 2, 2]


@pytest.mark.parametrize("repeats", ["keep", "interpolate"])
def test_a_picture_before_a_long_gap_of_variable_rate_stands_and_then_moves_as_fast_as_usual(
    repeats: Repeats,
) -> None:
    shown = [
        0,
        1,
        2,
        3,
        62,
        63,
    ]  # of thirtieths of a second: two seconds without a frame, as screen recorders leave them
    batch, info = clip(drifting(6, 4), [Fraction(n, 30) for n in shown], fps=Fraction(30))
    engine = CountingEngine()
    stage = Interpolate(Rate(Fraction(60)), engine, info, repeats=repeats)
    result = run(stage, batch)
    assert result.times == tuple(Fraction(n, 60) for n in range(128))
    assert torch.equal(result.y[6:123], batch.y[[3] * 117].float())
    assert torch.equal(result.y[124:125], batch.y[4:5].float())
    assert engine.asked[2:4] == [(2, (HALF,)), (3, (HALF,))]
    assert not any(origin.scene_cut for origin in result.origins)
    assert stage.counts == {"interpolated": 5, "held_at_cuts": 0, "repeats": 0}


def test_a_cut_behind_a_long_gap_is_shown_when_it_comes() -> None:
    lumas = [*drifting(3), picture(1, cell=3), picture(2, cell=3)]
    batch, info = clip(lumas, [Fraction(n, 30) for n in (0, 1, 2, 3, 33)], fps=Fraction(30))
    result = run(Interpolate(Rate(Fraction(120)), make_engine("flow", 8), info), batch)
    late = [time for time, y in zip(result.times, result.y, strict=True) if torch.equal(y, batch.y[4].float())]
    assert late[0] == Fraction(131, 120)  # the nearer frame, at most half an interval early


def test_a_rate_slower_than_the_header_says_is_no_row_of_gaps() -> None:
    batch, info = clip(drifting(6), [Fraction(n, 5) for n in range(6)], fps=Fraction(30))
    engine = CountingEngine()
    run(Interpolate(Times(Fraction(2)), engine, info), batch)
    assert [index for index, _ in engine.asked] == [1, 2, 3, 4]


@pytest.mark.parametrize("rate", ["2x", "60"])
def test_motion_found_ahead_on_several_threads_is_the_same(rate: str) -> None:
    cut = [picture(seed, cell=4) for seed in (7, 8)]
    batch, info = clip([*drifting(6), *cut, *drifting(5, 3)])
    stages = [Interpolate(parse_fps(rate), make_engine("flow", 8), info, threads=threads) for threads in (1, 2, 3)]
    alone, *together = [run(stage, batch, (3, 4)) for stage in stages]
    for result, stage in zip(together, stages[1:], strict=True):
        assert torch.equal(result.y, alone.y)
        assert result.times == alone.times and result.origins == alone.origins
        assert stage.counts == stages[0].counts


def test_leaving_the_stream_or_failing_in_it_leaves_no_thread() -> None:
    batch, info = clip(drifting(12))
    left = Interpolate(Times(Fraction(2)), make_engine("flow", 8), info, threads=2)(singles(batch, range(12)))
    assert isinstance(left, Generator)
    next(left)
    left.close()

    class Failing(BlendEngine):
        def prepare(self, a: FrameBatch, b: FrameBatch) -> PreparedPair[None]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(Interpolate(Times(Fraction(2)), Failing(), info, threads=2), batch)


def test_one_frame_is_shown_for_its_own_time() -> None:
    batch, info = clip(drifting(1))
    assert run(Interpolate(Times(Fraction(2)), BlendEngine(), info), batch).times == (Fraction(0), Fraction(1, 48))


def test_no_frames_give_no_frames() -> None:
    _, info = clip(drifting(1))
    assert list(Interpolate(Times(Fraction(2)), BlendEngine(), info)(iter(()))) == []


@pytest.mark.parametrize("name", ["flow", "net", "blend"])
def test_across_a_cut_the_nearer_frame_is_held(name: Interpolation) -> None:
    lumas = [picture(1, cell=3)] * 2 + [picture(2, cell=3)] * 2
    batch, info = clip([luma + i % 2 for i, luma in enumerate(lumas)])
    stage = Interpolate(Times(Fraction(4)), make_engine(name, 8), info)
    result = run(stage, batch)
    held = [n for n, origin in enumerate(result.origins) if origin.scene_cut]
    assert held == [5, 6, 7]
    assert [result.origins[n].phase for n in held] == [Fraction(1, 4), HALF, Fraction(3, 4)]
    for n, source in zip(held, (1, 1, 2), strict=True):
        assert torch.equal(result.y[n], batch.y[source].float())
    assert stage.counts == {"interpolated": 6, "held_at_cuts": 3, "repeats": 0}


def test_pairs_know_their_neighbours_but_not_across_a_cut() -> None:
    lumas = [*drifting(4), *(picture(2, 48, 72, cell=3)[:, i : i + 64] for i in (0, 2, 4))]
    batch, info = clip(lumas)
    engine = CountingEngine()
    run(Interpolate(Times(Fraction(2)), engine, info), batch)
    assert engine.neighbours == [(None, 0, 1), (0, 1, 2), (1, 2, None), (None, 4, 5), (4, 5, None)]


def test_without_an_engine_the_nearer_frame_is_shown() -> None:
    batch, info = clip(drifting(3))
    stage = Interpolate(Times(Fraction(4)), make_engine("none", 8), info)
    result = run(stage, batch)
    assert result.y.dtype == torch.uint8
    sources = [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    assert torch.equal(result.y, batch.y[sources])
    assert not any(stage.counts.values())


def test_equal_frames_are_held_and_no_motion_is_looked_for() -> None:
    batch, info = clip([picture(0)] * 3)
    engine = CountingEngine()
    result = run(Interpolate(Times(Fraction(2)), engine, info), batch)
    assert not engine.asked and result.y.dtype == torch.uint8
    assert not any(origin.scene_cut for origin in result.origins)


def test_smooth_moves_from_one_distinct_frame_to_the_next() -> None:
    drawings = drifting(4)
    batch, info = clip([drawings[i // 2] for i in range(8)])
    engine = CountingEngine()
    stage = Interpolate(Times(Fraction(1)), engine, info, repeats="interpolate")
    result = run(stage, batch)
    assert result.times == batch.times
    assert engine.asked == [(0, (HALF,)), (2, (HALF,)), (4, (HALF,))]
    assert torch.equal(result.y[::2], batch.y[::2].float())
    assert stage.counts["repeats"] == 4


def test_smooth_film_in_60_moves_evenly_at_every_output_frame() -> None:
    film = [picture(0, 48, 104)[:, 5 * i : 5 * i + 64] for i in range(8)]
    pattern = [i for i in range(8) for _ in range(3 - i % 2)]
    batch, info = clip([film[i] for i in pattern], fps=Fraction(60))
    engine = CountingEngine()
    result = run(Interpolate(Rate(Fraction(60)), engine, info, repeats="interpolate"), batch)
    fifth = Fraction(1, 5)
    even, odd = (2 * fifth, 4 * fifth), (fifth, 3 * fifth)
    assert [phases for _, phases in engine.asked[:6]] == [even, odd] * 3
    assert result.times == batch.times
    assert torch.equal(result.y[::5], batch.y[::5].float())  # every other film frame was taken at a tick


def test_smooth_leaves_a_variable_rate_without_repeats_alone() -> None:
    times = [Fraction(n, 60) for n in (0, 3, 5, 8, 10, 13)]
    batch, info = clip(drifting(6, step=4), times, fps=Fraction(24))
    result = run(Interpolate(Times(Fraction(1)), BlendEngine(), info, repeats="interpolate"), batch)
    assert result.times == batch.times
    assert torch.equal(result.y, batch.y)


def test_smooth_lets_a_standing_picture_stand() -> None:
    still, moved = drifting(2)
    batch, info = clip([still] * 12 + [moved])
    result = run(Interpolate(Times(Fraction(1)), BlendEngine(), info, repeats="interpolate"), batch)
    assert torch.equal(result.y[:12], batch.y[:12].to(result.y.dtype))


def test_keep_keeps_repeated_frames() -> None:
    drawings = drifting(3)
    batch, info = clip([drawings[i // 2] for i in range(6)])
    result = run(Interpolate(Times(Fraction(1)), BlendEngine(), info), batch)
    assert torch.equal(result.y, batch.y)


def test_slow_motion_stretches_time_and_keeps_the_rate() -> None:
    batch, info = clip(drifting(4), [Fraction(2) + Fraction(i, 24) for i in range(4)])
    slow = Fraction(8)
    stage = Interpolate(Times(Fraction(1)).slowed(slow), BlendEngine(), info, slow=slow)
    result, expected = run(stage, batch), stage.output(info)
    assert expected.fps == info.fps
    assert expected.duration == 8 * info.duration  # type: ignore[operator]
    assert expected.frames == len(result) == 32
    assert result.times == tuple(2 + Fraction(i, 24) for i in range(32))


@pytest.mark.parametrize(
    "clock", [Times(Fraction(3)), Times(Fraction(5, 2)), Rate(Fraction(60)), Rate(Fraction(60000, 1001))]
)
@pytest.mark.parametrize("slow", [Fraction(1), Fraction(3, 2)])
def test_output_says_rate_frames_and_a_time_base_that_holds_every_time(clock: Clock, slow: Fraction) -> None:
    batch, info = clip(drifting(10), [Fraction(i, 24) for i in range(10)])
    stage = Interpolate(clock, BlendEngine(), info, slow=slow)
    result, expected = run(stage, batch), stage.output(info)
    assert expected.fps == clock.rate(Fraction(24)) / slow
    assert expected.frames is not None and abs(expected.frames - len(result)) <= 1
    assert expected.time_base is not None
    assert all((time / expected.time_base).denominator == 1 for time in result.times)


def test_a_still_picture_has_no_rate_to_change() -> None:
    info = VideoInfo(64, 48, None)
    assert Interpolate(Times(Fraction(2)), None, info).output(info) == info


def test_batches_are_bounded_in_frames_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, info = clip(drifting(6))
    size = 4 * batch.y[0].numel()
    monkeypatch.setattr(batches, "BATCH_BYTES", 3 * size)
    made = list(Interpolate(Times(Fraction(9)), BlendEngine(), info)(iter([batch])))
    assert max(part.nbytes for part in made) <= 3 * size
    monkeypatch.setattr(batches, "BATCH_BYTES", 1 << 30)
    made = list(Interpolate(Times(Fraction(9)), BlendEngine(), info)(iter([batch])))
    assert max(map(len, made)) == batches.BATCH_FRAMES
    assert sum(map(len, made)) == 54


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
@pytest.mark.parametrize("chroma", ["gray", "420", "422", "444"])
@pytest.mark.parametrize("engine", ["flow", "net", "blend", "none"])
def test_every_type_and_chroma(dtype: torch.dtype, chroma: Chroma, engine: Interpolation) -> None:
    batch, info = clip([luma[:45, :61] for luma in drifting(3)])
    info = replace(info, width=61, height=45, chroma=chroma, depth=10 if dtype == torch.uint16 else 8)
    width, height = info.chroma_size
    uv = None if chroma == "gray" else torch.full((3, 2, height, width), 128).to(dtype)
    batch = batch.planes((batch.y.float() * (info.peak / 255)).to(dtype), uv)
    result = run(Interpolate(Times(Fraction(2)), make_engine(engine, info.depth), info), batch)
    assert result.y.shape == (6, 1, 45, 61)
    assert result.y.dtype == (dtype if engine == "none" else torch.float32)
    if uv is not None:
        assert result.uv is not None and result.uv.shape == (6, 2, height, width)
        assert (result.uv.float() - 128).abs().max() < 0.1


@examples(40)
@given(
    shown=st.lists(st.integers(0, 2), min_size=1, max_size=10),
    fps=st.sampled_from([Fraction(1, 2), Fraction(1), Fraction(3, 2), Fraction(3)]),
    engine=st.sampled_from([BlendEngine(), None]),
)
def test_an_output_frame_marked_as_repeated_equals_the_one_before_also_where_frames_are_dropped(
    shown: list[int], fps: Fraction, engine: BlendEngine | None
) -> None:
    lumas = [torch.full((16, 16), 40 * number, dtype=torch.uint8) for number in shown]
    batch, info = clip(lumas, fps=Fraction(1))
    result = run(Interpolate(Rate(fps), engine, info), batch)
    for n, repeated in enumerate(result.repeats):
        same = n > 0 and torch.equal(result.y[n], result.y[n - 1])
        is_source = n == 0 or result.origins[n].phase == 0 == result.origins[n - 1].phase
        assert same or not repeated
        assert repeated or not (same and is_source), "a source frame shown twice is marked"
