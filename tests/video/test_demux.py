"""The clock of a recording: jumps are removed, and audio and video stay in sync."""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from vidsr.video.demux import CLOCK_JUMPS, LATE_STREAMS, ContinuousClock, packets

TICK = Fraction(1, 1000)


def packet(kind: str, ticks: int | None) -> Any:
    stream = SimpleNamespace(type=kind, index=("video", "audio", "subtitle").index(kind))
    return SimpleNamespace(
        stream=stream, dts=ticks, pts=None if ticks is None else ticks + 80, duration=40, time_base=TICK
    )


def run(*packet_times: tuple[str, int | None]) -> tuple[list[int | None], int]:
    problems: Counter[str] = Counter()
    clock, packets = ContinuousClock(problems), [packet(*one) for one in packet_times]
    for one in packets:
        clock.correct(one)
        assert one.dts is None or one.pts - one.dts == 80
    return [one.dts for one in packets], problems[CLOCK_JUMPS]


def test_a_stream_that_appears_late_ends_no_run() -> None:
    """PyAV fails at the end of such a file."""
    stream: Any = SimpleNamespace(index=0)
    read = SimpleNamespace(stream=stream)

    def demux(_: Any) -> Iterator[Any]:
        yield read
        raise IndexError

    container: Any = SimpleNamespace(format=SimpleNamespace(name="flv"), demux=demux)
    problems: Counter[str] = Counter()
    assert list(packets(container, [stream], problems)) == [read]
    assert problems == {LATE_STREAMS: 1}


@pytest.mark.parametrize("jump", [100_000, -5_000, 95_000_000])
def test_a_clock_jump_is_removed_once_for_all_streams(jump: int) -> None:
    times, jumps = run(
        ("video", 9000), ("audio", 9010), ("video", 9040 + jump), ("audio", 9050 + jump), ("subtitle", 9060 + jump)
    )
    assert times == [9000, 9010, 9040, 9050, 9060]
    assert jumps == 1


def test_audio_that_lags_behind_a_jump_keeps_the_earlier_clock() -> None:
    times, jumps = run(
        ("video", 0), ("audio", 0), ("video", 90_040), ("audio", 40), ("video", 90_080), ("audio", 90_080)
    )
    assert times == [0, 0, 40, 40, 80, 80]
    assert jumps == 1


def test_late_or_slightly_unordered_packets_are_no_jump() -> None:
    packet_times = (
        ("video", 0),
        ("audio", 0),
        ("subtitle", 900_000),
        ("video", 9_000),
        ("audio", 8_990),
        ("audio", 8_950),
    )
    times, jumps = run(*packet_times, ("video", None))
    assert times == [*(ticks for _, ticks in packet_times), None] and not jumps


def test_a_frame_shown_hours_after_it_is_decoded_gets_its_time_from_its_place() -> None:
    """A flipped bit in an MPEG file of 11 frames gave one of them a time ten hours later, which `--fps` had to fill."""
    problems: Counter[str] = Counter()
    clock, read = ContinuousClock(problems), [packet("video", ticks) for ticks in (0, 40, 80)]
    read[1].pts += 36_000_000
    for one in read:
        clock.correct(one)
    assert [one.pts for one in read] == [80, None, 160]
    assert problems[CLOCK_JUMPS] == 1
