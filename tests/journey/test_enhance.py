"""Runs of the whole pipeline on unusual clips. Each frame shows its number."""

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.clips import make_clip, read_number
from tests.tiers import slow
from vidsr import enhance
from vidsr.errors import InputError, Notes, OptionError, OutputError, VidsrError
from vidsr.frames import FrameBatch
from vidsr.pipeline.report import RunReport
from vidsr.video import VideoReader, VideoWriter, streams

LOSSLESS: dict[str, Any] = {"codec": "ffv1"}


def frames_of(path: Path) -> list[tuple[Fraction, int, np.ndarray]]:
    """Return (time, number shown, luma) of every frame."""
    with VideoReader(path) as reader:
        return [
            (moment, read_number(y[0].numpy()), y[0].numpy())
            for batch in reader.batches(4)
            for moment, y in zip(batch.times, batch.y, strict=True)
        ]


def test_a_variable_rate_with_gaps_of_a_millisecond_is_interpolated_into_matroska(tmp_path: Path) -> None:
    """`--frames 4 --fps 2x` failed verification: frames half a millisecond apart got one time."""
    source = make_clip(tmp_path / "a.mkv", times=[Fraction(n, 1000) for n in (0, 34, 67, 68, 268)])
    for suffix in (".mkv", ".mp4"):
        report = run(source, tmp_path / f"b{suffix}", fps="2x", frames=4, interpolation="blend")
        assert report.verification is not None and report.verification.ok
        times = [moment for moment, *_ in frames_of(tmp_path / f"b{suffix}")]
        assert len(times) == 8 and all(a < b for a, b in pairwise(times))


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("b.mkv", {"codec": "ffv1"}),
        ("b.webm", {"codec": "libvpx-vp9", "preset": "8"}),
        ("b.mov", {"codec": "prores_ks"}),
    ],
)
def test_an_output_without_the_tags_that_its_container_cannot_hold_is_verified(
    tmp_path: Path, target: str, options: dict[str, Any]
) -> None:
    """Anamorphic clips in .webm, and full range in .mov, failed verification after a note that they lose that."""
    source = make_clip(tmp_path / "a.mp4", frames=2, size=(66, 48), pix_fmt="yuvj420p", sar=Fraction(16, 15))
    notes = Notes()
    report = run(source, tmp_path / target, crf=None, scale=1, on_note=notes.add, **options)
    assert report.verification is not None and report.verification.ok
    assert any(text.startswith("left out: ") for text in notes.texts)


def test_a_sample_aspect_ratio_that_leaves_no_column_is_taken_as_square(tmp_path: Path) -> None:
    """A damaged header said 1/62977."""
    source = make_clip(tmp_path / "a.avi", frames=2, codec="mjpeg", pix_fmt="yuvj420p", sar=Fraction(1, 65))
    with VideoReader(source) as reader:
        assert reader.info.sar == 1
    assert streams(source)[0].sar == "1"


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def run(source: Path, target: Path, **options: Any) -> RunReport:
    return enhance(source, target, **{"scale": 2, "model": "bicubic", "crf": 1, **options})


def same_but_larger(source: Path, target: Path) -> None:
    """Assert that ``target`` has every frame of ``source`` in order at its own time."""
    before, after = frames_of(source), frames_of(target)
    assert [number for _, number, _ in after] == [number for _, number, _ in before]
    assert [moment for moment, _, _ in after] == [moment for moment, _, _ in before]


@pytest.mark.parametrize("model", ["nearest", "bicubic", "fast"])
@pytest.mark.parametrize("scale", [2, 4])
def test_plain_clip(tmp_path: Path, model: str, scale: int) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=7, size=(64, 48))
    report = run(source, tmp_path / "b.mp4", scale=scale, model=model)
    same_but_larger(source, tmp_path / "b.mp4")
    assert report.frames == 7
    assert (report.output.width, report.output.height) == (64 * scale, 48 * scale)


