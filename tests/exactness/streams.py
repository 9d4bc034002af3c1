"""Measurements of streams: tables, copied packets, image sequences, pipes and lost streams."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from tests.clips import make_clip
from tests.exactness.table import Finding, folder, row, run
from tests.journey import test_image_sequences
from tests.video import test_streams
from vidsr import enhance
from vidsr.video import VideoReader, inspect_file, lost_streams, streams


@row("5 Streams", tested_in="tests/video/test_streams.py")
def stream_tables_of_unusual_clips(tmp_path: Path) -> Finding:
    """Streams, chapters and format by ffprobe of unusual clips and of their x2 upscale: equal except for the size."""
    wrong = {}
    oddities = [*test_streams.CLIPS, "phone_clip_of_variable_rate"]
    for oddity in oddities:
        if found := test_streams.differences(oddity, folder(tmp_path, oddity)):
            wrong[oddity] = found
    words = f": {wrong}" if wrong else f" ({', '.join(name.replace('_', ' ') for name in oddities)})"
    return Finding(f"{len(oddities) - len(wrong)} of {len(oddities)} clips{words}", not wrong)


@row("5 Streams")
def copied_packets(tmp_path: Path) -> Finding:
    """Copied audio, subtitles, fonts and covers: equal packets, times within 1 ms, into mp4, mov and mkv."""
    sources = [
        make_clip(tmp_path / "a.mkv", 50, audio=2, subtitles="ass", font=b"font" * 99, chapters=True),
        make_clip(tmp_path / "b.mp4", 50, audio=1, subtitles="mov_text", cover=True, chapters=True),
        make_clip(tmp_path / "c.ts", 50, audio=1),
        make_clip(tmp_path / "d.webm", 50, codec="libvpx-vp9", audio=1),
    ]
    packets, worst = 0, Fraction(0)
    for source, suffix in product(sources, (".mp4", ".mov", ".mkv")):
        target = tmp_path / f"{source.stem}-out{suffix}"
        run(source, target)
        before, after = inspect_file(source, target, decode=False), inspect_file(target)
        shift = after.times[0] - before.times[0]
        for old, new in zip(before.tracks, after.tracks, strict=True):
            assert [packet.digest for packet in old.packets] == [packet.digest for packet in new.packets], (
                f"{target.name} {old}"
            )
            packets += len(new.packets)
            drifts = [abs(a.time + shift - b.time) for a, b in zip(old.packets, new.packets, strict=True) if new.timed]
            worst = max([worst, *drifts])
    words = f"{packets} packets in {len(sources) * 3} files, all equal; largest change {float(worst * 1000):.3g} ms"
    return Finding(words, worst <= Fraction(1, 1000))


@row("5 Streams", tested_in="tests/journey/test_image_sequences.py")
def image_sequences(tmp_path: Path) -> Finding:
    """PNG sequences of noise in and out, 8 and 16 bits, grey and RGB, --scale 1: every sample equal."""
    worst, count = 0, 0
    for dtype, grey in product((np.uint8, np.uint16), (False, True)):
        source = test_image_sequences.images(tmp_path / f"{count}", 4, dtype=dtype, grey=grey)
        target = folder(tmp_path, f"{count}-out") / "%05d.png"
        enhance(source, target, **test_image_sequences.SCALE_1)
        for number in range(1, 5):
            before, after = (
                test_image_sequences.read(path.with_name(f"{number:05d}.png")) for path in (source, target)
            )
            worst = max(worst, int(np.abs(before.astype(int) - after).max()))
            count += 1
    return Finding(f"{count} images: largest difference {worst} code values", worst == 0)


@row("5 Streams", tested_in="tests/video/test_y4m.py")
def y4m_through_a_pipe(tmp_path: Path) -> Finding:
    """y4m on standard input and output, --scale 1, 4:2:0 to 4:4:4 and grey, 8 and 10 bits: equal planes and rate."""
    worst, count = 0, 0
    for pix_fmt in ("yuv420p", "yuv422p10le", "yuv444p", "gray"):
        clip = make_clip(tmp_path / f"{pix_fmt}.mkv", 4, (66, 49), Fraction(24000, 1001), pix_fmt, codec="ffv1")
        source, target = tmp_path / f"{pix_fmt}.y4m", tmp_path / f"{pix_fmt}-out.y4m"
        enhance(clip, source, **test_image_sequences.SCALE_1)
        command = [sys.executable, "-m", "vidsr", "enhance", "-", "--scale", "1", "-o", "-"]
        with source.open("rb") as given, target.open("wb") as taken:
            subprocess.run(command, stdin=given, stdout=taken, stderr=subprocess.DEVNULL, check=True)
        with VideoReader(clip) as before, VideoReader(target) as after:
            assert before.info.fps == after.info.fps
            (old,), (new,) = before.batches(9), after.batches(9)
        worst = max(worst, int((old.y.int() - new.y.int()).abs().max()))
        if old.uv is not None and new.uv is not None:
            worst = max(worst, int((old.uv.int() - new.uv.int()).abs().max()))
        count += 1
    return Finding(f"{count} streams: largest difference {worst} code values", worst == 0)


@row("5 Streams")
def noted_losses(tmp_path: Path) -> Finding:
    """Streams that a container cannot hold are noted before the run, with a container that can; no others are lost."""
    source = make_clip(tmp_path / "a.mkv", 10, audio=2, subtitles="ass", font=b"font" * 99, cover=True, chapters=True)
    total, lost, noted = len(streams(source)), [], []
    for suffix in (".mkv", ".mp4", ".mov", ".webm"):
        target = tmp_path / f"b{suffix}"
        codec: dict[str, Any] = {"codec": "libvpx-vp9", "preset": "8"} if suffix == ".webm" else {}
        notes = [note for note in map(str, lost_streams(source, target)) if "#" in note and "cannot hold it" in note]
        run(source, target, **codec)
        lost.append(
            total - sum(stream.type != "data" for stream in streams(target))
        )  # MP4 stores chapters in a data stream
        noted.append(len(notes))
        assert all(".mkv can" in note for note in notes)
    return Finding(f"of {total} streams lost in mkv, mp4, mov, webm: {lost}; noted: {noted}", lost == noted)
