"""Runs on unexpected inputs: success or one clear error, never a traceback."""

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.clips import make_clip, read_number
from tests.commands import run_vidsr
from vidsr import enhance
from vidsr.errors import ExitCode, InputError, Notes, OptionError, OutputError
from vidsr.frames import VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.options.enhance import parse_options
from vidsr.options.paths import list_jobs
from vidsr.video import VideoReader, VideoWriter
from vidsr.video.encode_decode import encode_and_decode
from vidsr.video.encoder import LEAST_LOOKAHEAD, add_video_stream

QUICK: dict[str, Any] = {"log": False, "preset": "ultrafast"}


def tiny(path: Path, width: int, height: int, chroma: str = "420") -> Path:
    """Write three y4m frames of that size; encoders refuse such sizes, y4m holds any."""
    sx, sy = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}.get(chroma, (0, 0))
    samples = width * height + (2 * -(-width // sx) * -(-height // sy) if sx else 0)
    tag = "mono" if chroma == "gray" else chroma
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F25:1 C{tag}\n".encode() + (b"FRAME\n" + bytes([99] * samples)) * 3)
    return path


def large(path: Path) -> Path:
    """Write one flat frame of 7680x4320, which is quick to make."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 7680, 4320, "yuv420p"
        stream.codec_context.options = {"preset": "ultrafast"}
        frame = av.VideoFrame(7680, 4320, "yuv420p")
        for plane in frame.planes:
            np.frombuffer(plane, np.uint8)[:] = 99
        frame.pts = 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("chroma", ["420", "422", "444", "gray"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 1)])
@pytest.mark.parametrize("model", ["bicubic", "fast"])
def test_frames_one_sample_wide_or_high(tmp_path: Path, size: tuple[int, int], chroma: str, model: str) -> None:
    report = enhance(tiny(tmp_path / "a.y4m", *size, chroma), tmp_path / "b.mkv", scale=2, model=model, **QUICK)
    assert (report.output.width, report.output.height) == (2 * size[0], 2 * size[1])
    with VideoReader(tmp_path / "b.mkv") as reader:
        (batch,) = reader.batches(4)
    assert np.abs(batch.y.numpy().astype(int) - 99).max() <= 1
    if batch.uv is not None and chroma != "gray":
        assert np.abs(batch.uv.numpy().astype(int) - 99).max() <= 1


def test_frames_of_one_sample_at_twice_the_rate(tmp_path: Path) -> None:
    report = enhance(tiny(tmp_path / "a.y4m", 1, 1), tmp_path / "b.mkv", scale=2, fps="2x", model="fast", **QUICK)
    assert report.frames == 6


def test_an_8k_frame(tmp_path: Path) -> None:
    source = large(tmp_path / "a.mp4")
    report = enhance(source, tmp_path / "b.mp4", scale="1/8", model="bilinear", **QUICK)
    assert (report.output.width, report.output.height) == (960, 540)


@pytest.mark.slow
def test_an_8k_frame_upscaled_by_two(tmp_path: Path) -> None:
    source = large(tmp_path / "a.mp4")
    report = enhance(source, tmp_path / "b.mp4", scale=2, model="nearest", verify=False, **QUICK)
    assert (report.output.width, report.output.height) == (15360, 8640)


@pytest.mark.parametrize(("codec", "size"), [("libx264", (30720, 17280)), ("libx265", (16384, 9216))])
def test_a_size_that_the_encoder_refuses_is_one_clear_error(tmp_path: Path, codec: str, size: tuple[int, int]) -> None:
    with pytest.raises(OutputError, match=f"{codec} does not start with frames of {size[0]}x{size[1]} .*another size"):
        VideoWriter(tmp_path / "a.mkv", VideoInfo(*size, Fraction(25)), Encoding(codec))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("size", "frames"), [((3840, 2160), None), ((7680, 4320), "10"), ((15360, 8640), str(LEAST_LOOKAHEAD))]
)
def test_encoders_hold_fewer_large_frames(tmp_path: Path, size: tuple[int, int], frames: str | None) -> None:
    for codec in ("libx264", "libx265"):
        with av.open(str(tmp_path / "a.mkv"), "w") as output:
            stream = add_video_stream(output, VideoInfo(*size, Fraction(25)), Encoding(codec), Fraction(1, 25))
            options = stream.codec_context.options
            x265 = dict(pair.split("=") for pair in options.get("x265-params", "").split(":") if pair)
            assert (options if codec == "libx264" else x265).get("rc-lookahead") == frames


@pytest.mark.parametrize(
    ("height", "encoding", "threads"),
    [
        (1080, Encoding(), 5),
        (1080, Encoding(threads=1), 1),
        (1080, Encoding(slices=True), 0),
        (4320, Encoding(), 0),  # so large that slice threads are used
        (480, Encoding(), 0),
    ],
)
def test_x264_gets_more_frame_threads_than_its_default(
    height: int, encoding: Encoding, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsr.video.encoder.processors", lambda: 2)
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        stream = add_video_stream(output, VideoInfo(2 * height, height, Fraction(25)), encoding, Fraction(1, 25))
        assert stream.codec_context.thread_count == threads


@pytest.mark.parametrize("width", [16, 40, 48])
def test_frames_too_narrow_for_libx265_are_refused(tmp_path: Path, width: int) -> None:
    with pytest.raises(OptionError, match=f"libx265 needs frames at least 64 pixels wide, and these have {width}"):
        VideoWriter(tmp_path / "a.mkv", VideoInfo(width, 48, Fraction(25)), Encoding("libx265"))
    with pytest.raises(OptionError, match="libx265 needs frames at least 64 pixels wide"):
        encode_and_decode(np.zeros((2, 48, width), np.uint8), "libx265", 30)
    assert not list(tmp_path.iterdir())


def test_grey_h264_passes_verification(tmp_path: Path) -> None:
    """FFmpeg decodes it as 4:2:0."""
    source = make_clip(tmp_path / "a.mkv", 3, pix_fmt="gray", codec="ffv1")
    report = enhance(source, tmp_path / "b.mp4", scale=2, model="bicubic", **QUICK)
    assert report.verification is not None and report.verification.ok


def test_change_of_size_names_frame_and_sizes_and_leaves_no_file(tmp_path: Path) -> None:
    small, large = (make_clip(tmp_path / f"{width}.ts", 5, (width, 48)) for width in (64, 96))
    (tmp_path / "a.ts").write_bytes(small.read_bytes() + large.read_bytes())
    with pytest.raises(InputError, match=r"a\.ts changes from 64x48 to 96x48 at frame 5, .* s: cut it there"):
        enhance(tmp_path / "a.ts", tmp_path / "b.mkv", scale=2, model="nearest", **QUICK)
    assert {path.name for path in tmp_path.iterdir()} == {"64.ts", "96.ts", "a.ts"}


def test_a_stream_without_times(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.h264", 10, fps=25, options={"bf": "0"})
    report = enhance(source, tmp_path / "b.mkv", scale=2, model="nearest", **QUICK)
    with VideoReader(tmp_path / "b.mkv") as reader:
        batches = list(reader.batches(20))
    assert [read_number(y[0].numpy()) for batch in batches for y in batch.y] == list(range(10))
    assert [time for batch in batches for time in batch.times] == [Fraction(i, 25) for i in range(10)]
    assert report.frames == 10


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_huge_metadata(tmp_path: Path, suffix: str) -> None:
    text = "x\n=;#\\ö字" * 200_000  # 2 MB
    source = make_clip(tmp_path / f"a{suffix}", 3, metadata={"comment": text, "title": "t" * 70_000})
    report = enhance(source, tmp_path / f"b{suffix}", scale=2, model="nearest", **QUICK)
    assert report.verification is not None and report.verification.ok
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    assert tags["comment"] == text


@pytest.mark.parametrize(
    "name", ["a b", 'it\'s "so"', "line\nbreak", "ö字ш🎬", "-dash", "%05d", "a:b|c?*[x]", "file:x"]
)
def test_paths_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    source = make_clip(Path("plain.mkv"), 2, audio=1).rename(Path(name, f"{name}.mkv"))
    target = Path(name, f"{name} out.mp4")
    report = enhance(source, target, scale=2, model="nearest", preset="ultrafast")
    assert report.verification is not None and report.verification.ok
    assert {path.name for path in target.parent.iterdir()} == {source.name, target.name, ".vidsr"}
    assert {path.name for path in (target.parent / ".vidsr").iterdir()} == {
        f"{target.name}.frames.csv",
        f"{target.name}.report.json",
    }


def test_a_loop_of_links_in_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    (tmp_path / "a" / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    make_clip(tmp_path / "a" / "b" / "c.mp4", 1)
    listed = list_jobs([tmp_path / "a"], None, parse_options(scale=2))
    assert tmp_path / "a" / "b" / "c.mp4" in [job.source for job in listed.jobs]
    assert len(listed.jobs) <= 2


def test_a_file_that_links_to_itself_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"a\.mp4"):
        list_jobs([tmp_path / "a.mp4"], None, parse_options(scale=2))


def test_an_endless_file_is_read_up_to_the_requested_frames(tmp_path: Path) -> None:
    command = ["head", "-c", "6000", "/dev/zero"]
    (tmp_path / "a.yuv").write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    report = enhance(tmp_path / "a.yuv", tmp_path / "b.mkv", scale=2, raw="8x8:gray:25", frames=5, model="nearest")
    assert report.frames == 5


def test_a_reference_of_another_size_or_without_a_log_is_one_clear_error(tmp_path: Path) -> None:
    source = tiny(tmp_path / "a.y4m", 8, 6)
    with pytest.raises(OptionError, match=r"a\.y4m is 8x6 and the output 16x12: name a clip of that size"):
        enhance(source, tmp_path / "b.mkv", scale=2, model="nearest", preset="ultrafast", reference=source)
    assert [path.name for path in tmp_path.iterdir()] == ["a.y4m"]
    with pytest.raises(OptionError, match="--reference needs the per-frame log"):
        parse_options(scale=2, log="none", reference=source)


def two_tracks(path: Path) -> Path:
    """Write a clip of two video tracks, 64x48 and 96x64, with an audio track between them."""
    parts = [
        make_clip(path.with_name("1.mp4"), 10, size=(64, 48), audio=1),
        make_clip(path.with_name("2.mp4"), 13, size=(96, 64), fps=30),
    ]
    with av.open(str(path), "w") as new:
        sources = [av.open(str(part)) for part in parts]
        copies = [[new.add_stream_from_template(stream) for stream in source.streams] for source in sources]
        for source, streams in zip(sources, copies, strict=True):
            for packet in source.demux():
                if packet.size:
                    packet.stream = streams[packet.stream.index]
                    new.mux(packet)
            source.close()
    return path


@pytest.mark.parametrize(("track", "frames", "sizes"), [
    (None, 10, [(128, 96), (96, 64)]), (1, 10, [(128, 96), (96, 64)]), (2, 13, [(64, 48), (192, 128)]),
])  # fmt: skip
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_of_two_video_tracks_one_is_enhanced_and_verified_and_the_other_copied(
    tmp_path: Path, suffix: str, track: int | None, frames: int, sizes: list[tuple[int, int]]
) -> None:
    source = two_tracks(tmp_path / "a.mp4")
    notes = Notes()
    report = enhance(source, tmp_path / f"b{suffix}", scale=2, model="bicubic", video_track=track, on_note=notes.add)
    assert report.verification is not None
    assert report.verification.ok
    assert report.frames == frames
    assert any("2 video tracks: enhancing #0" in text for text in notes.texts) == (track is None)
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        assert [(stream.width, stream.height) for stream in container.streams.video] == sizes


def test_verify_is_told_which_video_track_was_enhanced(tmp_path: Path) -> None:
    source, output = two_tracks(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    enhance(source, output, scale=2, model="bicubic", video_track=2)
    assert run_vidsr("verify", source, output, "--video-track", "2").returncode == ExitCode.DONE
    (tmp_path / ".vidsr" / "b.mp4.report.json").unlink()  # which names the track too
    assert run_vidsr("verify", source, output, "--video-track", "2").returncode == ExitCode.DONE
    assert run_vidsr("verify", source, output, "--video-track", "1").returncode == ExitCode.VERIFY_FAILED
    assert run_vidsr("verify", source, output, "--video-track", "3").returncode == ExitCode.BAD_REQUEST


def test_a_video_track_that_does_not_exist_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 2 video tracks: --video-track 3 is too large"):
        enhance(two_tracks(tmp_path / "a.mp4"), tmp_path / "b.mp4", scale=2, model="bicubic", video_track=3)


def test_video_that_an_edit_list_cuts_between_keyframes_begins_at_zero(repro: Path) -> None:
    with VideoReader(repro / "edit_list_no_sync_frame.mp4", end=Fraction(1, 10)) as reader:
        times = [time for batch in reader.batches(8) for time in batch.times]
    assert times == [Fraction(i, 30) for i in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize("start", [None, "1"])
def test_an_edit_list_without_a_keyframe_before_its_start_keeps_the_times(
    repro: Path, tmp_path: Path, start: str | None
) -> None:
    """The file cuts its first 17 frames; the others last 2.37 s, as does the sound, and all are there."""
    source = repro / "edit_list_no_sync_frame.mp4"
    target = tmp_path / "b.mkv"
    report = enhance(source, target, size="160x90", model="bicubic", preset="ultrafast", start=start)
    assert report.verification is not None
    assert report.verification.ok
    assert not report.truncated
    with VideoReader(source) as reader:
        times = [time for batch in reader.batches(8) for time in batch.times]
    assert times[0] == 0
    assert (len(times), float(times[-1])) == (68, pytest.approx(2.3017, abs=1e-4))
    assert report.frames == sum(time >= int(start or 0) for time in times)
