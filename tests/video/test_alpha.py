"""Transparency: kept in .webm, elsewhere never silently dropped."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import PIL.Image
import pytest

from tests.clips import make_clip
from tests.commands import run_vidsr
from vidsr import enhance, verify
from vidsr.errors import InputError
from vidsr.frames import VideoInfo
from vidsr.kernels.resample import resize
from vidsr.options.source import Reading
from vidsr.pipeline.video_checks import picture_checks
from vidsr.video import VideoReader
from vidsr.video.planes import is_opaque

DROP, REFUSE = Reading(alpha="drop"), Reading(alpha="refuse")
VPX = {"crf": "4", "b": "5M", "auto-alt-ref": "0"}
TEXT = "left out: transparency (an output in .webm keeps it)"
PACKED = ("rgba", "argb", "bgra", "abgr", "rgba64le", "rgba64be", "ya8", "ya16le", "ya16be")
PLANAR = ("yuva420p", "yuva422p", "yuva444p10le", "gbrap", "gbrap12le", "gbrap16be")


def frame_with_alpha(pix_fmt: str, least: int = -1) -> av.VideoFrame:
    """An opaque black frame, one sample of which is more transparent by ``least`` below the peak (-1: none)."""
    width, height = 18, 10
    frame = av.VideoFrame(width, height, pix_fmt)
    for plane in frame.planes:
        np.frombuffer(plane, np.uint8)[:] = 0
    components = frame.format.components
    plane = next(c.plane for c in components if c.is_alpha)
    step = sum(c.plane == plane for c in components)
    depth = components[-1].bits
    dtype = np.dtype("u1" if depth == 8 else "u2").newbyteorder(">" if pix_fmt.endswith("be") else "<")
    offset = 0 if pix_fmt.startswith("a") else step - 1
    samples = np.frombuffer(frame.planes[plane], dtype).reshape(height, -1)[:, offset : width * step : step]
    samples[:] = (1 << depth) - 1
    samples[5, 7] -= max(0, least)
    return frame


@pytest.mark.parametrize("pix_fmt", PACKED + PLANAR)
def test_one_slightly_transparent_sample_is_detected_in_every_layout(pix_fmt: str) -> None:
    assert is_opaque(frame_with_alpha(pix_fmt))
    assert not is_opaque(frame_with_alpha(pix_fmt, 1))


def test_transparent_palette_colour_is_detected(tmp_path: Path) -> None:
    frame = av.VideoFrame(8, 8, "pal8")
    indices, palette = (np.frombuffer(plane, np.uint8) for plane in frame.planes)
    indices[:] = 1
    palette[:] = 255
    assert is_opaque(frame)
    palette[4:8] = 0  # the colour that is used
    assert not is_opaque(frame)


def coded(path: Path, frames: list[av.VideoFrame], codec: str) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        for number, frame in enumerate(frames):
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


CLIPS = [
    ("a.mkv", "yuva420p", "ffv1"),
    ("a.mov", "rgba", "png"),
    ("a.mov", "argb", "qtrle"),
]


@pytest.mark.parametrize(("name", "pix_fmt", "codec"), [*CLIPS, ("a.mov", "yuva444p10le", "prores_ks")])
def test_transparent_clip_is_read_with_a_note_and_refused_on_request(
    tmp_path: Path, name: str, pix_fmt: str, codec: str
) -> None:
    path = coded(tmp_path / name, [frame_with_alpha(pix_fmt, 200)], codec)
    with (
        VideoReader(path, reading=REFUSE) as reader,
        pytest.raises(InputError, match=r"a\.m.. is partly transparent .frame 0.*--alpha auto or drop"),
    ):
        list(reader.batches(1))
    for reading, text in ((DROP, "left out: transparency"), (Reading(), TEXT)):
        with VideoReader(path, reading=reading) as reader:
            assert [len(batch) for batch in reader.batches(2)] == [1] and reader.notes.texts == [text]


@pytest.mark.parametrize(("name", "pix_fmt", "codec"), CLIPS)
def test_opaque_alpha_is_dropped_without_a_note(tmp_path: Path, name: str, pix_fmt: str, codec: str) -> None:
    path = coded(tmp_path / name, [frame_with_alpha(pix_fmt)], codec)
    with VideoReader(path) as reader:
        assert not reader.notes
        assert [len(batch) for batch in reader.batches(2)] == [1]


def test_clip_that_becomes_transparent_is_refused_at_that_frame(tmp_path: Path) -> None:
    frames = [frame_with_alpha("yuva420p"), frame_with_alpha("yuva420p", 9)]
    path = coded(tmp_path / "a.mkv", frames, "ffv1")
    with VideoReader(path, reading=REFUSE) as reader, pytest.raises(InputError, match=r"frame 1, 0\.040 s"):
        list(reader.batches(1))
    with VideoReader(path) as reader:
        assert len(list(reader.batches(1))) == 2 and reader.notes.texts == [TEXT]


def test_dropping_alpha_keeps_the_planes(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", frames=1, pix_fmt="yuva420p", codec="ffv1")
    plain = make_clip(tmp_path / "b.mkv", frames=1, pix_fmt="yuv420p", codec="ffv1")
    found = []
    for one in (path, plain):
        with VideoReader(one, reading=DROP) as reader:
            (batch,) = reader.batches(1)
            found.append(batch.y.numpy())
    assert np.abs(found[0].astype(int) - found[1]).max() <= 1  # libswscale made the first one


def ramp(width: int, height: int, number: int) -> np.ndarray:
    """Return alpha that grows from left to right, different in each frame."""
    return (np.arange(width) * 160 / width + 30 * number)[None].repeat(height, 0).astype(np.uint8)


def transparent(path: Path, codec: str, pix_fmt: str, frames: int = 3) -> Path:
    """Write a clip of 64 x 48 whose frame ``n`` has the alpha ``ramp(64, 48, n)``."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, options=VPX if "vpx" in codec else {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        stream.metadata["alpha_mode"] = "1"
        for number in range(frames):
            rgba = np.full((48, 64, 4), 128, np.uint8)
            rgba[..., 3] = ramp(64, 48, number)
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format=pix_fmt)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def alpha_of(path: Path) -> np.ndarray:
    """Return the alpha of all frames, N x H x W."""
    with VideoReader(path, reading=DROP, only_alpha=True) as reader:
        return np.concatenate([batch.y[:, 0].numpy() for batch in reader.batches(1)])


