"""Decoding and encoding on a GPU, or fallback to the CPU with a note."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame

from tests.clips import make_clip
from vidsr.errors import Notes, OutputError
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.options.enhance import parse_options
from vidsr.options.paths import Job
from vidsr.options.source import Reading
from vidsr.pipeline.run import enhance_file
from vidsr.video import VideoReader, nvidia, open_writer
from vidsr.video.planes import integer_planes

NVDEC = Reading(hwaccel="cuda")


def frames(path: Path, reading: Reading | None = None) -> tuple[list[FrameBatch], VideoInfo, list[str]]:
    with VideoReader(path, reading=reading) as reader:
        return list(reader.batches(4)), reader.info, reader.notes.texts


def assert_same(a: list[FrameBatch], b: list[FrameBatch]) -> None:
    for left, right in zip(a, b, strict=True):
        assert left.times == right.times and left.y.dtype == right.y.dtype
        assert torch.equal(left.y, right.y)
        assert left.uv is not None and right.uv is not None and torch.equal(left.uv, right.uv)


def test_without_a_gpu_the_cpu_decodes_with_a_note(tmp_path: Path) -> None:
    if nvidia.cuda_problem() is None:
        pytest.skip("this machine has a GPU")
    clip = make_clip(tmp_path / "a.mp4")
    decoded, info, notes = frames(clip, NVDEC)
    on_cpu, cpu_info, no_notes = frames(clip)
    assert_same(decoded, on_cpu)
    assert info == cpu_info and no_notes == []
    assert len(notes) == 1 and notes[0].startswith("decoded on the CPU: ")


class FakeNvdec:
    """Decodes on the CPU and returns frames in the layout of NVDEC."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, layout: str, supported: bool = True) -> None:
        decode = VideoReader._decode

        def on_gpu(reader: VideoReader) -> Iterator[VideoFrame]:
            for frame in decode(reader):
                if not reader._gpu._used or not supported:
                    yield frame
                    continue
                converted = frame.reformat(format=layout)
                converted.pts, converted.time_base = frame.pts, frame.time_base
                yield converted

        monkeypatch.setattr(nvidia, "cuda_problem", lambda: None)
        monkeypatch.setattr(nvidia, "cuda_hwaccel", lambda: None)
        monkeypatch.setattr(nvidia, "is_supported", lambda stream: supported)
        monkeypatch.setattr(VideoReader, "_decode", on_gpu)


@pytest.mark.parametrize(
    ("pix_fmt", "layout"),
    [
        ("yuv420p", "nv12"),
        ("yuv420p10le", "p010le"),
        ("yuv422p", "nv16"),
        ("yuv422p10le", "p210le"),
        ("yuv444p", "yuv444p"),
    ],
)
@pytest.mark.parametrize("size", [(64, 48), (66, 50)])
def test_nvdec_layouts_hold_the_same_planes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pix_fmt: str, layout: str, size: tuple[int, int]
) -> None:
    clip = make_clip(tmp_path / "a.mkv", pix_fmt=pix_fmt, codec="ffv1", size=size)
    on_cpu, cpu_info, _ = frames(clip)
    FakeNvdec(monkeypatch, layout)
    decoded, info, notes = frames(clip, NVDEC)
    assert_same(decoded, on_cpu)
    assert info == cpu_info and notes == []


