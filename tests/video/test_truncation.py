"""Truncated clips: everything readable is written, with a warning and exit code 4."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.clips import make_clip
from tests.journey.test_odd_inputs import QUICK, tiny
from vidsr import enhance
from vidsr.cli.batch import enhance_listed
from vidsr.cli.progress import Reporter, Verbosity
from vidsr.errors import ExitCode
from vidsr.options.enhance import parse_options
from vidsr.options.paths import list_jobs

HEADER, FRAME = len(b"YUV4MPEG2 W64 H48 F25:1 C420\n"), len(b"FRAME\n") + 64 * 48 * 3 // 2


def three_frames(path: Path) -> bytearray:
    return bytearray(tiny(path, 64, 48).read_bytes())


def cut_within_a_frame(clip: bytearray) -> None:
    del clip[HEADER + 2 * FRAME + 100 :]


def cut_within_a_frame_header(clip: bytearray) -> None:
    del clip[HEADER + 2 * FRAME + 3 :]


def garbage_between_frames(clip: bytearray) -> None:
    clip[HEADER + 2 * FRAME : HEADER + 2 * FRAME] = bytes(range(256)) * 3


def a_frame_header_damaged(clip: bytearray) -> None:
    clip[HEADER + 2 * FRAME + 1] = 0


@pytest.mark.parametrize(
    "damage", [cut_within_a_frame, cut_within_a_frame_header, garbage_between_frames, a_frame_header_damaged]
)
def test_y4m(tmp_path: Path, damage: Callable[[bytearray], None]) -> None:
    clip = three_frames(tmp_path / "a.y4m")
    damage(clip)
    (tmp_path / "a.y4m").write_bytes(clip)
    report = enhance(tmp_path / "a.y4m", tmp_path / "b.mkv", scale=2, model="nearest", **QUICK)
    assert report.frames == 2
    (note,) = [note for note in report.notes if note.code == "source_truncated"]
    assert report.truncated and note.level == "warning"
    assert "is truncated: the last readable frame is at 0.040 s" in note.text


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_an_interrupted_download_is_truncated(tmp_path: Path, suffix: str) -> None:
    complete, short = make_clip(tmp_path / f"complete{suffix}", 50, gop=5, audio=1), tmp_path / f"short{suffix}"
    if suffix == ".mp4":
        complete = index_first(complete, tmp_path / "first.mp4")
    short.write_bytes(complete.read_bytes()[: complete.stat().st_size * 2 // 3])
    complete_run, run = (
        enhance(a, tmp_path / f"{a.stem}.x2.mkv", scale=2, model="nearest", **QUICK) for a in (complete, short)
    )
    assert not complete_run.truncated and complete_run.frames == 50
    assert run.truncated and 0 < run.frames < 45


def index_first(clip: Path, copy: Path) -> Path:
    """Return a copy of the MP4 ``clip`` with its index at the front.

    A part of such a file can be read.
    """
    with av.open(str(clip)) as source, av.open(str(copy), "w", options={"movflags": "faststart"}) as target:
        streams = {stream: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream]
                target.mux(packet)
    return copy


def test_an_empty_file_in_an_image_sequence_truncates_it(tmp_path: Path) -> None:
    enhance(tiny(tmp_path / "a.y4m", 64, 48), tmp_path / "%d.png", scale=1, log=False)
    complete = enhance(tmp_path / "%d.png", tmp_path / "complete.mkv", scale=2, model="nearest", **QUICK)
    (tmp_path / "2.png").write_bytes(b"")
    short = enhance(tmp_path / "%d.png", tmp_path / "short.mkv", scale=2, model="nearest", **QUICK)
    assert (complete.frames, complete.truncated) == (3, False)
    assert short.frames == 1 and short.truncated


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_longer_audio_and_a_late_start_are_not_truncation(tmp_path: Path, suffix: str) -> None:
    times = [Fraction(3) + Fraction(n, 25) for n in range(10)]
    clip = make_clip(tmp_path / f"a{suffix}", 10, times=times, audio=1)
    report = enhance(clip, tmp_path / f"b{suffix}", scale=2, model="nearest", **QUICK)
    assert not report.truncated


def test_exit_code_and_message_of_a_folder_with_one_truncated_clip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    tiny(tmp_path / "in" / "complete.y4m", 64, 48)
    clip = three_frames(tmp_path / "in" / "short.y4m")
    (tmp_path / "in" / "short.y4m").write_bytes(clip[:-1])
    options = parse_options(scale=2, model="nearest", log="none", preset="ultrafast")
    with Reporter(Verbosity.QUIET) as reporter:
        listed = list_jobs([tmp_path / "in"], tmp_path / "out", options)
        assert enhance_listed(listed, options, reporter) is ExitCode.TRUNCATED
    messages = capsys.readouterr().err.splitlines()
    assert len(messages) == 1 and "short.y4m is truncated" in messages[0]
