"""The ffmpeg program's own motion interpolation, to compare with where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from time import perf_counter

from vidsr.frames import FrameBatch, VideoInfo
from vidsr.video import VideoReader

FILTER = "minterpolate=fps={fps}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1"
PIX_FMT = {"gray": "gray", "420": "yuv420p", "422": "yuv422p", "444": "yuv444p"}
DEPTH = 8  # bits that the filter takes


def takes(info: VideoInfo) -> bool:
    """Whether the program is installed and takes such planes."""
    return info.depth == DEPTH and shutil.which("ffmpeg") is not None


def minterpolate(kept: FrameBatch, info: VideoInfo, factor: int) -> tuple[dict[int, FrameBatch], float]:
    """The frames between those of ``kept``, which follow each other evenly, at ``factor`` times their rate.

    Returns:
        Single frames by their number in the result, kept ones included (some are missing at either end), and the
        seconds it took: those of a run with the filter less those of a run without.
    """
    raw = b"".join(_raw(kept[n : n + 1]) for n in range(len(kept)))
    rate = Fraction(10)
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "made.nut")

        def seconds(filters: str) -> float:
            size = f"{info.width}x{info.height}"
            source = ["-f", "rawvideo", "-pix_fmt", PIX_FMT[info.chroma], "-s", size, "-r", str(rate)]
            sink = ["-vf", filters, "-c:v", "rawvideo", "-y", str(target)]
            started = perf_counter()
            subprocess.run(["ffmpeg", "-v", "error", *source, "-i", "-", *sink], input=raw, check=True)
            return perf_counter() - started

        idle, busy = seconds("null"), seconds(FILTER.format(fps=rate * factor))
        with VideoReader(target) as reader:
            made = {round(frame.times[0] * rate * factor): frame for frame in reader.batches(1)}
    return made, busy - idle if busy > idle else busy  # where both take next to nothing


def _raw(frame: FrameBatch) -> bytes:
    chroma = b"" if frame.uv is None else frame.uv.numpy().tobytes()
    return frame.y.numpy().tobytes() + chroma
