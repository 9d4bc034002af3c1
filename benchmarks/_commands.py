"""Clips for the benchmarks, and the commands of vidsr and ffmpeg for the same work."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from vidsr.bench.process_usage import run

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
ENCODER = ["-c:v", "libx264", "-crf", "18", "-preset", "medium", "-pix_fmt", "yuv420p"]


def film() -> Path:
    """Return a real clip: from the data folder if it exists, else a sample."""
    path = DATA / "train" / "clips" / "bbb_1080p24.mp4"
    return path if path.exists() else next((ROOT / "samples").glob("*.mp4"))


def make_clip(folder: Path, frames: int, size: str = "480x270") -> Path:
    """Write ``frames`` frames of a real clip at ``size``; a shorter clip is repeated."""
    target = folder / f"{frames}-{size}.mp4"
    scale = f"scale={size.replace('x', ':')}:flags=area"
    loop = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(film()), "-frames:v", str(frames)]
    run([*loop, "-vf", scale, "-an", *ENCODER, "-y", str(target)])
    return target


def held_clip(folder: Path, clip: Path) -> Path:
    """Write every tenth frame of ``clip`` ten times, as slides; lossless, so that decoded frames repeat exactly."""
    target = folder / "held.mkv"
    filters = ["-vf", "framestep=10,fps=24", "-c:v", "ffv1"]
    run(["ffmpeg", "-v", "error", "-i", str(clip), *filters, "-y", str(target)])
    return target


def desktop_clip(folder: Path, clip: Path, frames: int, encoder: tuple[str, ...]) -> Path:
    """Write the first frame of ``clip`` with a white window of 24 pixels that moves, as a screen recording."""
    still, target = folder / "still.png", folder / f"desktop-{encoder[0]}.mkv"
    run(["ffmpeg", "-v", "error", "-i", str(clip), "-frames:v", "1", "-y", str(still)])
    inputs = ["-loop", "1", "-framerate", "24", "-i", str(still), "-f", "lavfi", "-i", "color=white:size=24x24:rate=24"]
    place = ["-filter_complex", "overlay=x='mod(7*n,W-30)':y='mod(5*n,H-30)'", "-frames:v", str(frames)]
    coded = ["-pix_fmt", "yuv420p", "-c:v", *encoder, "-y", str(target)]
    run(["ffmpeg", "-v", "error", *inputs, *place, *coded])
    return target


def vidsr(clip: Path, target: Path, *options: str) -> list[str]:
    """Return the command that upscales ``clip`` by four, or enhances it with ``options``."""
    size = () if {"--fps", "--scale"} & set(options) else ("--scale", "4")
    enhance = [sys.executable, "-m", "vidsr", "enhance", str(clip), "-o", str(target), *size, "--overwrite"]
    return [*enhance, "--quiet", *options]


def ffmpeg(clip: Path, target: Path, kernel: str, threads: int | None = None) -> list[str]:
    """Return the ffmpeg command for the same with a classical kernel; ``threads`` is x264's, None its default."""
    scale = f"scale=1920:1080:flags={kernel}"
    more = [] if threads is None else ["-threads", str(threads)]
    return ["ffmpeg", "-v", "error", "-i", str(clip), "-vf", scale, *ENCODER, *more, "-c:a", "copy", "-y", str(target)]
