"""`minterpolate` of the ffmpeg program: the motion interpolation that vidsr is compared with."""

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
DEPTH = 8  # the only bit depth that the filter supports
RATE = Fraction(10)  # of the kept frames, fps; any rate does


def can_minterpolate(info: VideoInfo) -> bool:
    """Whether the ffmpeg program is installed and its filter supports such a clip."""
    return info.depth == DEPTH and shutil.which("ffmpeg") is not None


def minterpolate(kept: FrameBatch, info: VideoInfo, factor: int) -> tuple[dict[int, FrameBatch], float]:
    """Interpolate between the frames of ``kept``, taken as evenly spaced, to ``factor`` times their rate.

    Returns:
        Single frames by their number in the output, the kept ones included (the filter drops some at either end), and
        the seconds it took: those of a run with the filter less those of a run without.
    """
    raw = b"".join(_raw(kept[n : n + 1]) for n in range(len(kept)))
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "made.nut")

        def run_seconds(filters: str) -> float:
            size = f"{info.width}x{info.height}"
            source = ["-f", "rawvideo", "-pix_fmt", PIX_FMT[info.chroma], "-s", size, "-r", str(RATE)]
            sink = ["-vf", filters, "-c:v", "rawvideo", "-y", str(target)]
            started = perf_counter()
            subprocess.run(["ffmpeg", "-v", "error", *source, "-i", "-", *sink], input=raw, check=True)
            return perf_counter() - started

        without, with_filter = run_seconds("null"), run_seconds(FILTER.format(fps=RATE * factor))
        with VideoReader(target) as reader:
            made = {round(frame.times[0] * RATE * factor): frame for frame in reader.batches(1)}
    # a tiny clip can take longer without the filter than with it
    return made, with_filter - without if with_filter > without else with_filter


def _raw(frame: FrameBatch) -> bytes:
    chroma = b"" if frame.uv is None else frame.uv.numpy().tobytes()
    return frame.y.numpy().tobytes() + chroma
