"""Clips of many kinds, damage to them, and the outcome of a run."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from tests.clips import make_clip
from vidsr import enhance
from vidsr.errors import VerifyError, VidsrError

SECONDS = 20.0  # for a run of a tenth of a second; the rest allows for the load of the machine
EXISTING = "an existing file"


def whole_clips(folder: Path) -> list[Path]:
    return [
        make_clip(folder / "a.mp4", frames=24, audio=1, gop=6, subtitles="mov_text", chapters=True, cover=True),
        make_clip(folder / "b.mkv", frames=24, audio=2, gop=6, subtitles="ass", font=b"font" * 9, chapters=True),
        make_clip(folder / "c.ts", frames=24, audio=1, gop=6),
        make_clip(folder / "d.webm", frames=24, codec="libvpx-vp9", audio=1),
        make_clip(folder / "e.avi", frames=24, codec="mpeg4"),
        make_clip(folder / "f.mov", frames=12, codec="prores_ks", pix_fmt="yuv422p10le"),
        make_clip(folder / "g.mp4", frames=24, codec="libx265"),
        make_clip(folder / "h.mp4", frames=24, codec="libsvtav1", size=(64, 64)),
        make_clip(folder / "i.avi", frames=10, codec="mjpeg", pix_fmt="yuvj420p"),
        make_clip(folder / "j.nut", frames=10, codec="ffv1", pix_fmt="yuv444p10le"),
        make_y4m(folder / "k.y4m"),
    ]


def make_y4m(path: Path) -> Path:
    clip = make_clip(path.with_suffix(".mkv"), frames=6, pix_fmt="yuv422p", codec="ffv1")
    enhance(clip, path, scale=1, log=False)
    return path


def damaged(data: bytearray, random: np.random.Generator) -> bytearray:
    """Damage single bytes, insert garbage, cut off the end, or damage the header."""
    kind, size = random.integers(4), len(data)
    if kind == 0:
        for at in random.integers(0, size, random.integers(1, 40)):
            data[at] = random.integers(256)
    elif kind == 1:
        at, length = random.integers(size), random.integers(1, 400)
        data[at : at + length] = random.bytes(min(length, size - at))
    elif kind == 2:
        del data[random.integers(1, size) :]
    else:
        for at in random.integers(0, min(size, 2000), 8):
            data[at] = random.integers(256)
    return data


def outcome(whole: Path, folder: Path, number: int, seed: int, verify: bool = False) -> str:
    """Run on a damaged copy of ``whole`` and return "done" or the kind of error.

    The output replaces an existing file, which an error must leave alone.
    """
    source = folder / f"source{whole.suffix}"
    source.write_bytes(damaged(bytearray(whole.read_bytes()), np.random.default_rng([number, seed])))
    target = folder / f"target{('.mp4', '.mkv')[seed % 2]}"
    target.write_text(EXISTING)
    started = time.monotonic()
    result = "done"
    try:
        enhance(source, target, scale=1, preset="ultrafast", log="none", verify=verify, overwrite=True)
    except VerifyError as error:  # an output is sound, however damaged its source is
        raise AssertionError(f"seed {seed}: {error}") from error
    except VidsrError as error:
        result = type(error).__name__
        assert "\n" not in str(error), f"seed {seed}: {error}"
        assert target.read_text() == EXISTING, f"seed {seed} damaged the existing file"
    else:
        assert target.stat().st_size > 100
    assert time.monotonic() - started < SECONDS, f"seed {seed}"
    allowed = {source.name, "target.mp4", "target.mkv", ".vidsr", "target.mp4.report.json", "target.mkv.report.json"}
    assert {path.name for path in (*folder.iterdir(), *folder.glob(".vidsr/*"))} <= allowed, f"seed {seed}"
    return result
