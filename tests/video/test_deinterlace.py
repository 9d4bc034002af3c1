"""Interlaced clips: detected by flags and by measuring, and deinterlaced frame for frame."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.clips import make_clip
from vidsr import enhance, verify
from vidsr.errors import InputError
from vidsr.options.output_names import report_path
from vidsr.video import VideoReader, probe
from vidsr.video.deinterlace import count_field_orders

SIZE = (160, 576)


def scene(moment: int, size: tuple[int, int]) -> np.ndarray:
    """Fine noise that pans under a bright bar that moves the other way."""
    width, height = size
    ground = np.random.default_rng(0).random((height, width + 400)) * 40 + 60
    luma = ground[:, 2 * moment : 2 * moment + width].copy()
    at = 5 * moment % (width - 20)
    luma[height // 4 : height // 2, at : at + 20] = 220
    return luma


def woven(path: Path, top_first: bool = True, codec: str = "mpeg2video", options: dict[str, str] | None = None) -> Path:
    """25 frames a second, each of two fields 1/50 s apart."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height = SIZE
        stream.pix_fmt, stream.bit_rate = "yuv420p", 8_000_000
        stream.options = options or {}
        for i in range(30):
            first, second = scene(2 * i, SIZE), scene(2 * i + 1, SIZE)
            luma = (first if top_first else second).copy()
            luma[1::2] = (second if top_first else first)[1::2]
            frame = av.VideoFrame(*SIZE, "yuv420p")
            for plane in frame.planes:
                np.frombuffer(plane, np.uint8)[:] = 128
            np.frombuffer(frame.planes[0], np.uint8).reshape(SIZE[1], -1)[:, : SIZE[0]] = luma
            frame.pts, frame.time_base = i, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def combing(luma: np.ndarray) -> float:
    """How much neighbouring lines differ more than lines two apart."""
    luma = luma.astype(float)
    return float(np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean() - np.abs(luma[2:] - luma[:-2]).mean() / 2)


def read(path: Path, **options: Any) -> tuple[np.ndarray, list[Fraction], list[str]]:
    with VideoReader(path, **options) as reader:
        batches = list(reader.batches(7))
        assert reader.info.field_order != "top" or options
        planes = np.concatenate([batch.y[:, 0].numpy() for batch in batches])
        return planes, [time for batch in batches for time in batch.times], reader.notes.texts


FLAGGED = {"flags": "+ildct+ilme", "field_order": "tt"}


@pytest.mark.parametrize(
    ("top_first", "options", "word"),
    [(True, FLAGGED, "top"), (True, None, "top"), (False, None, "bottom")],
    ids=["flagged", "not_flagged", "not_flagged_bottom_first"],
)
def test_interlaced_mpeg2_is_deinterlaced_with_a_note(
    tmp_path: Path, top_first: bool, options: dict[str, str] | None, word: str
) -> None:
    path = woven(tmp_path / "a.mkv", top_first, options=options)
    assert (probe(path).field_order == "top") == bool(options)
    deinterlaced, times, notes = read(path, deinterlace="frames")
    combed, _, silence = read(path, deinterlace="off")
    assert times == [Fraction(i, 25) for i in range(30)]
    assert deinterlaced.shape == combed.shape
    assert combing(deinterlaced[5]) < combing(combed[5]) / 2
    assert len(notes) == 1
    assert f"{word} field first" in notes[0]
    assert silence == []
    # the first field is unchanged: the even lines of a top-first clip
    kept = slice(0 if top_first else 1, None, 2)
    assert np.abs(deinterlaced[5][kept].astype(int) - combed[5][kept]).mean() < 0.5


@pytest.mark.parametrize("top_first", [True, False])
def test_measured_field_order_overrides_a_wrong_header(tmp_path: Path, top_first: bool) -> None:
    flagged = "bottom" if top_first else "top"
    order = {"flags": "+ildct+ilme", "field_order": "bb" if top_first else "tt"}
    path = woven(tmp_path / "a.mov", top_first, options=order)
    assert probe(path).field_order == flagged
    (note,) = read(path)[2]
    assert note.startswith(f"interlaced, {'top' if top_first else 'bottom'} field first")


