"""Measurements of presentation times."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import av

from tests.clips import make_clip
from tests.exactness.table import SAMPLES, Finding, ffprobe, milliseconds, row, run
from vidsr.cli.progress import summary
from vidsr.options.frame_rate import Rate
from vidsr.pipeline.summary import summarize
from vidsr.video import VideoReader

RATES = (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001))
HOURS = 3 * 3600


def times(path: Path) -> list[Fraction]:
    with VideoReader(path) as reader:
        return [time for batch in reader.batches(16) for time in batch.times]


def worst(before: list[Fraction], after: list[Fraction]) -> Fraction:
    assert len(before) == len(after), f"{len(before)} frames became {len(after)}"
    return max(abs(a - b) for a, b in zip(before, after, strict=True))


def start_times(path: Path) -> dict[str, Fraction]:
    """Return the start time of each stream by ffprobe."""
    found = ffprobe(path, "-show_entries", "stream=index,codec_type,start_time")["streams"]
    return {f"{s['codec_type']}{s['index']}": Fraction(s["start_time"]) for s in found if "start_time" in s}


@row("1 Time")
def variable_rate_and_late_start(tmp_path: Path) -> Finding:
    """Every frame time kept: variable rate, late start, 1/90000, 1/1001; into mp4 and mov."""
    clips: dict[str, dict[str, Any]] = {
        "squares": {"times": [Fraction(i * i, 100) for i in range(12)]},
        "late": {"times": [Fraction(7, 5) + Fraction(i, 25) for i in range(12)], "audio": 1},
        "fine": {"times": [Fraction(i * 3001, 90000) for i in range(12)]},
        "ntsc": {"fps": Fraction(30000, 1001), "frames": 12},
    }
    errors, frames = [], 0
    for name, options in clips.items():
        source = make_clip(tmp_path / f"{name}.mp4", **{"frames": 12, **options})
        for suffix in (".mp4", ".mov"):
            run(source, tmp_path / f"{name}-out{suffix}", scale=2)
            errors.append(worst(times(source), times(tmp_path / f"{name}-out{suffix}")))
            frames += 12
    return Finding(f"largest error {milliseconds(max(errors))} over {frames} frames", max(errors) == 0)


@row("1 Time")
def phone_clip_of_variable_rate(tmp_path: Path) -> Finding:
    """The phone clip of variable rate in samples/: every frame time, and audio against video."""
    source, target = SAMPLES / "phone_dog.mp4", tmp_path / "b.mp4"
    run(source, target)
    error = worst(times(source), times(target))
    return Finding(
        f"largest error {milliseconds(error)} over {len(times(source))} frames; "
        f"equal start times of all streams: {'yes' if start_times(source) == start_times(target) else 'no'}",
        error == 0 and start_times(source) == start_times(target),
    )


def cut(source: Path, target: Path, seconds: Fraction) -> Path:
    """Remux ``source`` with all packets ``seconds`` earlier; MP4 stores the start of playback in an edit list."""
    keep = {"avoid_negative_ts": "disabled"}
    with av.open(str(source)) as old, av.open(str(target), "w", container_options=keep) as new:
        streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.dts is not None and packet.pts is not None:
                shift = round(seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    return target


@row("1 Time")
def audio_offsets_and_edit_lists(tmp_path: Path) -> Finding:
    """Audio late, audio early, both late, cut by an edit list: offset from video into mp4, mov and mkv within 1 ms."""
    late = [Fraction(3, 4) + Fraction(i, 25) for i in range(30)]
    sources = [
        make_clip(tmp_path / "audio_late.mp4", frames=30, audio=1, audio_start=Fraction(1, 3)),
        make_clip(tmp_path / "audio_early.mp4", frames=30, audio=1, times=late),
        make_clip(
            tmp_path / "both_late.ts", frames=30, audio=1, audio_start=Fraction(100), times=[t + 100 for t in late]
        ),
        cut(make_clip(tmp_path / "a.mp4", frames=40, gop=20, audio=1), tmp_path / "edit_list.mp4", Fraction(2, 5)),
    ]
    drifts, files = [], 0
    for source in sources:
        before = played(source)
        for suffix in (".mp4", ".mov", ".mkv"):
            target = tmp_path / f"{source.stem}-out{suffix}"
            run(source, target)
            after = played(target)
            assert after.frames == before.frames and after.packet == before.packet, target.name
            drifts.append(abs(after.offset - before.offset))
            files += 1
    return Finding(f"largest change {milliseconds(max(drifts))} in {files} files", max(drifts) <= Fraction(1, 1000))


class Played(NamedTuple):
    """The number of frames, one audio packet, and its offset from the last frame in seconds."""

    frames: int
    packet: bytes
    offset: Fraction


def played(path: Path) -> Played:
    frame_times = times(path)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        tones = sorted((p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size and p.pts is not None)
    moment, packet = tones[-3]  # near the end, so that no container cuts it off; ADTS packets have a header
    return Played(
        len(frame_times), packet[7:] if packet[:2] in (b"\xff\xf1", b"\xff\xf9") else packet, moment - frame_times[-1]
    )


@row("1 Time")
def rational_rates(tmp_path: Path) -> Finding:
    """24000/1001, 30000/1001 and 60000/1001 kept exactly, by ffprobe; --fps 2x doubles them exactly."""
    read = []
    for number, rate in enumerate(RATES):
        source = make_clip(tmp_path / f"{number}.mp4", frames=12, fps=rate)
        for asked, factor in (({}, 1), ({"fps": "2x", "interpolation": "blend"}, 2)):
            target = tmp_path / f"{number}-{factor}.mp4"
            run(source, target, **asked)
            found = ffprobe(target, "-select_streams", "v:0", "-show_entries", "stream=r_frame_rate")
            found_rate = Fraction(found["streams"][0]["r_frame_rate"])
            read.append(
                (found_rate, rate * factor)
                if times(target) == [i / (rate * factor) for i in range(12 * factor)]
                else None
            )
    right = sum(pair is not None and pair[0] == pair[1] for pair in read)
    return Finding(f"{right} of {len(read)} exact in rate and in every time", right == len(read))


@row("1 Time")
def three_hours(tmp_path: Path) -> Finding:
    """Three hours: time error under one output frame, mp4, mov and mkv, kept and doubled rates."""
    errors = {".mp4": Fraction(0), ".mov": Fraction(0), ".mkv": Fraction(0)}
    for number, rate in enumerate(RATES):
        hops = [int(rate * seconds) for seconds in range(0, HOURS + 1, 1200)]
        moments = [i / rate for hop in hops for i in (hop, hop + 1)]
        source = make_clip(tmp_path / f"{number}.mp4", frames=len(moments), fps=rate, times=moments)
        halves = [(a + b) / 2 for a, b in pairwise(moments)]
        doubled = sorted([*moments, *halves, moments[-1] + 1 / rate / 2])
        for suffix in errors:
            for asked, factor, wanted in (({}, 1, moments), ({"fps": "2x", "interpolation": "none"}, 2, doubled)):
                target = tmp_path / f"{number}-{factor}{suffix}"
                run(source, target, **asked)
                output = rate * factor
                errors[suffix] = max(errors[suffix], worst(wanted, times(target)) * output)
    words = ", ".join(f"{suffix} {float(error):.2g}" for suffix, error in errors.items())
    return Finding(
        f"largest error in output frames: {words}", all(error < Fraction(1, 10) for error in errors.values())
    )


@row("1 Time")
def three_hours_at_60_fps(tmp_path: Path) -> Finding:
    """Three hours of 24000/1001 at --fps 60: every output frame once, at its exact time."""
    rate, clock = RATES[0], Rate(Fraction(60))
    made, wrong, count = 0, 0, int(rate * HOURS)
    for index in range(count):
        for moment in clock.between(index / rate, (index + 1) / rate, index):
            wrong += moment != Fraction(made, 60)
            made += 1
    return Finding(f"{made} frames, {wrong} at a wrong time", made == ceil(count / rate * 60) and not wrong)


@row("1 Time")
def damaged_times(tmp_path: Path) -> Finding:
    """Missing, repeated and decreasing times: repaired, counted, and listed in the summary."""
    source = make_clip(tmp_path / "a.mkv", frames=9, codec="mjpeg", pix_fmt="yuvj420p")
    restamp(source, {3: 80, 6: 120})  # the fourth frame at the time of the third, the seventh before the sixth
    report = run(source, tmp_path / "b.mkv")
    moments = times(tmp_path / "b.mkv")
    repaired = {
        name: count for name, count in report.counts.items() if name in ("frames_without_time", "frames_out_of_order")
    }
    table = summary(summarize(report))
    listed = "".join(str(cell) for column in table.columns for cell in column.cells)
    holds = (
        sum(repaired.values()) == 2
        and all(a < b for a, b in pairwise(moments))
        and all(name.replace("_", " ") in listed for name in repaired)
    )
    return Finding(f"{sum(repaired.values())} of 2 repaired and listed, {len(moments)} of 9 frames in order", holds)


def restamp(path: Path, stamps: dict[int, int]) -> None:
    """Set times of frames of a Matroska file, in milliseconds: the two bytes before a block's flags."""
    with av.open(str(path)) as container:
        packets = [(p.pos, p.pts, bytes(p)) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for number, stamp in stamps.items():
        _, old, payload = packets[number]
        at = data.index(payload[:64]) - 3
        assert int.from_bytes(data[at : at + 2], "big", signed=True) == old, "the block of the first cluster"
        data[at : at + 2] = stamp.to_bytes(2, "big", signed=True)
    path.write_bytes(data)
