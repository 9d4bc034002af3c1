"""y4m and raw video in files and pipes, also between two ffmpeg processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clips import make_clip, read_number
from tests.video.test_streams import row, table
from vidsr import enhance
from vidsr.errors import ExitCode, InputError, Notes, OptionError, OutputError
from vidsr.frames import ColorInfo, FrameBatch, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.options.enhance import parse_options, parse_reading
from vidsr.options.paths import Job, list_jobs
from vidsr.pipeline.estimate import estimate_all
from vidsr.pipeline.run import enhance_file
from vidsr.pipeline.verify import verify_files
from vidsr.video import VideoReader
from vidsr.video.y4m import Y4mWriter, header

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg program")
BICUBIC: dict[str, Any] = {"scale": 2, "model": "bicubic", "log": False}
Run = Callable[..., list[str]]


def vidsr(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "vidsr", *map(str, arguments)]


@pytest.fixture
def standard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Run]:
    """Runs `enhance` in this process with a file as its standard input, ``tmp_path/out`` as its standard output."""
    descriptors = []

    def run(source: Path, target: Path = Path("-"), **options: Any) -> list[str]:
        descriptors.append(os.open(source, os.O_RDONLY))
        monkeypatch.setattr("vidsr.video.source.STANDARD_INPUT", descriptors[-1])
        descriptors.append(os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT))
        monkeypatch.setattr("vidsr.video.y4m.STANDARD_OUTPUT", descriptors[-1])
        notes = Notes()
        enhance_file(Job(Path("-"), target), parse_options(**options), on_note=notes.add)
        return notes.texts

    yield run
    for descriptor in descriptors:
        os.close(descriptor)


def batches_of(path: Path, **options: Any) -> tuple[VideoInfo, list[FrameBatch]]:
    with VideoReader(path, **options) as reader:
        return reader.info, list(reader.batches(4))


def planes(batch: FrameBatch) -> list[np.ndarray]:
    return [batch.y.numpy(), *([] if batch.uv is None else [batch.uv.numpy()])]


@pytest.mark.parametrize(
    "pix_fmt",
    ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "gray", "gray10le", "yuv420p10le", "yuv422p12le", "yuv444p16le"],
)
def test_y4m_returns_every_code_value(tmp_path: Path, pix_fmt: str) -> None:
    source = make_clip(
        tmp_path / "a.mkv", 3, (35, 21), Fraction(30000, 1001), pix_fmt, codec="ffv1", sar=Fraction(16, 15)
    )
    info, before = batches_of(source)
    report = enhance(source, tmp_path / "b.y4m", scale=1, log=False)
    assert report.verification is not None and report.verification.ok
    found, after = batches_of(tmp_path / "b.y4m")
    assert (found.chroma, found.depth, found.fps) == (info.chroma, info.depth, Fraction(30000, 1001))
    if info.color.range is not None:
        assert found.color.range == info.color.range
    for one, other in zip(planes(before[0]), planes(after[0]), strict=True):
        assert np.array_equal(one, other)
    assert after[0].times == tuple(Fraction(i * 1001, 30000) for i in range(3))


@pytest.mark.parametrize(
    ("tag", "chroma", "depth", "location"),
    [
        (b"", "420", 8, None),
        (b"420jpeg", "420", 8, "center"),
        (b"420mpeg2", "420", 8, "left"),
        (b"420paldv", "420", 8, "topleft"),
        (b"422", "422", 8, None),
        (b"444", "444", 8, None),
        (b"mono", "gray", 8, None),
        (b"mono16", "gray", 16, None),
        (b"420p10", "420", 10, None),
        (b"422p14", "422", 14, None),
    ],
)
def test_unusual_header_tags_are_read(
    tmp_path: Path, tag: bytes, chroma: str, depth: int, location: str | None
) -> None:
    path = tmp_path / "a.y4m"
    samples = {"420": 12, "422": 16, "444": 24, "gray": 8}[chroma] * 2 * (1 if depth == 8 else 2)
    tags = b" C" + tag if tag else b""
    path.write_bytes(b"YUV4MPEG2 W4 H4 F24000:1001 Ip A1:1" + tags + b"\n" + (b"FRAME\n" + bytes(samples)) * 2)
    info, (batch,) = batches_of(path)
    assert (info.chroma, info.depth, info.fps, len(batch)) == (chroma, depth, Fraction(24000, 1001), 2)
    if location is not None:
        assert info.color.chroma_location == location


def test_chroma_location_of_8_bit_clips_is_in_the_header() -> None:
    for location, word in (("left", b"C420mpeg2"), ("center", b"C420jpeg"), ("topleft", b"C420paldv")):
        info = VideoInfo(4, 4, Fraction(25), color=ColorInfo(chroma_location=location))
        assert word in header(info)


@pytest.mark.parametrize("rate", [b"F0:0", b"F0:1", b"F25:0"])
def test_a_rate_of_zero_in_the_header_is_read_as_25(tmp_path: Path, rate: bytes) -> None:
    path = tmp_path / "a.y4m"
    path.write_bytes(b"YUV4MPEG2 W4 H4 " + rate + b" Ip C420jpeg\n" + (b"FRAME\n" + bytes(24)) * 3)
    info, (batch,) = batches_of(path)
    assert info.fps == 25
    assert batch.times == (0, Fraction(1, 25), Fraction(2, 25))


def test_a_stream_that_ends_within_a_frame_keeps_the_complete_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.y4m"
    path.write_bytes(b"YUV4MPEG2 W4 H4 F25:1 Ip C420jpeg\n" + (b"FRAME\n" + bytes(24)) * 3 + b"FRAME\n" + bytes(9))
    _, (batch,) = batches_of(path)
    assert len(batch) == 3


def test_raw_planes_are_read_with_raw_and_refused_without(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", 3, codec="ffv1")
    _, (batch,) = batches_of(source)
    raw = tmp_path / "a.yuv"
    assert batch.uv is not None
    raw.write_bytes(b"".join(batch.y[i].numpy().tobytes() + batch.uv[i].numpy().tobytes() for i in range(3)))
    info, (found,) = batches_of(raw, reading=parse_reading(raw="64x48:yuv420p:24000/1001"))
    assert info.fps == Fraction(24000, 1001)
    assert np.array_equal(found.y.numpy(), batch.y.numpy())
    for wrong in ("64x48", "64x48:yuv420p:0", "0x48:yuv420p:25", "64x48:yuv420p:1/0"):
        with pytest.raises(OptionError, match="--raw"):
            parse_reading(raw=wrong)
    with pytest.raises(InputError, match="cannot be read"):
        VideoReader(raw, reading=parse_reading(raw="64x48:nonsense:25"))


def test_metadata_that_y4m_cannot_hold_is_noted(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "a.mp4",
        6,
        times=[Fraction(i * i, 100) for i in range(6)],
        rotation=90,
        tags={"colorspace": 9, "color_primaries": 9, "color_trc": 16},
    )
    report = enhance(source, tmp_path / "a.y4m", scale=1, log=False)
    assert report.verification is not None and report.verification.ok
    with VideoReader(source) as reader, Y4mWriter(tmp_path / "b.y4m", reader.info, Encoding()) as writer:
        for batch in reader.batches(4):
            writer.write(batch)
    text = "; ".join(writer.notes.texts)
    for word in ("rotation by 90", "transfer smpte2084", "frames are not shown at their original times"):
        assert word in text
    with pytest.raises(OptionError, match="y4m uses no encoder: leave out --codec"):
        Y4mWriter(tmp_path / "c.y4m", reader.info, Encoding(crf=20))


def test_a_failure_leaves_no_y4m_file(tmp_path: Path) -> None:
    info = VideoInfo(4, 4, Fraction(25))
    with pytest.raises(RuntimeError), Y4mWriter(tmp_path / "a.y4m", info, Encoding()):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


@needs_ffmpeg
def test_y4m_pipes_between_two_ffmpeg_processes(tmp_path: Path) -> None:
    """As in the README; the stream tables that ffprobe gives of both ends agree."""
    source = make_clip(tmp_path / "a.mkv", 12, (66, 49), Fraction(24000, 1001), "yuv422p10le", codec="ffv1")
    target = tmp_path / "b.mkv"
    before = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-i", source, "-strict", "-1", "-f", "yuv4mpegpipe", "-"], stdout=subprocess.PIPE
    )
    command = vidsr("enhance", "-", "--scale", "2", "--model", "bicubic", "-o", "-")
    middle = subprocess.Popen(command, stdin=before.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert before.stdout is not None and middle.stdout is not None and middle.stderr is not None
    before.stdout.close()
    after = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", "-", "-c:v", "ffv1", str(target)], stdin=middle.stdout, timeout=120, check=False
    )
    middle.stdout.close()
    messages = middle.stderr.read().decode()
    middle.stderr.close()
    assert (before.wait(), middle.wait(), after.returncode) == (0, 0, 0), messages
    assert "132x98" in messages, "the summary goes to standard error"
    (one,), (other,) = table(source)["streams"], table(target)["streams"]
    expected = {**row(one, True), "width": 132, "height": 98}
    assert {key: row(other, True).get(key) for key in expected} == expected
    _, batches = batches_of(target)
    assert [read_number(y[0].numpy()) for batch in batches for y in batch.y] == list(range(12))


@pytest.mark.parametrize("suffix", [".mkv", ".nut", ".ts"])
def test_other_containers_on_standard_input(tmp_path: Path, standard: Run, suffix: str) -> None:
    source = make_clip(tmp_path / f"a{suffix}", 5, audio=1)
    assert any(
        "left out: #1 audio" in note and "a pipe is read only once" in note for note in standard(source, **BICUBIC)
    )
    info, batches = batches_of(tmp_path / "out")
    assert (info.width, info.height) == (128, 96)
    assert [read_number(y[0].numpy()) for batch in batches for y in batch.y] == list(range(5))


def test_a_time_range_of_a_pipe_needs_no_seeking(tmp_path: Path, standard: Run) -> None:
    source = make_clip(tmp_path / "a.mkv", 20)
    standard(source, start="0.4", frames=3, **BICUBIC)
    _, batches = batches_of(tmp_path / "out")
    assert [read_number(y[0].numpy()) for batch in batches for y in batch.y] == [10, 11, 12]


def test_a_pipe_that_needs_seeking_is_one_clear_error(tmp_path: Path, standard: Run) -> None:
    source = make_clip(tmp_path / "a.mp4", 5)
    data = source.read_bytes()
    at = data.index(b"moov") - 4
    padding = 3 << 20  # more than the read buffer, between the frames and the index
    source.write_bytes(data[:at] + padding.to_bytes(4, "big") + b"free" + bytes(padding - 8) + data[at:])
    with pytest.raises(InputError, match="send a format that needs no seeking: y4m, nut, matroska"):
        standard(source, **BICUBIC)
    assert (tmp_path / "out").read_bytes() == b""


def test_an_existing_output_is_replaced_only_with_overwrite(tmp_path: Path, standard: Run) -> None:
    source = make_clip(tmp_path / "a.mkv", 2)
    (tmp_path / "b.mkv").write_text("precious")
    with pytest.raises(OutputError, match=r"b\.mkv exists"):
        standard(source, tmp_path / "b.mkv", **BICUBIC)
    standard(source, tmp_path / "b.mkv", overwrite=True, **BICUBIC)


def test_raw_in_and_raw_out(tmp_path: Path, standard: Run) -> None:
    (tmp_path / "a.yuv").write_bytes(bytes(range(96)) * 10)
    standard(tmp_path / "a.yuv", raw="8x8:yuv420p:25", scale=1, stdout_format="raw")
    assert (tmp_path / "out").read_bytes() == bytes(range(96)) * 10


def test_other_prints_do_not_mix_with_the_planes_on_standard_output(tmp_path: Path) -> None:
    code = (
        "import os, torch\n"
        "from pathlib import Path\n"
        "from vidsr.options.codecs import Encoding\n"
        "from vidsr.frames import VideoInfo\n"
        "from vidsr.video.y4m import Y4mWriter\n"
        "writer = Y4mWriter(Path('-'), VideoInfo(4, 4, None), Encoding())\n"
        "os.write(1, b'a library speaks')\n"
        "writer.__exit__(RuntimeError, None, None)\n"
        "os.write(1, b'after')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (result.stdout, result.stderr) == (b"after", b"a library speaks")


def test_a_closed_output_pipe_is_a_quiet_exit(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", 40, (320, 240))
    command = vidsr("enhance", source, "--scale", "2", "--model", "nearest", "-o", "-", "--quiet")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.read(1000).startswith(b"YUV4MPEG2 W640 H480 F25:1 ")
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == ExitCode.PIPE_CLOSED


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    enhance(make_clip(tmp_path / "a.mkv", 5), tmp_path / "a.y4m", scale=1, log=False)
    os.mkfifo(tmp_path / "pipe")
    sender = subprocess.Popen(["cp", tmp_path / "a.y4m", tmp_path / "pipe"])
    assert enhance(tmp_path / "pipe", tmp_path / "b.mkv", **BICUBIC).frames == 5
    assert sender.wait() == 0


@pytest.mark.parametrize(
    ("inputs", "output", "line"),
    [
        (["-"], None, r"- \(the standard input\) gives the output no name"),
        (["-", "a.mkv"], None, r"- \(the standard input\) gives the output no name"),
        (["a.mkv", "a.mkv"], "-", "--output - is one file for several inputs"),
        (["a.mkv", "a.mkv"], "%d.png", "%d.png is one file for several inputs"),
    ],
)
def test_a_pipe_without_an_output_or_among_other_inputs_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[str], output: str | None, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "a.mkv", 1)
    with pytest.raises(OptionError, match=line):
        list_jobs(map(Path, inputs), None if output is None else Path(output), parse_options(scale=2))


def test_an_empty_pipe_is_one_clear_error(tmp_path: Path, standard: Run) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(InputError, match="- cannot be read"):
        standard(tmp_path / "a", **BICUBIC)


@pytest.mark.parametrize("frames", [0, 40])
def test_a_silent_pipe_can_be_interrupted(tmp_path: Path, frames: int) -> None:
    """Before its header, and after a few frames, when two threads wait for it."""
    command = vidsr("enhance", "-", "--scale", "2", "--model", "nearest", "-o", tmp_path / "a.mkv", "-v")
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None and process.stderr is not None
    if frames:
        process.stdin.write(b"YUV4MPEG2 W64 H48 F25:1 C420jpeg\n" + (b"FRAME\n" + bytes(64 * 72)) * frames)
        process.stdin.flush()
    messages = process.stderr.readline()
    while frames and not list(tmp_path.iterdir()):
        time.sleep(0.05)
    time.sleep(0.3)  # it waits now
    process.send_signal(signal.SIGINT)
    messages += process.communicate(timeout=30)[1]
    assert process.returncode == ExitCode.INTERRUPTED
    assert messages.endswith(b"interrupted; no unfinished file is left\n") and b"Traceback" not in messages
    assert not list(tmp_path.iterdir())


def test_verify_and_plan_of_a_pipe_are_one_clear_error() -> None:
    with pytest.raises(InputError, match="- is a pipe, which can be read only once"):
        verify_files(Path("-"), Path("-"))
    with pytest.raises(OptionError, match="- is a pipe, which can be read only once: name a file to plan with"):
        estimate_all([Path("-")], Path("-"), parse_options(scale=2))