SOURCES = [
    ("a.webm", "libvpx-vp9", "yuva420p"),
    ("a.webm", "libvpx", "yuva420p"),
    ("a.mov", "prores_ks", "yuva444p10le"),
    ("%02d.png", "png", "rgba"),
]


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), SOURCES)
def test_webm_keeps_the_alpha_of_every_kind_of_source(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    source = transparent(tmp_path / name, codec, pix_fmt)
    truth = np.stack([ramp(64, 48, number) for number in range(3)])
    assert np.abs(alpha_of(source) - truth.astype(int)).max() <= (0 if codec == "png" else 8)
    report = enhance(source, tmp_path / "b.webm", scale=2, model="bicubic", crf=10)
    assert report.plan.encoding.codec == "libvpx-vp9" and report.output.alpha
    assert not [note for note in report.notes if note.code == "alpha_dropped"]
    assert verify(source, tmp_path / "b.webm").ok
    kept = alpha_of(tmp_path / "b.webm")
    expected = np.stack([resize(plane, 128, 96) for plane in alpha_of(source)])
    assert kept.shape == expected.shape == (3, 96, 128)
    assert np.abs(kept - expected.astype(int)).mean() < 2


def test_interpolated_frames_and_parts_of_a_clip_have_the_alpha_of_their_time(tmp_path: Path) -> None:
    source = transparent(tmp_path / "a.webm", "libvpx-vp9", "yuva420p", frames=4)
    options = {"scale": 1, "fps": "2x", "interpolation": "blend", "start": "0.04", "crf": 4}
    enhance(source, tmp_path / "b.webm", **options)  # type: ignore[arg-type]
    means = alpha_of(tmp_path / "b.webm").mean((1, 2))
    start = ramp(64, 48, 0).mean()
    assert np.allclose(means[:5], start + np.array([30, 45, 60, 75, 90]), atol=3)


@pytest.mark.parametrize(("fit", "sides"), [("pad", (96, 72)), ("crop", (128, 96))])
def test_a_padded_clip_is_transparent_at_its_sides_and_a_cropped_one_keeps_its_middle(
    tmp_path: Path, fit: str, sides: tuple[int, int]
) -> None:
    source = transparent(tmp_path / "%02d.png", "png", "rgba")
    options: dict[str, Any] = {"size": "128x72", "fit": fit, "model": "bicubic", "crf": 4}
    report = enhance(source, tmp_path / "b.webm", **options)
    assert report.output.alpha and report.verification is not None and report.verification.ok
    for kept, plane in zip(alpha_of(tmp_path / "b.webm"), alpha_of(source), strict=True):
        resized = resize(plane, *sides)
        whole = np.pad(resized, ((0, 0), (16, 16))) if fit == "pad" else resized[12:-12]
        assert np.abs(kept - whole.astype(int)).mean() < 2


@pytest.mark.parametrize("pix_fmt", ["yuva420p", "yuva444p10le"])
@pytest.mark.parametrize(("deinterlace", "frames"), [("auto", 10), ("frames", 5)])
def test_an_interlaced_clip_keeps_the_alpha_of_each_field(
    tmp_path: Path, pix_fmt: str, deinterlace: str, frames: int
) -> None:
    size = (64, 480)
    images = []
    for number in range(5):  # alpha grows by 8 from field to field; the luma of a moving bar shows the interlacing
        rgba = np.zeros((size[1], size[0], 4), np.uint8)
        for field in (0, 1):
            moment = 2 * number + field
            rgba[field::2, :, 3] = 100 + 8 * moment
            rgba[field::2, 4 * moment : 4 * moment + 12, :3] = 255
        images.append(av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format=pix_fmt))
    source = coded(tmp_path / "a.mkv", images, "ffv1")
    report = enhance(source, tmp_path / "b.webm", scale=1, clean=False, crf=4, deinterlace=deinterlace)  # type: ignore[arg-type]
    assert report.output.alpha and report.frames == frames
    means = alpha_of(tmp_path / "b.webm").mean((1, 2))
    assert np.allclose(np.diff(means)[1:-1], 80 / frames, atol=2), means


