"""Interpolate: exact times, unchanged source frames, nothing across a scene cut, any batches."""

from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.stages.interpolation import HALF, RecordingEngine, clip, luma, pan, run, split
from tests.tiers import examples
from vidsr.frames import Chroma, FrameBatch, Origin, VideoInfo
from vidsr.options.choices import Interpolation
from vidsr.options.frame_rate import Clock, Rate, Times, parse_fps
from vidsr.stages import batching
from vidsr.stages.interpolate import Interpolate
from vidsr.stages.interpolation_engines import BlendEngine, PreparedPair, make_engine


@pytest.mark.parametrize("engine", ["flow", "net", "blend", "none"])
@pytest.mark.parametrize("rate", ["2x", "2.5x", "60", "23.976"])
def test_source_frames_at_output_times_pass_unchanged(engine: Interpolation, rate: str) -> None:
    batch, info = clip(pan(6))
    result = run(Interpolate(parse_fps(rate), make_engine(engine, 8), info), batch)
    real = [n for n, (time, origin) in enumerate(zip(result.times, result.origins, strict=True)) if time in batch.times]
    assert 0 in real
    for n in real:
        index = batch.times.index(result.times[n])
        assert result.origins[n] == Origin(index)
        assert torch.equal(result.y[n], batch.y[index].to(result.y.dtype))


def test_film_at_60_fps_computes_only_the_phases_it_shows() -> None:
    batch, info = clip(pan(5))
    engine = RecordingEngine()
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
def test_result_does_not_depend_on_the_batches(clock: Clock, cuts: list[int]) -> None:
    batch, info = clip(pan(9))
    whole, cut = (run(Interpolate(clock, BlendEngine(), info), batch, at) for at in ((), cuts))
    assert whole.times == cut.times
    assert whole.origins == cut.origins
    assert torch.equal(whole.y, cut.y)


@pytest.mark.parametrize(
    ("clock", "count"), [(Times(Fraction(2)), 16), (Times(Fraction(5, 2)), 20), (Rate(Fraction(60)), 20)]
)
def test_clip_keeps_its_duration_and_its_last_frame(clock: Clock, count: int) -> None:
    batch, info = clip(pan(8))
    stage = Interpolate(clock, BlendEngine(), info)
    result = run(stage, batch)
    expected = stage.output(info)
    assert len(result) == count == expected.frames
    assert expected.fps is not None
    assert result.times[-1] + 1 / expected.fps == 8 / info.fps  # type: ignore[operator]
    assert torch.equal(result.y[-1], batch.y[-1].float())
    assert result.times[0] == batch.times[0]


def test_variable_frame_rate_gets_a_frame_midway_in_each_interval() -> None:
    times = [Fraction(3, 2) + t for t in (Fraction(0), Fraction(1, 30), Fraction(1, 10), Fraction(7, 20))]
    batch, info = clip(pan(4), times, fps=Fraction(12))
    result = run(Interpolate(Times(Fraction(2)), BlendEngine(), info), batch)
    middles = [(a + b) / 2 for a, b in pairwise(times)]
    assert list(result.times[:7]) == sorted(times + middles)
    assert result.times[7] == times[3] + Fraction(1, 24)  # the last is shown for an average interval, not the long one
    assert all(a < b for a, b in pairwise(result.times))


@pytest.mark.parametrize(
    ("source", "target", "real"), [(24, 48, 12), (Fraction(24000, 1001), Fraction(48000, 1001), 12), (25, 50, 12)]
)
def test_source_frames_pass_although_matroska_rounds_their_times(source: Fraction, target: Fraction, real: int) -> None:
    times = [Fraction(round(1000 * n / Fraction(source)), 1000) for n in range(12)]
    batch, info = clip(pan(12), times, fps=Fraction(source))
    engine = RecordingEngine()
    result = run(Interpolate(Rate(Fraction(target)), engine, replace(info, time_base=Fraction(1, 1000))), batch)
    assert result.times == tuple(n / Fraction(target) for n in range(len(result)))
    assert [origin.index for origin in result.origins[:24:2]] == list(range(real))
    assert all(origin.phase == 0 for origin in result.origins[:24:2])
    assert torch.equal(result.y[:24:2], batch.y.float())
    assert len(engine.asked) == 11


def test_times_in_long_ticks_count_as_exact() -> None:
    batch, info = clip(pan(6), fps=Fraction(25))
    engine = RecordingEngine()
    run(Interpolate(Rate(Fraction(60)), engine, replace(info, time_base=Fraction(1, 50))), batch)
    assert [len(phases) for _, phases in engine.asked] == [2, 2, 3, 2, 2]


@pytest.mark.parametrize("rate", ["2x", "60", "18x"])  # of the last, an interval fills more than one batch
def test_number_of_threads_does_not_change_the_result(rate: str) -> None:
    cut = [luma(seed, cell=4) for seed in (7, 8)]
    batch, info = clip([*pan(6), *cut, *pan(5, 3)])
    stages = [Interpolate(parse_fps(rate), make_engine("flow", 8), info, threads=threads) for threads in (1, 2, 3)]
    alone, *together = [run(stage, batch, (3, 4)) for stage in stages]
    for result, stage in zip(together, stages[1:], strict=True):
        assert torch.equal(result.y, alone.y)
        assert result.times == alone.times and result.origins == alone.origins
        assert stage.counts == stages[0].counts


def test_closed_or_failed_stream_leaves_no_thread() -> None:
    batch, info = clip(pan(12))
    left = Interpolate(Times(Fraction(2)), make_engine("flow", 8), info, threads=2)(split(batch, range(12)))
    assert isinstance(left, Generator)
    next(left)
    left.close()

    class Failing(BlendEngine):
        def prepare(self, a: FrameBatch, b: FrameBatch) -> PreparedPair[None]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(Interpolate(Times(Fraction(2)), Failing(), info, threads=2), batch)