def test_progressive_clip_of_an_interlaced_height_is_left_alone(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=30, size=(64, 576))
    _, _, notes = read(path)
    assert notes == []
    _, times, notes = read(path, deinterlace="force")
    assert len(times) == 30
    assert len(notes) == 1


def test_progressive_frames_flagged_as_interlaced_are_left_alone(tmp_path: Path) -> None:
    """PsF: a film coded as fields, as many discs are."""
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        stream = output.add_stream("mpeg2video", rate=25)
        stream.width, stream.height = SIZE
        stream.pix_fmt, stream.bit_rate, stream.options = "yuv420p", 8_000_000, FLAGGED
        for i in range(30):
            smooth = np.mean([np.roll(scene(i, SIZE), k, axis=0) for k in range(8)], axis=0)
            planes = np.concatenate([smooth, np.full((SIZE[1] // 2, SIZE[0]), 128)]).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert probe(tmp_path / "a.mkv").field_order == "top"
    assert read(tmp_path / "a.mkv", frames=30)[2] == []


def test_time_range_of_an_interlaced_clip(tmp_path: Path) -> None:
    path = woven(tmp_path / "a.mkv")
    deinterlaced, _, _ = read(path, deinterlace="frames")
    part, times, _ = read(path, start=Fraction(1, 2), frames=4, deinterlace="frames")
    assert times == [Fraction(i, 25) for i in range(13, 17)]
    assert np.abs(part[2].astype(int) - deinterlaced[15]).mean() < 1


@pytest.mark.parametrize("top_first", [True, False])
def test_every_field_becomes_a_frame_at_its_own_time(tmp_path: Path, top_first: bool) -> None:
    path = woven(tmp_path / "a.mkv", top_first)
    planes, times, (note,) = read(path)
    assert times == [Fraction(i, 50) for i in range(60)]
    assert "a frame for each field" in note
    with VideoReader(path) as reader:
        assert (reader.info.fps, reader.info.frames) == (50, 60)
    for moment in (10, 11, 25):  # each shows its own moment, with the lines of its field unchanged
        errors = [np.abs(planes[moment].astype(int) - scene(other, SIZE)).mean() for other in range(60)]
        assert int(np.argmin(errors)) == moment
    part = read(path, start=Fraction(1, 2), end=Fraction(7, 10))[1]
    assert part == [Fraction(i, 50) for i in range(25, 35)]


def telecined(path: Path, frames: int = 40) -> Path:
    """Film of 24000/1001 frames a second in 30000/1001 woven frames, by 3:2 pulldown, without flags."""
    film = [np.mean([np.roll(scene(i, (160, 480)), k, axis=0) for k in range(2)], axis=0) for i in range(frames)]
    fields = [i for i in range(frames) for _ in range(2 + i % 2)]  # the film frame of each field
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg2video", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 160, 480, "yuv420p", 8_000_000
        for i in range(len(fields) // 2):
            luma = film[fields[2 * i]].copy()
            luma[1::2] = film[fields[2 * i + 1]][1::2]
            planes = np.concatenate([luma, np.full((240, 160), 128)]).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
            frame.pts, frame.time_base = i, Fraction(1001, 30000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def test_film_in_3_2_pulldown_is_brought_back_to_its_frames(tmp_path: Path) -> None:
    path = telecined(tmp_path / "a.mkv")
    planes, times, (note,) = read(path)
    assert "film in 3:2 pulldown" in note
    steps = np.diff([float(time) for time in times])
    assert np.abs(steps - 1001 / 24000).max() < 0.002
    assert abs(len(planes) - 40) <= 1
    assert max(combing(plane) for plane in planes[2:-2]) < 1
    film = [np.mean([np.roll(scene(i, (160, 480)), k, axis=0) for k in range(2)], axis=0) for i in range(40)]
    shown = [int(np.argmin([np.abs(plane - one).mean() for one in film])) for plane in planes[2:-2]]
    assert np.diff(shown).tolist() == [1] * (len(shown) - 1)
    assert len(read(path, deinterlace="frames")[0]) == 50


def test_an_output_at_field_rate_is_verified_with_and_without_its_report(tmp_path: Path) -> None:
    path = woven(tmp_path / "a.mkv")
    report = enhance(path, tmp_path / "b.mkv", scale=1)
    assert report.output.fps == 50 and report.frames == 60
    assert report.verification is not None and report.verification.ok
    assert verify(path, tmp_path / "b.mkv").ok
    report_path(tmp_path / "b.mkv").unlink()
    assert verify(path, tmp_path / "b.mkv").ok


def test_avi_keeps_its_times(tmp_path: Path) -> None:
    path = woven(tmp_path / "a.avi", options={"bf": "2"})
    assert read(path, deinterlace="frames")[1] == [Fraction(i, 25) for i in range(30)]
    assert read(path)[1] == [Fraction(i, 50) for i in range(60)]


def test_change_of_size_while_deinterlacing_is_one_clear_error(tmp_path: Path) -> None:
    small, large = (make_clip(tmp_path / f"{w}.ts", frames=5, size=(w, 48)) for w in (64, 96))
    joined = tmp_path / "a.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    with pytest.raises(InputError, match="changes from 64x48 to 96x48"):
        read(joined, deinterlace="force")


@pytest.mark.parametrize("formats", [("yuv422p", "yuv420p"), ("yuv420p", "yuv422p")])
def test_interlaced_clip_that_changes_pixel_format_is_deinterlaced_in_each_format(
    tmp_path: Path, formats: tuple[str, str]
) -> None:
    parts = []
    for number, pix_fmt in enumerate(formats):
        moments = [Fraction(number) + Fraction(i, 25) for i in range(8)]
        part = tmp_path / f"{pix_fmt}.ts"
        options = {"flags": "+ildct+ilme", "bf": "0", "qmin": "1"}
        make_clip(part, 8, codec="mpeg2video", pix_fmt=pix_fmt, times=moments, gop=4, options=options)
        parts.append(part)
    (tmp_path / "a.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    alone = []
    for part in parts:
        with VideoReader(part, deinterlace="force") as reader:
            alone += list(reader.batches(1))
    with VideoReader(tmp_path / "a.ts", deinterlace="force") as reader:
        joined = list(reader.batches(1))
    assert len(joined) == 15
    del alone[6:8], joined[6]  # FFmpeg's MPEG-2 decoder drops the last frame before a change of format
    for number, (a, b) in enumerate(zip(alone, joined, strict=True)):
        assert np.array_equal(a.y.numpy(), b.y.numpy()), number
        assert a.uv is not None
        assert b.uv is not None
        step = a.uv.shape[2] / b.uv.shape[2]  # chroma rows are converted to those of the first format
        rows = (np.arange(b.uv.shape[2]) * step).astype(int)
        assert np.abs(a.uv[:, :, rows].numpy().astype(int) - b.uv.numpy()).mean() < 2, number


def test_measuring_the_field_order_follows_changes_of_size_and_format(tmp_path: Path) -> None:
    clips = [
        make_clip(tmp_path / f"{n}.ts", 4, size=size, pix_fmt=pix_fmt, codec="mpeg2video")
        for n, (size, pix_fmt) in enumerate([((64, 48), "yuv422p"), ((96, 64), "yuv422p"), ((96, 64), "yuv420p")])
    ]
    (tmp_path / "a.ts").write_bytes(b"".join(clip.read_bytes() for clip in clips))
    assert (
        sum(n for kind, n in count_field_orders(tmp_path / "a.ts").items() if "repeated" not in kind) == 10
    )  # FFmpeg's decoder drops a frame at each change


def test_dv_that_changes_pixel_format_does_not_end_the_process(repro: Path) -> None:
    planes, times, _ = read(repro / "abort.dv", deinterlace="force")
    assert planes.shape[1:] == (576, 720)
    assert len(times) == 3
