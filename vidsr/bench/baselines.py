"""vidsr beside what others have in its place: whole programs, and OpenCV's resize of the same planes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from vidsr.evaluate.minterpolate import FILTER
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.kernels.resample import resize
from vidsr.options.codecs import Encoding
from vidsr.pipeline.plan import Plan
from vidsr.video import pix_fmt

KERNELS = ("bicubic", "lanczos")  # of the ffmpeg program and of ours, that stand beside each other
FLAGS = {"bicubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}  # OpenCV's Lanczos has four lobes, ours three


def enhance_command(clip: Path, target: Path, asked: dict[str, Any]) -> list[str]:
    """Our own program, with options by the names that `parse_options` knows them by."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in asked.items() if value is not None]
    return [
        sys.executable, "-m", "vidsr", "enhance", str(clip), "-o", str(target), "--overwrite", "--quiet", *words
    ]  # fmt: skip


def ffmpeg_commands(clip: Path, target: Path, plan: Plan, frames: int) -> dict[str, list[str]]:
    """The ffmpeg program at the same work, by each kernel, with the same encoder settings; none if it is not there.

    ``frames``: of the result.
    """
    if shutil.which("ffmpeg") is None:
        return {}
    output = plan.output
    between = [] if plan.interpolate is None else [("minterpolate", FILTER.format(fps=output.fps))]
    sizes = [] if plan.upscale is None else [(k, f"scale={output.width}:{output.height}:flags={k}") for k in KERNELS]
    ways = [[*between, size] for size in sizes] or [between]
    sink = _sink(target, output, plan.encoding)
    commands = {}
    for way in ways:
        filters = ",".join(text for _, text in way) or "null"
        source = ["ffmpeg", "-v", "error", "-i", str(clip), "-map", "0:v:0", "-map", "0:a?", "-vf", filters]
        commands[" ".join(("ffmpeg", *(name for name, _ in way)))] = [*source, "-frames:v", str(frames), *sink]
    return commands


def _sink(target: Path, output: VideoInfo, encoding: Encoding) -> list[str]:
    if encoding.is_null:
        return ["-f", "null", "-"]
    settings = [word for key, value in encoding.arguments.items() for word in (f"-{key}", value)]
    picture = ["-c:v", encoding.codec, *settings, "-pix_fmt", pix_fmt(output.chroma, output.depth)]
    return [*picture, "-c:a", "copy", "-y", str(target)]


def resizes(batch: FrameBatch, info: VideoInfo, output: VideoInfo) -> dict[str, Callable[[], object]]:
    """Ways to bring the planes of ``batch`` to the size of ``output``, by OpenCV and by our kernels."""
    planes = [(y[0].numpy(), (output.width, output.height)) for y in batch.y]
    if batch.uv is not None:
        planes += [(plane.numpy(), output.chroma_size) for uv in batch.uv for plane in uv]

    def opencv(flag: int) -> Callable[[], object]:
        return lambda: [cv2.resize(plane, size, interpolation=flag) for plane, size in planes]

    def ours(kernel: str) -> Callable[[], object]:
        return lambda: [resize(plane, *size, kernel, peak=info.peak) for plane, size in planes]

    ways: dict[str, Callable[[], object]] = {}
    for kernel in KERNELS:
        ways[f"OpenCV {kernel}"] = opencv(FLAGS[kernel])
        ways[f"numba {kernel}"] = ours(kernel)
    return ways