def test_p010_rows_that_end_within_a_vector_are_reproducible(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", pix_fmt="yuv420p10le", codec="ffv1", size=(66, 50))
    with VideoReader(clip) as reader:
        planar, frame = reader._format, next(reader._decode())
    converted = frame.reformat(format="p010le", threads=1)
    for _ in range(200):
        for decoded, plane in zip(integer_planes(converted, planar), integer_planes(frame, planar), strict=True):
            assert np.array_equal(decoded, plane)


def test_inexact_nvdec_output_is_decoded_again_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mkv", pix_fmt="yuv420p12le", codec="ffv1")
    on_cpu, cpu_info, _ = frames(clip)
    FakeNvdec(monkeypatch, "p016le")
    decoded, info, notes = frames(clip, NVDEC)
    assert_same(decoded, on_cpu)
    assert info == cpu_info
    assert notes == ["decoded on the CPU: NVDEC does not output exact code values of p016le"]


def test_a_codec_that_nvdec_does_not_support_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mkv", pix_fmt="yuv420p10le", codec="ffv1")
    on_cpu, _, _ = frames(clip)
    FakeNvdec(monkeypatch, "p010le", supported=False)
    decoded, _, notes = frames(clip, NVDEC)
    assert_same(decoded, on_cpu)
    assert notes == ["decoded on the CPU: NVDEC does not support ffv1 in yuv420p10le"]


@pytest.mark.parametrize("codec", ["h264_nvenc", "hevc_nvenc", "av1_nvenc"])
def test_an_nvenc_encoder_without_a_gpu_is_one_clear_error(tmp_path: Path, codec: str) -> None:
    if nvidia.cuda_problem() is None:
        pytest.skip("this machine has a GPU")
    with pytest.raises(OutputError, match=f"{codec} does not start.*needs an NVIDIA GPU with a video encoder.*choose"):
        open_writer(tmp_path / "a.mp4", VideoInfo(640, 480, Fraction(25)), Encoding(codec))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_nvenc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "nvenc_problem", lambda codec: f"{codec} does not start (pretended)")


@pytest.mark.parametrize(
    ("codec", "fallback"), [("h264_nvenc", "libx264"), ("hevc_nvenc", "libx265"), ("av1_nvenc", "libsvtav1")]
)
def test_a_failing_nvenc_encoder_falls_back_to_the_cpu_with_a_note(no_nvenc: None, codec: str, fallback: str) -> None:
    notes = Notes()
    assert nvidia.usable_encoding(Encoding(codec, crf=21, preset="p6"), notes) == Encoding(fallback, crf=21)
    text = f"encoded by {fallback} on the CPU: {codec} does not start (pretended)"
    nvidia.usable_encoding(Encoding(codec), notes)
    assert notes.texts == [f"{text}; preset p6 is ignored", text]


def test_encoder_specific_options_prevent_the_fallback(no_nvenc: None) -> None:
    encoding = Encoding("h264_nvenc", options=(("rc-lookahead", "8"),))
    notes = Notes()
    assert nvidia.usable_encoding(encoding, notes) == encoding and not notes


def test_cpu_encoders_are_not_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "nvenc_problem", lambda codec: pytest.fail("tried"))
    notes = Notes()
    assert nvidia.usable_encoding(Encoding("libx264"), notes) == Encoding("libx264") and not notes


def test_a_run_with_an_nvenc_encoder_completes_without_a_gpu(tmp_path: Path) -> None:
    if nvidia.nvenc_problem("h264_nvenc") is None:
        pytest.skip("this machine has NVENC")
    notes = Notes()
    options = parse_options(scale=2, model="bicubic", codec="h264_nvenc", device="cpu")
    report = enhance_file(Job(make_clip(tmp_path / "a.mp4"), tmp_path / "b.mp4"), options, on_note=notes.add)
    assert report.verification is not None and report.verification.ok
    assert [note.partition(" (")[0] for note in notes.texts if "nvenc" in note] == [
        "encoded by libx264 on the CPU: h264_nvenc does not start"
    ]


def test_an_ffmpeg_build_without_the_encoder_is_named() -> None:
    assert nvidia.nvenc_problem("h265_nvenc") == "this build of FFmpeg has no h265_nvenc"


@pytest.mark.gpu
@pytest.mark.parametrize(("codec", "pix_fmt"), [("libx264", "yuv420p"), ("libx265", "yuv420p10le")])
def test_nvdec_decodes_the_same_planes_as_the_cpu(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    options: dict[str, Any] = {"codec": codec, "pix_fmt": pix_fmt, "size": (320, 240), "frames": 30}
    clip = make_clip(tmp_path / "a.mp4", **options)
    decoded, info, notes = frames(clip, NVDEC)
    on_cpu, cpu_info, _ = frames(clip)
    assert notes == []
    assert_same(decoded, on_cpu)
    assert info == cpu_info
