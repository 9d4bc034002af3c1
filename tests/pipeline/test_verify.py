"""Verification: right files pass, and every kind of fault is named."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from tests.clips import make_clip
from tests.damage import written_again
from vidsr import enhance
from vidsr.errors import VerifyError
from vidsr.options.codecs import Encoding
from vidsr.options.enhance import parse_timing
from vidsr.options.output_names import report_path
from vidsr.options.source import Reading
from vidsr.pipeline.expected_times import read_report
from vidsr.pipeline.verify import verify, verify_files
from vidsr.video import ExpectedContents, VideoReader, VideoWriter, packet_check

FAST = Encoding(preset="ultrafast")


def copied(source: Path, target: Path, start: Fraction | None = None, end: Fraction | None = None) -> ExpectedContents:
    with (
        VideoReader(source, start, end) as reader,
        VideoWriter(target, reader.info, FAST, source, start, end) as writer,
    ):
        for batch in reader.batches(8):
            writer.write(batch)
    return writer.expected


ODD: dict[str, dict[str, Any]] = {
    "plain": {},
    "late_audio_two_tracks_chapters_cover": {
        "audio": 2,
        "audio_start": Fraction(1, 3),
        "chapters": True,
        "cover": True,
    },
    "rotated_anamorphic": {"rotation": 90, "sar": Fraction(16, 11)},
    "variable_rate": {"times": [Fraction(i * i, 100) for i in range(60)]},
    "non_zero_start": {"times": [Fraction(7, 5) + Fraction(i, 25) for i in range(60)], "audio": 1},
    "ntsc": {"fps": Fraction(30000, 1001), "audio": 1},
    "444": {"pix_fmt": "yuv444p"},
    "10_bit_hlg": {"pix_fmt": "yuv420p10le", "tags": {"colorspace": 9, "color_primaries": 9, "color_trc": 18}},
    "gray": {"pix_fmt": "gray"},
    "full_range": {"pix_fmt": "yuvj420p"},
    "text": {"subtitles": "mov_text"},
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("oddity", ODD)
def test_odd_clips_pass(tmp_path: Path, oddity: str, suffix: str) -> None:
    source = make_clip(tmp_path / "a.mp4", **{"frames": 60, **ODD[oddity]})
    expected = copied(source, tmp_path / f"b{suffix}")
    verify(expected).raise_if_failed()
    verify_files(source, expected.path).raise_if_failed()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_matroska_with_ass_and_font_and_transport_stream_pass(tmp_path: Path, suffix: str) -> None:
    rich = make_clip(tmp_path / "a.mkv", frames=60, audio=2, subtitles="ass", font=b"font" * 99, chapters=True)
    verify(copied(rich, tmp_path / f"b{suffix}")).raise_if_failed()
    stream = make_clip(tmp_path / "a.ts", frames=60, audio=1)
    verify(copied(stream, tmp_path / f"c{suffix}")).raise_if_failed()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_time_range_passes(tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=100, audio=1, subtitles="subrip", gop=10)
    verify(copied(source, tmp_path / f"b{suffix}", Fraction(1), Fraction("2.51"))).raise_if_failed()


def test_a_real_phone_clip_passes(data: Path, tmp_path: Path) -> None:
    source = data / "clips" / "phone_dog_vfr.mp4"
    verification = verify(copied(source, tmp_path / "b.mp4"))
    verification.raise_if_failed()
    assert len(verification.checks) >= 10


@pytest.fixture
def expected(tmp_path: Path) -> ExpectedContents:
    return copied(make_clip(tmp_path / "a.mp4", frames=40, audio=1, gop=10), tmp_path / "b.mp4")


def names_of_failures(expected: ExpectedContents) -> list[str]:
    verification = verify(expected)
    assert not verification.ok
    with pytest.raises(VerifyError) as error:
        verification.raise_if_failed()
    assert "\n" not in str(error.value)
    assert verification.failures[0].name in str(error.value)
    return [check.name for check in verification.failures]


def test_a_missing_frame_is_named(expected: ExpectedContents) -> None:
    more = replace(expected, times=(*expected.times, Fraction(9)))
    assert names_of_failures(more) == ["frames", "largest gap", "end of the last frame"]


def test_a_wrong_time_is_named(expected: ExpectedContents) -> None:
    moved = replace(expected, times=(*expected.times[:-1], expected.times[-1] + Fraction(1, 1000)))
    assert names_of_failures(moved) == ["frame times", "largest gap"]


def test_a_wrong_tag_and_size_are_named(expected: ExpectedContents) -> None:
    info = replace(expected.info, width=66, color=replace(expected.info.color, matrix="bt2020nc"))
    assert names_of_failures(replace(expected, info=info)) == ["size", "matrix"]


def test_a_frame_that_does_not_decode_is_named(expected: ExpectedContents) -> None:
    with av.open(str(expected.path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    at, size = packets[15]
    data = bytearray(expected.path.read_bytes())
    data[at + 5 : at + size] = bytes(size - 5)
    expected.path.write_bytes(data)
    assert "every frame decodes" in names_of_failures(expected)


def test_changed_audio_is_named(expected: ExpectedContents, tmp_path: Path) -> None:
    other = make_clip(tmp_path / "other.mp4", frames=40, audio=2)
    assert names_of_failures(replace(expected, source=other))[0] == "copied streams"
    shifted = make_clip(tmp_path / "shifted.mp4", frames=40, audio=1, audio_start=Fraction(1, 10))
    assert "copied stream 1 (audio aac eng): drift" in names_of_failures(replace(expected, source=shifted))


def test_frames_of_another_rate_are_a_difference_unless_an_option_asks_for_them(tmp_path: Path) -> None:
    slow = make_clip(tmp_path / "a.mp4", frames=20, fps=25)
    fast = make_clip(tmp_path / "b.mp4", frames=40, fps=50)
    assert {check.name for check in verify_files(slow, fast).failures} == {"frames", "largest gap"}
    doubled = parse_timing(Reading(), fps="2x")
    verify_files(slow, fast, options=doubled).raise_if_failed()
    assert "frames" in {check.name for check in verify_files(slow, slow, options=doubled).failures}
    with_audio = make_clip(tmp_path / "c.mp4", frames=20, audio=1)
    assert [check.name for check in verify_files(with_audio, fast, options=doubled).failures] == ["copied streams"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    "options",
    [
        {"fps": "2x"},
        {"fps": 60},
        {"fps": "24000/1001"},
        pytest.param({"slow_motion": 4}, marks=pytest.mark.slow),
        {"fps": 30, "slow_motion": 2},
        {"start": "1.73", "end": "2.52"},
        {"start": "0.5", "frames": 11, "fps": 48},
    ],
    ids=str,
)
def test_the_report_or_the_options_of_a_run_tell_which_frames_to_expect(
    tmp_path: Path, options: dict[str, Any], suffix: str
) -> None:
    times = [Fraction(7, 5) + Fraction(i + (i % 3 == 1) * Fraction(1, 4), 25) for i in range(40)]
    source = make_clip(tmp_path / f"a{suffix}", frames=40, audio=1, chapters=True, times=times, gop=10)
    target = tmp_path / f"b{suffix}"
    run_options = {"fps": None, **options}
    enhance(source, target, scale=1, interpolation="none" if "fps" in options else "auto", model="nearest",
            preset="ultrafast", log=False, **run_options)  # fmt: skip
    verify_files(source, target).raise_if_failed()
    report_path(target).unlink()
    verify_files(source, target, options=parse_timing(Reading(), **options)).raise_if_failed()
    assert not verify_files(source, target).ok


def test_a_report_of_another_run_or_with_garbage_is_ignored(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=6)
    enhance(source, tmp_path / "b.mp4", fps="2x", interpolation="none", log=False)
    assert read_report(source, tmp_path / "b.mp4") is not None
    assert read_report(tmp_path / "other.mp4", tmp_path / "b.mp4") is None
    for text in ("", "[]", "3", "null", '{"source": "a.mp4", "target": "b.mp4"}', "\0\xff"):
        report_path(tmp_path / "b.mp4").write_text(text)
        assert read_report(source, tmp_path / "b.mp4") is None


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_audio_with_a_gap_passes(tmp_path: Path, suffix: str) -> None:
    """MP4 lets the packet before a gap last through it."""
    make_clip(tmp_path / "a.mkv", frames=40, audio=1)
    written_again(tmp_path / "a.mkv", tmp_path / "gap.mkv", lambda parts: parts.drop("audio0", range(20, 30)))
    verify(copied(tmp_path / "gap.mkv", tmp_path / f"b{suffix}")).raise_if_failed()


def test_a_verification_as_json(expected: ExpectedContents) -> None:
    report = verify(expected).to_json()
    assert report["ok"] is True
    assert {"name": "frames", "expected": "40", "found": "40", "ok": True} in report["checks"]


def test_nothing_is_written_to_the_terminal(tmp_path: Path) -> None:
    """Neither FFmpeg nor an encoder may write between the lines of the progress bar."""
    code = """
import sys
from fractions import Fraction
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.clips import make_clip
from tests.damage import written_again
from vidsr.options.codecs import Encoding
from vidsr.options.enhance import parse_timing
from vidsr.options.source import Reading
from vidsr.pipeline.expected_times import read_report
from vidsr.options.output_names import report_path
from vidsr.pipeline.verify import verify
from vidsr.video import VideoReader, VideoWriter
folder = Path({folder!r})
source = make_clip(folder / "a.mkv", frames=3, size=(64, 64), audio=1)
for codec in ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks"):
    with VideoReader(source) as reader, VideoWriter(folder / "b.mkv", reader.info, Encoding(codec), source) as writer:
        for batch in reader.batches(3):
            writer.write(batch)
    verify(writer.expected).raise_if_failed()
    (folder / "b.mkv").unlink()
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code.format(root=str(root), folder=str(tmp_path))],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_large_frames_are_decoded_on_few_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packet_check, "processors", lambda: 2)
    sizes = ((1920, 1080, 5), (3840, 2160, 0))
    for width, height, threads in sizes:
        context = SimpleNamespace(width=width, height=height)
        packet_check.set_up_decoder(context)  # type: ignore[arg-type]
        assert context.thread_count == threads
