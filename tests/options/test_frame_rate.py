"""Clocks: every output time exactly once, whatever the intervals; rates from text."""

from fractions import Fraction
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import examples
from vidsr.errors import OptionError
from vidsr.options.enhance import parse_reading
from vidsr.options.frame_rate import Clock, Rate, Times, parse_fps
from vidsr.options.source import RawFormat

FACTORS = [Fraction(2), Fraction(3), Fraction(5, 2), Fraction(8), Fraction(1), Fraction(2, 3), Fraction(60000, 24001)]
RATES = [Fraction(60), Fraction(60000, 1001), Fraction(50), Fraction(24000, 1001), Fraction(1, 3), Fraction(144)]
CLOCKS: list[Clock] = [*map(Times, FACTORS), *map(Rate, RATES)]

clocks = st.sampled_from(CLOCKS)
steps = st.lists(st.fractions(Fraction(1, 500), Fraction(1, 2), max_denominator=90_000), min_size=1, max_size=30)
starts = st.fractions(Fraction(0), Fraction(3), max_denominator=90_000)


def frame_times(start: Fraction, steps: list[Fraction]) -> list[Fraction]:
    return list(accumulate(steps, initial=start))


def ticks(clock: Clock, times: list[Fraction]) -> list[Fraction]:
    """All output times of a stream whose frames are shown at ``times``."""
    clock = clock.starting_at(times[0])
    return [tick for i, (t0, t1) in enumerate(pairwise(times)) for tick in clock.between(t0, t1, i)]


@examples(60)
@given(clocks, starts, steps)
def test_times_increase_strictly_and_stay_in_their_interval(
    clock: Clock, start: Fraction, steps: list[Fraction]
) -> None:
    times = frame_times(start, steps)
    made = ticks(clock, times)
    assert all(a < b for a, b in pairwise(made))
    anchored = clock.starting_at(times[0])
    for i, (t0, t1) in enumerate(pairwise(times)):
        assert all(t0 <= tick < t1 for tick in anchored.between(t0, t1, i))


@examples(60)
@given(st.sampled_from(RATES), starts, steps)
def test_a_rate_produces_every_output_time_exactly_once(fps: Fraction, start: Fraction, steps: list[Fraction]) -> None:
    times = frame_times(start, steps)
    made, expected = ticks(Rate(fps), times), []
    while not expected or expected[-1] + 1 / fps < times[-1]:
        expected.append(times[0] + len(expected) / fps)
    assert made == expected


@examples(60)
@given(st.sampled_from(FACTORS), starts, steps)
def test_a_factor_puts_output_j_at_source_position_j_over_factor(
    factor: Fraction, start: Fraction, steps: list[Fraction]
) -> None:
    times = frame_times(start, steps)
    expected, j = [], 0
    while j / factor < len(times) - 1:
        index, phase = divmod(j / factor, 1)
        expected.append(times[index] + phase * (times[index + 1] - times[index]))
        j += 1
    assert ticks(Times(factor), times) == expected


@examples(30)
@given(st.sampled_from(RATES), starts, steps)
def test_a_rate_is_independent_of_the_source_intervals(fps: Fraction, start: Fraction, steps: list[Fraction]) -> None:
    times = frame_times(start, steps)
    assert ticks(Rate(fps), times) == ticks(Rate(fps), [times[0], times[-1]])


def test_a_whole_factor_keeps_every_source_frame_and_halves_uneven_intervals() -> None:
    times = [Fraction(0), Fraction(1, 30), Fraction(1, 10), Fraction(7, 20)]
    assert ticks(Times(Fraction(2)), times) == [
        Fraction(0), Fraction(1, 60), Fraction(1, 30), Fraction(1, 15), Fraction(1, 10), Fraction(9, 40),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "target", "phases"),
    [
        (Fraction(24000, 1001), Fraction(60000, 1001), {Fraction(n, 5) for n in range(5)}),
        (Fraction(25), Fraction(50), {0, Fraction(1, 2)}),
        (Fraction(30), Fraction(24), {0, Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)}),
    ],
)
def test_a_rate_conversion_needs_exactly_these_phases(
    source: Fraction, target: Fraction, phases: set[Fraction]
) -> None:
    times = [n / source for n in range(41)]
    assert {tick * source % 1 for tick in ticks(Rate(target), times)} == phases