@pytest.mark.parametrize("size", [(65, 49), (63, 48), (64, 47)])
@pytest.mark.parametrize("scale", [2, 3])
def test_odd_size_420(tmp_path: Path, size: tuple[int, int], scale: int) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=3, size=size, **LOSSLESS)
    run(source, tmp_path / "b.mkv", scale=scale)
    same_but_larger(source, tmp_path / "b.mkv")


@pytest.mark.parametrize(
    "pix_fmt", ["yuv444p", "yuv422p", "gray", "yuvj420p", "yuv420p10le", "yuv422p10le", "yuv444p12le"]
)
def test_pixel_format(tmp_path: Path, pix_fmt: str) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=3, size=(64, 48), pix_fmt=pix_fmt, **LOSSLESS)
    report = run(source, tmp_path / "b.mkv", codec="ffv1", crf=None)
    same_but_larger(source, tmp_path / "b.mkv")
    with VideoReader(tmp_path / "b.mkv") as reader:
        assert (reader.info.chroma, reader.info.depth) == (report.input.chroma, report.input.depth)


def test_grey_h264_passes_verification_although_ffmpeg_decodes_it_as_420(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=3, pix_fmt="gray", **LOSSLESS)
    report = run(source, tmp_path / "b.mp4")
    assert report.verification is not None and report.verification.ok
    same_but_larger(source, tmp_path / "b.mp4")


def test_10_bit_output_uses_more_than_8_bits_of_code_values(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=2, size=(256, 64), pix_fmt="yuv420p10le", **LOSSLESS)
    run(source, tmp_path / "b.mp4", model="fast")
    with VideoReader(tmp_path / "b.mp4") as reader:
        assert reader.info.depth == 10


def test_scale_1_is_identical_to_the_code_value(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=5, size=(64, 48), **LOSSLESS)
    run(source, tmp_path / "b.mkv", scale=1, codec="ffv1", crf=None)
    for (_, _, before), (_, _, after) in zip(frames_of(source), frames_of(tmp_path / "b.mkv"), strict=True):
        assert np.array_equal(before, after)


@pytest.mark.parametrize(
    ("size", "sar", "options", "expected"),
    [
        ((720, 576), "16/15", {"scale": 1}, (768, 576)),  # PAL DVD, 4:3
        ((720, 576), "64/45", {"height": 1080}, (1920, 1080)),  # PAL DVD, 16:9
        ((720, 480), "8/9", {"scale": 1}, (720, 540)),  # NTSC DVD, 4:3: no side is reduced
        ((720, 576), "12/11", {"scale": 2}, (1572, 1152)),
    ],
)
def test_square_pixels_of_anamorphic_dvds(
    tmp_path: Path, size: tuple[int, int], sar: str, options: dict[str, int], expected: tuple[int, int]
) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=2, size=size, sar=Fraction(sar))
    notes = Notes()
    enhance(source, tmp_path / "b.mkv", model="bicubic", square_pixels=True, on_note=notes.add, **options)  # type: ignore[arg-type]
    with VideoReader(tmp_path / "b.mkv") as reader:
        assert (reader.info.width, reader.info.height, reader.info.sar) == (*expected, 1)
    assert [read_number(luma) for _, _, luma in frames_of(tmp_path / "b.mkv")] == [0, 1]
    assert f"pixels of {sar} made square: {expected[0]}x{expected[1]}" in notes.texts
    run(source, tmp_path / "c.mkv", scale=1)
    with VideoReader(tmp_path / "c.mkv") as reader:
        assert (reader.info.width, reader.info.height, reader.info.sar) == (*size, Fraction(sar))


def test_square_pixels_change_nothing_when_pixels_are_square(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=2, **LOSSLESS)
    enhance(source, tmp_path / "b.mkv", square_pixels=True, codec="ffv1")
    for (_, _, before), (_, _, after) in zip(frames_of(source), frames_of(tmp_path / "b.mkv"), strict=True):
        assert np.array_equal(before, after)
    with pytest.raises(OptionError, match="--square-pixels and --size both set the width"):
        enhance(source, tmp_path / "c.mkv", square_pixels=True, size="128x96")


