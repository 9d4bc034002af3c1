"""Measurements of geometry: rotation, sample aspect ratio, odd sizes, interlacing; and transparency."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import torch

from tests.clips import make_clip, read_number
from tests.exactness.table import Finding, ffprobe, folder, row, run, stream_fields
from tests.video import test_alpha
from tests.video.test_deinterlace import FLAGGED, combing, woven
from vidsr.errors import Notes, VidsrError
from vidsr.video import VideoReader


def numbers(path: Path) -> list[int]:
    """Return the numbers that the frames show."""
    with VideoReader(path) as reader:
        return [read_number(y[0].numpy()) for batch in reader.batches(16) for y in batch.y]


@row("3 Depth", tested_in="tests/video/test_alpha.py")
def transparent_clips(tmp_path: Path) -> Finding:
    """Transparent clips (ffv1, png, qtrle): --alpha refuse refuses them; else transparency is dropped with a note."""
    refused, noted, count = 0, 0, 0
    for name, pix_fmt, codec in test_alpha.CLIPS:
        place = folder(tmp_path, count)
        source = test_alpha.coded(place / name, [test_alpha.frame_with_alpha(pix_fmt, 200)], codec)
        try:
            run(source, place / "out.mkv", alpha="refuse")
        except VidsrError as error:
            refused += "transparent" in str(error)
        notes = Notes()
        run(source, place / "out.mkv", on_note=notes.add)
        noted += sum("left out: transparency" in note for note in notes.texts) == 1
        count += 1
    return Finding(f"{refused} of {count} refused, {noted} of {count} dropped with a note", refused == noted == count)


@row("4 Geometry")
def rotated_clips(tmp_path: Path) -> Finding:
    """Rotation by the display matrix (90, 180 and -90 degrees) after x2 into mp4, mov and mkv, by ffprobe."""
    equal, count = 0, 0
    for degrees, suffix in product((90, 180, -90), (".mp4", ".mov", ".mkv")):
        source, target = tmp_path / f"{degrees}.mp4", tmp_path / f"{degrees}-out{suffix}"
        run(make_clip(source, 2, (64, 48), rotation=degrees), target, scale=2)
        equal += rotation(source) == rotation(target) != 0
        count += 1
    return Finding(f"{equal} of {count} equal", equal == count)


def rotation(path: Path) -> float:
    """Return the rotation in degrees by ffprobe."""
    (stream,) = ffprobe(path, "-show_streams")["streams"]
    return next((float(data["rotation"]) for data in stream.get("side_data_list", []) if "rotation" in data), 0.0)


@row("4 Geometry")
def anamorphic_clips(tmp_path: Path) -> Finding:
    """Sample aspect ratio (16/15, 64/45, 8/9) after x2 into mp4, mov and mkv, by ffprobe."""
    equal, count = 0, 0
    for sar, suffix in product(("16/15", "64/45", "8/9"), (".mp4", ".mov", ".mkv")):
        source = make_clip(folder(tmp_path, count) / "a.mp4", 2, (72, 48), sar=Fraction(sar))
        target = source.with_name(f"b{suffix}")
        run(source, target, scale=2)
        equal += stream_fields(target, "sample_aspect_ratio")["sample_aspect_ratio"] == sar.replace("/", ":")
        count += 1
    return Finding(f"{equal} of {count} equal", equal == count)


@row("4 Geometry")
def square_pixels_of_dvd_sizes(tmp_path: Path) -> Finding:
    """--square-pixels: DVD sizes get square pixels by upscaling one side, by ffprobe."""
    cases = {((720, 576), "16/15"): "768x576", ((720, 576), "64/45"): "1024x576", ((720, 480), "8/9"): "720x540"}
    found = []
    for (size, sar), expected in cases.items():
        source = make_clip(tmp_path / f"{expected}.mp4", 2, size, sar=Fraction(sar))
        run(source, tmp_path / f"{expected}-out.mp4", square_pixels=True)
        fields = stream_fields(tmp_path / f"{expected}-out.mp4", "width,height,sample_aspect_ratio")
        found.append((f"{fields['width']}x{fields['height']}", fields["sample_aspect_ratio"], expected))
    words = ", ".join(f"{size} at {sar}" for size, sar, _ in found)
    return Finding(words, all(size == expected and sar == "1:1" for size, sar, expected in found))


@row("4 Geometry")
def odd_sizes(tmp_path: Path) -> Finding:
    """Odd sizes 65x49, 63x48, 64x47 in 4:2:0, 4:2:2 and 4:4:4: exact size after x2 and x3, all frames in order."""
    right, count = 0, 0
    for size, pix_fmt, scale in product(((65, 49), (63, 48), (64, 47)), ("yuv420p", "yuv422p", "yuv444p"), (2, 3)):
        source = make_clip(folder(tmp_path, count) / "a.mkv", 3, size, pix_fmt=pix_fmt, codec="ffv1")
        run(source, source.with_name("b.mkv"), scale=scale, codec="ffv1", preset=None)
        with VideoReader(source.with_name("b.mkv")) as reader:
            shape = reader.info.width, reader.info.height
        right += shape == (size[0] * scale, size[1] * scale) and numbers(source.with_name("b.mkv")) == [0, 1, 2]
        count += 1
    return Finding(f"{right} of {count}", right == count)


@row("4 Geometry")
def padded_edges(tmp_path: Path) -> Finding:
    """Odd sizes for an encoder of even sizes: padded by repeating the edge, otherwise identical, lossless x264."""
    worst = 0
    for size in ((65, 49), (63, 48), (64, 47)):
        source = make_clip(tmp_path / f"{size[0]}x{size[1]}.mkv", 2, size, codec="ffv1")
        target = source.with_name(f"{source.stem}.mp4")
        run(source, target, crf=0)
        with VideoReader(source) as before, VideoReader(target) as after:
            (old,), (new,) = before.batches(9), after.batches(9)
        width, height = size[0] % 2, size[1] % 2
        padded = torch.from_numpy(np.pad(old.y.numpy(), ((0, 0), (0, 0), (0, height), (0, width)), mode="edge"))
        assert old.uv is not None and new.uv is not None
        worst = max(
            worst, int((padded.int() - new.y.int()).abs().max()), int((old.uv.int() - new.uv.int()).abs().max())
        )
    return Finding(f"largest difference {worst} code values", worst == 0)


@row("4 Geometry")
def interlaced_clips(tmp_path: Path) -> Finding:
    """Interlaced MPEG-2, flagged or not, either field first: detected, deinterlaced, noted; --deinterlace off keeps the
    fields; a progressive clip of that height is left alone.
    """
    right = []
    for number, (top_first, options) in enumerate([(True, FLAGGED), (True, None), (False, None)]):
        source = woven(tmp_path / f"{number}.mkv", top_first, options=options)
        notes = Notes()
        run(source, tmp_path / f"{number}-out.mkv", on_note=notes.add)
        run(source, tmp_path / f"{number}-off.mkv", deinterlace="off")
        combs = [combing(luma(tmp_path / f"{number}-{kind}.mkv")) for kind in ("out", "off")]
        noted = any(f"{'top' if top_first else 'bottom'} field first" in note for note in notes.texts)
        right.append(noted and combs[0] < combs[1] / 2)
    notes = Notes()
    run(make_clip(tmp_path / "p.mp4", 30, (64, 576)), tmp_path / "p-out.mp4", on_note=notes.add)
    right.append(not any("field" in note for note in notes.texts))
    return Finding(f"{sum(right)} of {len(right)} as claimed", all(right))


def luma(path: Path) -> np.ndarray:
    """Return the luma of the sixth frame."""
    with VideoReader(path) as reader:
        (batch,) = reader.batches(100)
    return batch.y[5, 0].numpy()