def test_single_frame_is_shown_for_one_interval() -> None:
    batch, info = clip(pan(1))
    assert run(Interpolate(Times(Fraction(2)), BlendEngine(), info), batch).times == (Fraction(0), Fraction(1, 48))


def test_empty_stream_stays_empty() -> None:
    _, info = clip(pan(1))
    assert list(Interpolate(Times(Fraction(2)), BlendEngine(), info)(iter(()))) == []


@pytest.mark.parametrize("name", ["flow", "net", "blend"])
def test_nearer_frame_is_shown_across_a_scene_cut(name: Interpolation) -> None:
    lumas = [luma(1, cell=3)] * 2 + [luma(2, cell=3)] * 2
    batch, info = clip([plane + i % 2 for i, plane in enumerate(lumas)])
    stage = Interpolate(Times(Fraction(4)), make_engine(name, 8), info)
    result = run(stage, batch)
    held = [n for n, origin in enumerate(result.origins) if origin.scene_cut]
    assert held == [5, 6, 7]
    assert [result.origins[n].phase for n in held] == [Fraction(1, 4), HALF, Fraction(3, 4)]
    for n, source in zip(held, (1, 1, 2), strict=True):
        assert torch.equal(result.y[n], batch.y[source].float())
    assert stage.counts == {"interpolated": 6, "held_at_cuts": 3, "held_drawings": 0, "repeats": 0}


def test_pairs_get_the_motion_of_their_neighbours_but_not_across_a_scene_cut() -> None:
    lumas = [*pan(4), *(luma(2, 48, 72, cell=3)[:, i : i + 64] for i in (0, 2, 4))]
    batch, info = clip(lumas)
    engine = RecordingEngine()
    run(Interpolate(Times(Fraction(2)), engine, info), batch)
    assert engine.neighbours == [(None, 0, 1), (0, 1, 2), (1, 2, None), (None, 4, 5), (4, 5, None)]


def test_nearer_frame_is_shown_without_an_engine() -> None:
    batch, info = clip(pan(3))
    stage = Interpolate(Times(Fraction(4)), make_engine("none", 8), info)
    result = run(stage, batch)
    assert result.y.dtype == torch.uint8
    sources = [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    assert torch.equal(result.y, batch.y[sources])
    assert not any(stage.counts.values())


def test_repeated_frames_are_not_interpolated() -> None:
    batch, info = clip([luma(0)] * 3)
    engine = RecordingEngine()
    result = run(Interpolate(Times(Fraction(2)), engine, info), batch)
    assert not engine.asked and result.y.dtype == torch.uint8
    assert not any(origin.scene_cut for origin in result.origins)


def test_slow_motion_stretches_time_and_keeps_the_frame_rate() -> None:
    batch, info = clip(pan(4), [Fraction(2) + Fraction(i, 24) for i in range(4)])
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
def test_output_info_has_the_rate_the_frame_count_and_a_time_base_exact_for_every_time(
    clock: Clock, slow: Fraction
) -> None:
    batch, info = clip(pan(10), [Fraction(i, 24) for i in range(10)])
    stage = Interpolate(clock, BlendEngine(), info, slow=slow)
    result, expected = run(stage, batch), stage.output(info)
    assert expected.fps == clock.rate(Fraction(24)) / slow
    assert expected.frames is not None and abs(expected.frames - len(result)) <= 1
    assert expected.time_base is not None
    assert all((time / expected.time_base).denominator == 1 for time in result.times)


def test_image_keeps_its_info() -> None:
    info = VideoInfo(64, 48, None)
    assert Interpolate(Times(Fraction(2)), None, info).output(info) == info


def test_batches_are_bounded_in_frames_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, info = clip(pan(6))
    size = 4 * batch.y[0].numel()
    monkeypatch.setattr(batching, "BATCH_BYTES", 3 * size)
    made = list(Interpolate(Times(Fraction(9)), BlendEngine(), info)(iter([batch])))
    assert max(part.nbytes for part in made) <= 3 * size
    monkeypatch.setattr(batching, "BATCH_BYTES", 1 << 30)
    made = list(Interpolate(Times(Fraction(9)), BlendEngine(), info)(iter([batch])))
    assert max(map(len, made)) == batching.BATCH_FRAMES
    assert sum(map(len, made)) == 54


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
@pytest.mark.parametrize("chroma", ["gray", "420", "422", "444"])
@pytest.mark.parametrize("engine", ["flow", "net", "blend", "none"])
def test_every_type_and_chroma_format(dtype: torch.dtype, chroma: Chroma, engine: Interpolation) -> None:
    batch, info = clip([plane[:45, :61] for plane in pan(3)])
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
def test_output_frames_marked_as_repeats_equal_the_previous_frame_even_if_frames_are_dropped(
    shown: list[int], fps: Fraction, engine: BlendEngine | None
) -> None:
    lumas = [torch.full((16, 16), 40 * number, dtype=torch.uint8) for number in shown]
    batch, info = clip(lumas, fps=Fraction(1))
    result = run(Interpolate(Rate(fps), engine, info), batch)
    runs = [0]
    for before, now in pairwise(shown):
        runs.append(runs[-1] + (now != before))
    assert not result.repeats[0]
    for n in range(1, len(result)):
        source, previous = result.origins[n], result.origins[n - 1]
        if result.repeats[n]:
            assert torch.equal(result.y[n], result.y[n - 1])
        elif source.phase == 0 == previous.phase:
            assert runs[source.index] != runs[previous.index], "a source frame shown twice is marked"