@pytest.mark.parametrize(
    ("size", "scale", "tag", "text"),
    [
        ((64, 48), 2, None, "assuming BT.601 (usual for SD)"),
        ((1280, 16), 1, None, "assuming BT.709 (usual for HD)"),
        ((640, 360), 2, "smpte170m", "assuming BT.601 (usual for SD); the HD output is tagged BT.601"),
    ],
)
def test_untagged_clip_keeps_its_colours_with_a_note(
    tmp_path: Path, size: tuple[int, int], scale: int, tag: str | None, text: str
) -> None:
    """Players assume BT.601 for an untagged SD clip, and BT.709 once it is upscaled to HD."""
    source = make_clip(tmp_path / "a.mp4", frames=2, size=size)
    notes = Notes()
    enhance(source, tmp_path / "b.mp4", scale=scale, model="nearest", on_note=notes.add)
    assert [note for note in notes.texts if "colour" in note] == [f"clip has no colour tags: {text}"]
    with VideoReader(tmp_path / "b.mp4") as reader:
        assert reader.info.color.matrix == tag


def test_non_zero_start_is_kept(tmp_path: Path) -> None:
    times = [Fraction(7, 5) + Fraction(i, 25) for i in range(5)]
    source = make_clip(tmp_path / "a.mkv", frames=5, size=(64, 48), times=times)
    run(source, tmp_path / "b.mkv")
    same_but_larger(source, tmp_path / "b.mkv")


def test_variable_frame_rate_keeps_every_time(tmp_path: Path) -> None:
    times = [Fraction(i * i, 100) for i in range(8)]
    source = make_clip(tmp_path / "a.mp4", frames=8, size=(64, 48), times=times)
    run(source, tmp_path / "b.mp4")
    same_but_larger(source, tmp_path / "b.mp4")


def test_one_frame(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    run(source, tmp_path / "b.mp4")
    same_but_larger(source, tmp_path / "b.mp4")


def test_audio_is_copied_packet_for_packet_and_may_be_missing(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=10, size=(64, 48), audio=True)
    run(source, tmp_path / "b.mp4")
    assert [s.type for s in streams(tmp_path / "b.mp4")] == ["video", "audio"]


@pytest.mark.parametrize("engine", ["flow", "blend", "none"])
def test_doubled_rate_keeps_source_frames_and_adds_exact_midpoints(tmp_path: Path, engine: str) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=6, size=(64, 48), fps=25, **LOSSLESS)
    run(source, tmp_path / "b.mkv", scale=1, fps="2x", interpolation=engine, codec="ffv1", crf=None)
    before, after = frames_of(source), frames_of(tmp_path / "b.mkv")
    assert [moment for moment, _, _ in after] == [Fraction(i, 50) for i in range(12)]
    for (_, _, truth), (_, _, kept) in zip(before, after[::2], strict=True):
        assert np.array_equal(truth, kept)


FILM = [Fraction(1001 * n, 24000) for n in range(13)]
PAL = [Fraction(n, 25) for n in range(13)]
VARIABLE = [Fraction(n, 600) for n in (0, 20, 45, 60, 110, 120, 150, 161, 200)]