def test_film_at_exactly_60_hz_is_exact_although_the_rates_share_no_tick() -> None:
    made = ticks(Rate(Fraction(60)), [n * Fraction(1001, 24000) for n in range(24001)])
    assert made[1] == Fraction(1, 60)
    assert len(made) == 60 * 1001
    assert made[-1] == 1001 - Fraction(1, 60)


@examples(40)
@given(clocks, st.fractions(Fraction(1, 8), Fraction(16), max_denominator=8))
def test_a_slowed_clock_keeps_the_output_rate_once_time_is_stretched(clock: Clock, factor: Fraction) -> None:
    source = Fraction(24)
    if isinstance(clock, Rate):
        assert clock.slowed(factor).rate(source) / factor == clock.fps
    else:
        assert clock.slowed(factor).rate(source) / factor == clock.factor * source


@examples(40)
@given(clocks, st.sampled_from([Fraction(1, 12800), Fraction(1, 90000), Fraction(1001, 24000), Fraction(1, 1000)]))
def test_output_times_are_whole_multiples_of_the_clock_tick(clock: Clock, time_base: Fraction) -> None:
    times = [time_base * n for n in (7, 49, 90, 133, 160)]
    assert all((tick / clock.tick(time_base)).denominator == 1 for tick in ticks(clock, times))


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("2x", Times(Fraction(2))),
        ("2X", Times(Fraction(2))),
        ("2 x", Times(Fraction(2))),
        ("2.5x", Times(Fraction(5, 2))),
        ("5/2x", Times(Fraction(5, 2))),
        ("60", Rate(Fraction(60))),
        (" 60 ", Rate(Fraction(60))),
        ("60000/1001", Rate(Fraction(60000, 1001))),
        ("23.976", Rate(Fraction(24000, 1001))),
        ("23.98", Rate(Fraction(24000, 1001))),
        ("23.97", Rate(Fraction(24000, 1001))),
        ("29.97", Rate(Fraction(30000, 1001))),
        ("59.94", Rate(Fraction(60000, 1001))),
        ("59.9401", Rate(Fraction(60000, 1001))),
        ("119.88", Rate(Fraction(120000, 1001))),
        ("25.00", Rate(Fraction(25))),
        ("12.5", Rate(Fraction(25, 2))),
        ("23.9", Rate(Fraction(239, 10))),
    ],
)
def test_text_that_names_a_rate_is_parsed(text: str, clock: Clock) -> None:
    assert parse_fps(text) == clock


@pytest.mark.parametrize("text", ["29.97", "23.976", "59.94", "25", "12.5", "30000/1001", "23.9"])
def test_rates_of_sources_mean_the_same_as_those_of_outputs(text: str) -> None:
    """`--input-fps 29.97` was 2997/100, and `--fps 29.97` 30000/1001."""
    assert parse_fps(text) == Rate(parse_reading(input_fps=text).sequence_rate)
    assert parse_fps(text) == Rate(RawFormat.parse(f"64x48:yuv420p:{text}").rate)
    assert parse_reading(input_fps=29.97).sequence_rate == Fraction(30000, 1001)


@pytest.mark.parametrize(
    "text", ["", "fast", "x", "-24", "0", "0x", "1/0", "60/0x", "nan", "inf", "1e3", "2xx", "5000x", "99999", "60 fps"]
)
def test_text_that_names_no_rate_gives_a_one_line_error_with_the_text(text: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_fps(text)
    message = str(caught.value)
    assert message.startswith("--fps") and "\n" not in message
    assert text.strip("x") in message


@pytest.mark.parametrize("clock", [Rate(Fraction(60)), Times(Fraction(2))])
def test_a_rate_too_high_because_of_slow_motion_names_both_options(clock: Clock) -> None:
    with pytest.raises(OptionError, match=r"--fps, multiplied by --slow-motion, is (60000 frames|2000x)"):
        clock.slowed(Fraction(1000))


def test_a_clock_prints_its_rate() -> None:
    assert [str(parse_fps(text)) for text in ("2x", "2.5x", "60", "23.976")] == ["2x", "2.5x", "60 fps", "23.976 fps"]
