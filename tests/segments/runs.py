"""Runs of a small clip in segments, for the tests of this folder."""

from __future__ import annotations

from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.clips import make_clip
from vidsr.errors import Notes, ignore
from vidsr.options.enhance import parse_options
from vidsr.options.paths import Job
from vidsr.pipeline.report import OnFrames, RunReport
from vidsr.segments.begun_job import BegunJob
from vidsr.segments.enhance import begin, enhance_file
from vidsr.video import VideoReader

FRAMES, FPS, GOP = 100, 25, 12
SEGMENTS = 3  # of three groups of frames, the last one of the rest


class Stopped(BaseException):
    """Ends a run as an interrupt would."""


def source(folder: Path, name: str = "clip.mkv", **changes: Any) -> Path:
    """Make the clip: four seconds with a keyframe every 12 frames and a tone."""
    exact = {"sc_threshold": "0"}  # no keyframes in between
    return make_clip(folder / name, FRAMES, fps=FPS, gop=GOP, **{"audio": 1, "options": exact} | changes)


def run(clip: Path, output: Path, segment: str = "1s", on_frames: OnFrames | None = None, **options: Any) -> RunReport:
    """Enhance ``clip``, losslessly unless another codec is given."""
    return run_with_notes(clip, output, segment, on_frames, **options)[0]


def run_with_notes(
    clip: Path, output: Path, segment: str = "1s", on_frames: OnFrames | None = None, **options: Any
) -> tuple[RunReport, list[str]]:
    """Enhance ``clip`` and return the report and the texts of the notes."""
    notes = Notes()
    if not {"scale", "fps", "denoise", "slow_motion"} & options.keys():
        options |= {"scale": 2, "model": "bicubic"}
    parsed = parse_options(segment=segment, **{"codec": "ffv1"} | options)
    report = enhance_file(Job(clip, output), parsed, on_frames or (lambda *_: None), notes.add)
    return report, notes.texts


def begun(clip: Path, **options: Any) -> BegunJob:
    """Plan a clip in segments of a second, without making one."""
    parsed = parse_options(segment="1s", log="none", precision="fp32", **options)
    job = begin(Job(clip, clip.with_name("out.mkv")), parsed, ignore, ignore)
    assert isinstance(job, BegunJob)
    return job


def stop_after(frames: int) -> OnFrames:
    """Return a listener that ends the run once so many frames are written."""

    def check(done: int, _: int | None) -> None:
        if done >= frames:
            raise Stopped

    return check


def digests(clip: Path) -> list[tuple[Fraction, str]]:
    """Return time and digest of every frame."""
    found = []
    with VideoReader(clip, deinterlace="off") as reader:
        for batch in reader.batches(1):
            planes = batch.y.numpy().tobytes() + (b"" if batch.uv is None else batch.uv.numpy().tobytes())
            found.append((batch.times[0], sha256(planes).hexdigest()))
    return found
