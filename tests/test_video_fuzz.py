"""Damaged clips: each ends in success or one clear line, in time, and leaves nothing but a whole file."""

import time
from pathlib import Path

import numpy as np
import pytest

from tests.clips import make_clip
from vidsr.encoding import Encoding
from vidsr.errors import VidsrError
from vidsr.video import VideoReader, VideoWriter, preflight

SECONDS = 20.0  # for a clip that takes a tenth of one; the rest is the load of the machine
ROUNDS = {"few": range(6), "many": range(6, 36)}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("whole")
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
    ]


def damaged(data: bytearray, random: np.random.Generator) -> bytearray:
    """Single bytes, a stretch of garbage, the end cut off, or the header hit."""
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


@pytest.mark.parametrize("rounds", ["few", pytest.param("many", marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", range(10))
def test_damaged_clip(clips: list[Path], tmp_path: Path, number: int, rounds: str) -> None:
    for seed in ROUNDS[rounds]:
        whole = clips[number]
        source = tmp_path / f"source{whole.suffix}"
        source.write_bytes(damaged(bytearray(whole.read_bytes()), np.random.default_rng([number, seed])))
        target = tmp_path / f"target{('.mp4', '.mkv')[seed % 2]}"
        target.write_text("precious")
        started = time.monotonic()
        try:
            preflight(source, target)
            with (
                VideoReader(source) as reader,
                VideoWriter(target, reader.info, Encoding(preset="ultrafast"), source) as writer,
            ):
                for batch in reader.batches(4):
                    writer.write(batch)
        except VidsrError as error:
            assert "\n" not in str(error)
            assert target.read_text() == "precious", f"seed {seed} damaged the existing file"
        else:
            assert target.stat().st_size > 100
        assert time.monotonic() - started < SECONDS
        assert {path.name for path in tmp_path.iterdir()} <= {source.name, "target.mp4", "target.mkv"}
