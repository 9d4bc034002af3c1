"""Source times: long gaps of variable frame rate, repeated frames, and film in video."""

from fractions import Fraction
from itertools import islice

import pytest
import torch

from tests.stages.interpolation import HALF, RecordingEngine, clip, luma, pan, run
from vidsr.options.choices import Repeats
from vidsr.options.frame_rate import Rate, Times
from vidsr.stages import source_times
from vidsr.stages.batching import single_frames
from vidsr.stages.interpolate import Interpolate
from vidsr.stages.interpolation_engines import BlendEngine, make_engine
from vidsr.stages.source_times import MOST_TIMES, with_output_times


@pytest.mark.parametrize("repeats", ["keep", "interpolate"])
def test_frame_before_a_long_gap_stands_still_and_motion_lasts_a_usual_interval(repeats: Repeats) -> None:
    # in thirtieths of a second: a gap of two seconds, as screen recorders leave them
    shown = (0, 1, 2, 3, 62, 63)
    batch, info = clip(pan(6, 4), [Fraction(n, 30) for n in shown], fps=Fraction(30))
    engine = RecordingEngine()
    stage = Interpolate(Rate(Fraction(60)), engine, info, repeats=repeats)
    result = run(stage, batch)
    assert result.times == tuple(Fraction(n, 60) for n in range(128))
    assert torch.equal(result.y[6:123], batch.y[[3] * 117].float())
    assert torch.equal(result.y[124:125], batch.y[4:5].float())
    assert engine.asked[2:4] == [(2, (HALF,)), (3, (HALF,))]
    assert not any(origin.scene_cut for origin in result.origins)
    assert stage.counts == {"interpolated": 5, "held_at_cuts": 0, "held_drawings": 0, "repeats": 0}


def test_a_gap_of_days_is_no_list_of_days() -> None:
    """All output times of the gap were in memory at once."""
    day = 24 * 3600
    batch, info = clip(pan(3), [Fraction(0), Fraction(1, 30), Fraction(day)], fps=Fraction(30))
    sources = with_output_times(single_frames(iter([batch])), Rate(Fraction(60)), info)
    first, still, *copies = islice(sources, 5)
    assert first.times == [Fraction(0), Fraction(1, 60)]
    assert [len(one.times) for one in (still, *copies)] == [MOST_TIMES] * 4
    assert {one.image for one in (still, *copies)} == {2} and not still.inserted
    shown = [time for one in (still, *copies) for time in one.times]
    assert shown == [Fraction(n, 60) for n in range(2, 2 + len(shown))]


def test_a_gap_in_parts_shows_the_same_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, info = clip(pan(6), [Fraction(n, 30) for n in (0, 1, 2, 62, 63, 64)], fps=Fraction(30))
    for repeats in ("keep", "interpolate"):
        stage = Interpolate(Rate(Fraction(60)), BlendEngine(), info, repeats=repeats)  # type: ignore[arg-type]
        whole = run(stage, batch)
        with monkeypatch.context() as patch:
            patch.setattr(source_times, "MOST_TIMES", 7)
            parts = run(stage, batch)
        assert parts.times == whole.times and torch.equal(parts.y, whole.y)


def test_scene_cut_after_a_long_gap_is_shown_at_its_time() -> None:
    lumas = [*pan(3), luma(1, cell=3), luma(2, cell=3)]
    batch, info = clip(lumas, [Fraction(n, 30) for n in (0, 1, 2, 3, 33)], fps=Fraction(30))
    result = run(Interpolate(Rate(Fraction(120)), make_engine("flow", 8), info), batch)
    late = [time for time, y in zip(result.times, result.y, strict=True) if torch.equal(y, batch.y[4].float())]
    assert late[0] == Fraction(131, 120)  # the nearer frame, at most half an interval early


def test_clip_slower_than_its_header_has_no_gaps() -> None:
    batch, info = clip(pan(6), [Fraction(n, 5) for n in range(6)], fps=Fraction(30))
    engine = RecordingEngine()
    run(Interpolate(Times(Fraction(2)), engine, info), batch)
    assert [index for index, _ in engine.asked] == [1, 2, 3, 4]


def test_interpolated_repeats_move_from_one_distinct_frame_to_the_next() -> None:
    frames = pan(4)
    batch, info = clip([frames[i // 2] for i in range(8)])
    engine = RecordingEngine()
    stage = Interpolate(Times(Fraction(1)), engine, info, repeats="interpolate")
    result = run(stage, batch)
    assert result.times == batch.times
    assert engine.asked == [(0, (HALF,)), (2, (HALF,)), (4, (HALF,))]
    assert torch.equal(result.y[::2], batch.y[::2].float())
    assert stage.counts["repeats"] == 4


def test_film_in_60_fps_moves_evenly_with_interpolated_repeats() -> None:
    film = [luma(0, 48, 104)[:, 5 * i : 5 * i + 64] for i in range(8)]
    pattern = [i for i in range(8) for _ in range(3 - i % 2)]
    batch, info = clip([film[i] for i in pattern], fps=Fraction(60))
    engine = RecordingEngine()
    result = run(Interpolate(Rate(Fraction(60)), engine, info, repeats="interpolate"), batch)
    fifth = Fraction(1, 5)
    even, odd = (2 * fifth, 4 * fifth), (fifth, 3 * fifth)
    assert [phases for _, phases in engine.asked[:6]] == [even, odd] * 3
    assert result.times == batch.times
    assert torch.equal(result.y[::5], batch.y[::5].float())  # every second film frame was taken at a tick


def test_variable_frame_rate_without_repeats_is_unchanged() -> None:
    times = [Fraction(n, 60) for n in (0, 3, 5, 8, 10, 13)]
    batch, info = clip(pan(6, step=4), times, fps=Fraction(24))
    result = run(Interpolate(Times(Fraction(1)), BlendEngine(), info, repeats="interpolate"), batch)
    assert result.times == batch.times
    assert torch.equal(result.y, batch.y)


def test_long_still_stays_still_with_interpolated_repeats() -> None:
    still, moved = pan(2)
    batch, info = clip([still] * 12 + [moved])
    result = run(Interpolate(Times(Fraction(1)), BlendEngine(), info, repeats="interpolate"), batch)
    assert torch.equal(result.y[:12], batch.y[:12].to(result.y.dtype))


def test_kept_repeats_stay_unchanged() -> None:
    frames = pan(3)
    batch, info = clip([frames[i // 2] for i in range(6)])
    result = run(Interpolate(Times(Fraction(1)), BlendEngine(), info), batch)
    assert torch.equal(result.y, batch.y)
