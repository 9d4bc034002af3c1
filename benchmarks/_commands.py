"""Commands side by side: the clips they take, what a process costs, ours and the ffmpeg program's for the same work."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from vidsr.process import idle_seconds

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
ENCODER = ["-c:v", "libx264", "-crf", "18", "-preset", "medium", "-pix_fmt", "yuv420p"]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Usage:
    """What one process cost."""

    wall: float  # seconds
    cpu: float  # core-seconds
    idle: float  # core-seconds in which the machine had nothing to do meanwhile
    peak: float  # resident MB

    @property
    def alone(self) -> float:
        """Seconds it would have taken without other processes."""
        return (self.cpu + self.idle) / CORES


def run(command: list[str], environment: dict[str, str] | None = None) -> Usage:
    """Runs ``command`` to its end, with more ``environment``; its output is thrown away, a failure is raised."""
    start, idle = time.perf_counter(), idle_seconds() or 0.0
    quiet = os.open(os.devnull, os.O_WRONLY)
    outputs = [(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)]
    pid = os.posix_spawnp(command[0], command, {**os.environ, **(environment or {})}, file_actions=outputs)
    _, status, usage = os.wait4(pid, 0)
    os.close(quiet)
    if status:
        raise SystemExit(f"failed with status {status}: {' '.join(command)}")
    cpu = usage.ru_utime + usage.ru_stime
    return Usage(time.perf_counter() - start, cpu, (idle_seconds() or 0.0) - idle, usage.ru_maxrss / 1024)


def film() -> Path:
    """A real clip: of the data folder if it is there, else a sample."""
    path = DATA / "train" / "clips" / "bbb_1080p24.mp4"
    return path if path.exists() else next((ROOT / "samples").glob("*.mp4"))


def make_clip(folder: Path, frames: int, size: str = "480x270") -> Path:
    """``frames`` frames of a real clip at ``size``, repeated when it is shorter."""
    target = folder / f"{frames}-{size}.mp4"
    scale = f"scale={size.replace('x', ':')}:flags=area"
    loop = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(film()), "-frames:v", str(frames)]
    run([*loop, "-vf", scale, "-an", *ENCODER, "-y", str(target)])
    return target


def held_clip(folder: Path, clip: Path) -> Path:
    """Every tenth frame of ``clip`` ten times: slides. Lossless, so that decoded frames repeat exactly."""
    target = folder / "held.mkv"
    filters = ["-vf", "framestep=10,fps=24", "-c:v", "ffv1"]
    run(["ffmpeg", "-v", "error", "-i", str(clip), *filters, "-y", str(target)])
    return target


def desktop_clip(folder: Path, clip: Path, frames: int, encoder: tuple[str, ...]) -> Path:
    """The first frame of ``clip``, on which a white window of 24 pixels moves, as a screen recorder sees it."""
    still, target = folder / "still.png", folder / f"desktop-{encoder[0]}.mkv"
    run(["ffmpeg", "-v", "error", "-i", str(clip), "-frames:v", "1", "-y", str(still)])
    inputs = ["-loop", "1", "-framerate", "24", "-i", str(still), "-f", "lavfi", "-i", "color=white:size=24x24:rate=24"]
    place = ["-filter_complex", "overlay=x='mod(7*n,W-30)':y='mod(5*n,H-30)'", "-frames:v", str(frames)]
    coded = ["-pix_fmt", "yuv420p", "-c:v", *encoder, "-y", str(target)]
    run(["ffmpeg", "-v", "error", *inputs, *place, *coded])
    return target


def vidsr(clip: Path, target: Path, *options: str) -> list[str]:
    """The command that enlarges ``clip`` four times, or does what ``options`` say."""
    size = () if {"--fps", "--scale"} & set(options) else ("--scale", "4")
    enhance = [sys.executable, "-m", "vidsr", "enhance", str(clip), "-o", str(target), *size, "--overwrite"]
    return [*enhance, "--quiet", *options]


def ffmpeg(clip: Path, target: Path, kernel: str) -> list[str]:
    """The ffmpeg command that does the same with a classical kernel."""
    scale = f"scale=1920:1080:flags={kernel}"
    return ["ffmpeg", "-v", "error", "-i", str(clip), "-vf", scale, *ENCODER, "-c:a", "copy", "-y", str(target)]