@pytest.mark.parametrize(
    ("times", "fps", "step"),
    [
        (FILM, "60", Fraction(1, 60)),
        (PAL, "50", Fraction(1, 50)),
        (VARIABLE, "60", Fraction(1, 60)),
        (PAL, "2.5x", Fraction(2, 125)),
        (PAL, "24", Fraction(1, 24)),
        (PAL, "25", Fraction(1, 25)),
    ],
    ids=["film to 60", "25 to 50", "variable to 60", "2.5 times", "slower", "as it is"],
)
def test_every_frame_time_is_exact_and_the_log_names_each_source_frame(
    tmp_path: Path, times: list[Fraction], fps: str, step: Fraction
) -> None:
    source, target = make_clip(tmp_path / "a.mp4", frames=len(times), times=times), tmp_path / "b.mp4"
    enhance(source, target, fps=fps, interpolation="blend", encoder_options=["qp=0"])
    before = {moment: luma for moment, _, luma in frames_of(source)}
    after = frames_of(target)
    assert [moment for moment, _, _ in after] == [n * step for n in range(len(after))]
    assert times[-1] <= after[-1][0] + step  # up to the end of the last frame, or one step earlier
    with (tmp_path / ".vidsr" / "b.mp4.frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(after)
    for row, (moment, _, luma) in zip(rows, after, strict=True):
        index, phase = int(row["source_frame"]), Fraction(row["phase"])
        assert row["scene_cut"] in ("0", "1") and row["flow_confidence"] == ""  # blending estimates no optical flow
        if moment in before:
            assert np.array_equal(luma, before[moment])
            assert (times[index], phase) == (moment, 0)
        elif moment < times[-1]:
            assert times[index] + phase * (times[index + 1] - times[index]) == moment


def test_scale_together_with_a_target_rate(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=24, size=(64, 48), fps=Fraction(24000, 1001))
    report = run(source, tmp_path / "b.mp4", scale=3, fps="60", model="fast")
    moments = [moment for moment, _, _ in frames_of(tmp_path / "b.mp4")]
    assert all(b > a for a, b in pairwise(moments))
    assert moments[:4] == [Fraction(i, 60) for i in range(4)]
    assert report.output.fps == 60


def test_several_devices_write_the_same_as_one(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=70)
    for name, device in (("one.mkv", "cpu"), ("three.mkv", "cpu,cpu,cpu")):
        report = run(source, tmp_path / name, model="fast", codec="ffv1", crf=None, device=device, fps="2x")
        assert report.frames == 140 and report.means["psnr_y_consistency"] > 20
    one, three = frames_of(tmp_path / "one.mkv"), frames_of(tmp_path / "three.mkv")
    for a, b in zip(one, three, strict=True):
        assert a[:2] == b[:2] and np.array_equal(a[2], b[2])


def test_gpu_decoding_without_a_gpu_falls_back_to_the_cpu_with_a_note(tmp_path: Path) -> None:
    from vidsr.video import nvidia

    if nvidia.cuda_problem() is None:
        pytest.skip("there is a GPU")
    notes = Notes()
    source = make_clip(tmp_path / "a.mp4")
    report = run(source, tmp_path / "b.mp4", hwaccel="cuda", on_note=notes.add)
    assert report.frames == 10
    assert [note for note in notes.texts if note.startswith("decoded on the CPU: no CUDA device")]


def test_time_range(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=50, size=(64, 48), fps=25, audio=True)
    run(source, tmp_path / "b.mp4", start="0.8", end="1.2")
    assert [number for _, number, _ in frames_of(tmp_path / "b.mp4")] == list(range(20, 30))
    run(source, tmp_path / "c.mp4", start="1", frames=3)
    assert [number for _, number, _ in frames_of(tmp_path / "c.mp4")] == [25, 26, 27]


def test_a_corrupt_packet_loses_at_most_its_group_of_pictures_and_is_counted(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=60, size=(128, 96), crf=10, gop=10)
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = os.urandom(200)
    source.write_bytes(bytes(data))
    report = run(source, tmp_path / "b.mkv")
    assert report.frames >= 45
    moments = [moment for moment, _, _ in frames_of(tmp_path / "b.mkv")]
    assert all(b > a for a, b in pairwise(moments))


@pytest.mark.parametrize("content", [b"", b"this is a text file\n" * 50, os.urandom(4096)])
def test_a_file_that_is_not_a_clip_is_one_clear_error_and_leaves_no_file(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes(content)
    with pytest.raises(InputError) as error:
        run(source, tmp_path / "b.mp4")
    assert "a.mp4" in str(error.value)
    assert "\n" not in str(error.value)
    assert names(tmp_path) == ["a.mp4"]


def test_a_missing_output_folder_is_created(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    run(source, tmp_path / "new" / "er" / "b.mp4")
    assert (tmp_path / "new" / "er" / "b.mp4").exists()


def test_an_output_folder_that_cannot_be_created_is_one_clear_error(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    with pytest.raises(OutputError, match="cannot be made"):
        run(source, source / "below" / "b.mp4")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_output_folder_is_one_clear_error(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OutputError):
        run(source, tmp_path / "locked" / "b.mp4")


def test_a_log_that_cannot_be_written_is_one_clear_error_and_leaves_no_clip(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    with pytest.raises(OutputError, match=r"b\.csv cannot be written .*: name another --log, or none"):
        run(source, tmp_path / "b.mp4", log=tmp_path / "nowhere" / "b.csv")
    assert names(tmp_path) == ["a.mp4"]


def test_an_existing_output_survives_a_failed_overwrite(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    target = tmp_path / "b.mp4"
    target.write_text("precious")
    source.write_bytes(source.read_bytes()[:300])
    with pytest.raises(VidsrError):
        run(source, target, overwrite=True)
    assert target.read_text() == "precious"


def test_an_encoder_failure_during_a_run_leaves_no_thread_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=80, size=(64, 48))
    written = 0

    def dies(self: VideoWriter, batch: FrameBatch) -> None:
        nonlocal written
        written += len(batch)
        time.sleep(0.1)  # until both queues are full
        raise OutputError("the disk is full")

    monkeypatch.setattr(VideoWriter, "write", dies)
    with pytest.raises(OutputError, match="the disk is full"):
        run(source, tmp_path / "b.mp4")
    assert written
    assert names(tmp_path) == ["a.mp4"]
    assert not [thread for thread in threading.enumerate() if thread.name in ("vidsr-decode", "vidsr-stages")]


@pytest.mark.parametrize(
    ("sent", "target"), [slow(signal.SIGINT, "b.mp4"), (signal.SIGTERM, "b.mp4"), (signal.SIGINT, "%d.png")]
)
def test_ctrl_c_and_sigterm_leave_no_partial_file(tmp_path: Path, sent: signal.Signals, target: str) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=400, size=(320, 240))
    command = [sys.executable, "-m", "vidsr", "enhance", str(source), "-o", str(tmp_path / target), "--scale", "4"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(names(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(sent)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert "interrupted" in messages
    assert "Traceback" not in messages
    assert names(tmp_path) == ["a.mp4"]


def test_the_log_has_a_row_per_frame_measured_against_the_reference(tmp_path: Path) -> None:
    truth = make_clip(tmp_path / "truth.mkv", frames=4, size=(128, 96), **LOSSLESS)
    run(truth, tmp_path / "low.mkv", scale="1/2", codec="ffv1", crf=None, log=False)
    report = run(tmp_path / "low.mkv", tmp_path / "b.mkv", reference=truth, codec="ffv1", crf=None)
    lines = (tmp_path / ".vidsr" / "b.mkv.frames.csv").read_text().splitlines()
    assert len(lines) == 5
    assert report.means["psnr_y"] == pytest.approx(report.means["bicubic_psnr_y"]), "bicubic against itself"
    assert report.means["psnr_y_consistency"] > 30


@pytest.mark.parametrize(("later", "suffix"), [("1/1000", ".mkv"), ("2/1000", ".mkv"), ("7/1", ".mp4")])
def test_a_reference_that_starts_later_is_aligned_and_measures_every_frame(
    tmp_path: Path, later: str, suffix: str
) -> None:
    rate = Fraction(30000, 1001)  # Matroska rounds its times to milliseconds
    truth = make_clip(
        tmp_path / f"truth{suffix}", size=(128, 96), times=[i / rate + Fraction(later) for i in range(10)], crf=0
    )
    low = make_clip(tmp_path / "low.mp4", frames=10, fps=rate)
    report = run(low, tmp_path / "b.mkv", reference=truth)
    assert report.counts["measured_frames"] == report.frames == 10
    assert report.means["psnr_y"] > 20  # blocks of the right number; another frame is far below


def test_frames_that_the_reference_lacks_are_counted_and_noted(tmp_path: Path) -> None:
    truth = make_clip(tmp_path / "truth.mp4", size=(128, 96), times=[Fraction(i, 25) for i in (0, 1, 2, 5, 6)])
    low = make_clip(tmp_path / "low.mp4", frames=10)
    notes = Notes()
    report = run(low, tmp_path / "b.mkv", reference=truth, on_note=notes.add)
    assert report.counts["measured_frames"] == 5
    assert any("measured 5 of 10 frames" in text for text in notes.texts)
    rows = [line.split(",") for line in (tmp_path / ".vidsr" / "b.mkv.frames.csv").read_text().splitlines()]
    measured = [int(row[0]) for row in rows[1:] if row[rows[0].index("psnr_y")]]
    assert measured == [0, 1, 2, 5, 6]


@pytest.mark.parametrize("matches", [True, False])
def test_a_reference_without_a_frame_for_any_output_frame_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, matches: bool
) -> None:
    """Nothing was measured, and nothing said so."""
    truth = make_clip(tmp_path / "truth.mp4", frames=5, size=(128, 96))
    low = make_clip(tmp_path / "low.mp4", frames=10)
    if matches:  # the reference ends before the output begins
        start, message = "0.24", r"truth.mp4 has no frame from 0.24 s to its end"
    else:
        start, message = "0", r"--reference .*truth.mp4 has no frame at the time of an output frame: name the true clip"
        monkeypatch.setattr("vidsr.stages.frame_log.ReferenceFrames.at", lambda self, time: None)
    with pytest.raises(VidsrError, match=message):
        run(low, tmp_path / "b.mkv", reference=truth, start=start)
    assert sorted(names(tmp_path)) == ["low.mp4", "truth.mp4"]


@pytest.mark.parametrize("rotation", [90, 270])
@pytest.mark.parametrize(
    ("options", "stored", "shown"),
    [
        ({"height": 96}, (96, 72), (72, 96)),
        ({"size": "60x80"}, (80, 60), (60, 80)),
        ({"size": "80x80", "fit": "pad"}, (80, 80), (80, 80)),
        ({"scale": 2}, (128, 96), (96, 128)),
    ],
)
def test_sizes_of_a_portrait_phone_clip_mean_the_frame_that_is_shown(
    tmp_path: Path, rotation: int, options: dict[str, Any], stored: tuple[int, int], shown: tuple[int, int]
) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48), rotation=rotation)
    report = enhance(source, tmp_path / "b.mp4", model="bicubic", **options)
    assert (report.output.width, report.output.height) == stored
    assert report.output.is_on_its_side and report.output.rotation % 360 == rotation
    enhance(source, tmp_path / "%d.png", model="bicubic", **options)
    image = cv2.imread(str(tmp_path / "1.png"))
    assert image is not None and (image.shape[1], image.shape[0]) == shown


def test_memory_in_flight_is_bounded_by_the_queues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=60, size=(64, 48))
    monkeypatch.setattr("vidsr.pipeline.plan.MAX_BATCH_FRAMES", 1)
    decoded = written = most = 0
    batches, write = VideoReader.batches, VideoWriter.write

    def counting(self: VideoReader, n: int) -> Any:
        nonlocal decoded
        for batch in batches(self, n):
            decoded += len(batch)
            yield batch

    def slowly(self: VideoWriter, batch: FrameBatch) -> None:
        nonlocal written, most
        most = max(most, decoded - written)
        time.sleep(0.005)
        write(self, batch)
        written += len(batch)

    monkeypatch.setattr(VideoReader, "batches", counting)
    monkeypatch.setattr(VideoWriter, "write", slowly)
    run(source, tmp_path / "b.mp4", log=False)
    assert written == 60
    assert most <= 10
