"""Transparency: never silently dropped."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.clips import make_clip, make_frame
from vidsr.errors import InputError
from vidsr.options.source import Reading
from vidsr.video import VideoReader
from vidsr.video.planes import is_opaque

DROP = Reading(alpha="drop")
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
def test_transparent_clip_is_refused_when_opened_and_alpha_drop_reads_it_with_a_note(
    tmp_path: Path, name: str, pix_fmt: str, codec: str
) -> None:
    path = coded(tmp_path / name, [frame_with_alpha(pix_fmt, 200)], codec)
    with pytest.raises(InputError, match=r"a\.m.. is partly transparent .frame 0.*--alpha drop"):
        VideoReader(path)
    with VideoReader(path, reading=DROP) as reader:
        assert "--alpha drop" in reader.notes.texts[0]
        assert [len(batch) for batch in reader.batches(2)] == [1]


@pytest.mark.parametrize(("name", "pix_fmt", "codec"), CLIPS)
def test_opaque_alpha_is_dropped_without_a_note(tmp_path: Path, name: str, pix_fmt: str, codec: str) -> None:
    path = coded(tmp_path / name, [frame_with_alpha(pix_fmt)], codec)
    with VideoReader(path) as reader:
        assert not reader.notes
        assert [len(batch) for batch in reader.batches(2)] == [1]


def test_clip_that_becomes_transparent_is_refused_at_that_frame(tmp_path: Path) -> None:
    frames = [frame_with_alpha("yuva420p"), frame_with_alpha("yuva420p", 9)]
    path = coded(tmp_path / "a.mkv", frames, "ffv1")
    with VideoReader(path) as reader, pytest.raises(InputError, match=r"frame 1, 0\.040 s"):
        list(reader.batches(1))


def test_dropping_alpha_keeps_the_planes(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", frames=1, pix_fmt="yuva420p", codec="ffv1")
    plain = make_clip(tmp_path / "b.mkv", frames=1, pix_fmt="yuv420p", codec="ffv1")
    found = []
    for one in (path, plain):
        with VideoReader(one, reading=DROP) as reader:
            (batch,) = reader.batches(1)
            found.append(batch.y.numpy())
    assert np.abs(found[0].astype(int) - found[1]).max() <= 1  # libswscale made the first one


def test_vp9_alpha_that_its_decoder_omits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libvpx-vp9", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        output.mux(stream.encode(make_frame(0, (64, 48), "yuva420p")))
        output.mux(stream.encode(None))
    with pytest.raises(InputError, match="alpha"):
        VideoReader(path)
    with VideoReader(path, reading=DROP) as reader:
        assert "--alpha drop" in reader.notes.texts[0]