@pytest.mark.parametrize(("name", "codec"), [("a.gif", "gif"), ("a.webp", ""), ("a.png", "apng")])
def test_a_transparent_animation_becomes_a_transparent_webm(tmp_path: Path, name: str, codec: str) -> None:
    images = []
    for number in range(3):
        rgba = np.full((48, 64, 4), (200, 40, 40, 255), np.uint8)
        if codec == "gif":
            rgba[:, 16 * number + 16 :] = 0  # the opaque part grows
        else:
            rgba[..., 3] = ramp(64, 48, number)
        images.append(rgba)
    source = tmp_path / name
    if codec == "apng":
        with av.open(str(source), "w", format="apng") as output:
            stream = output.add_stream("apng", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "rgba"
            for number, rgba in enumerate(images):
                frame = av.VideoFrame.from_ndarray(rgba, format="rgba")
                frame.pts = number
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    else:
        first, *rest = [PIL.Image.fromarray(rgba) for rgba in images]
        first.save(source, save_all=True, append_images=rest, duration=100, disposal=2, lossless=True)
    result = run_vidsr("enhance", source, "-o", tmp_path / "b.webm", "--scale", "2", "--model", "bicubic")
    assert result.returncode == 0 and result.stderr.rstrip().endswith("verified"), result.stderr
    kept = alpha_of(tmp_path / "b.webm")
    assert kept.shape == (3, 96, 128)
    for plane, rgba in zip(kept, images, strict=True):
        assert np.abs(plane - resize(np.ascontiguousarray(rgba[..., 3]), 128, 96).astype(int)).mean() < 6


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), [SOURCES[0], SOURCES[2]])
def test_other_containers_leave_alpha_out_with_one_note(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    source = transparent(tmp_path / name, codec, pix_fmt)
    report = enhance(source, tmp_path / "b.mp4", scale=2, model="nearest")
    assert [note.text for note in report.notes if note.code == "alpha_dropped"] == [TEXT]
    assert not report.output.alpha
    dropped = enhance(source, tmp_path / "c.webm", scale=2, model="nearest", alpha="drop")
    assert [note.text for note in dropped.notes if note.code == "alpha_dropped"] == ["left out: transparency"]


def test_verification_finds_lost_alpha() -> None:
    info = VideoInfo(8, 8, Fraction(25), codec="vp9")
    found = SimpleNamespace(info=info)
    checks = {check.name: check.ok for check in picture_checks(replace(info, alpha=True), found)}  # type: ignore[arg-type]
    assert checks["transparency"] is False and checks["size"]


def test_vp9_alpha_that_its_decoder_omits_is_refused_on_request(tmp_path: Path) -> None:
    source = transparent(tmp_path / "a.webm", "libvpx-vp9", "yuva420p", frames=1)
    with pytest.raises(InputError, match="has an alpha channel: --alpha auto or drop"):
        VideoReader(source, reading=REFUSE)
