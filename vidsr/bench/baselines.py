"""Baselines: the ffmpeg program, and OpenCV's resize of the same planes."""

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

KERNELS = ("bicubic", "lanczos")  # that both ffmpeg and vidsr have
FLAGS = {"bicubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}  # OpenCV's Lanczos has four lobes, ours three


def enhance_command(clip: Path, target: Path, options: dict[str, Any]) -> list[str]:
    """Return the vidsr command for ``options``, which are named as in `parse_options`."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
    return [
        sys.executable, "-m", "vidsr", "enhance", str(clip), "-o", str(target), "--overwrite", "--quiet", *words
    ]  # fmt: skip


def ffmpeg_commands(clip: Path, target: Path, plan: Plan, frames: int) -> dict[str, list[str]]:
    """Return ffmpeg commands for ``plan``, one per kernel, with equal encoder settings.

    ``frames`` is the number of output frames. Empty where the ffmpeg program is not installed.
    """
    if shutil.which("ffmpeg") is None:
        return {}
    output = plan.output
    interpolation = [] if plan.interpolate is None else [("minterpolate", FILTER.format(fps=output.fps))]
    sizes = [] if plan.upscale is None else [(k, f"scale={output.width}:{output.height}:flags={k}") for k in KERNELS]
    chains = [[*interpolation, size] for size in sizes] or [interpolation]
    output_arguments = _output_arguments(target, output, plan.encoding)
    commands = {}
    for chain in chains:
        filters = ",".join(text for _, text in chain) or "null"
        source = ["ffmpeg", "-v", "error", "-i", str(clip), "-map", "0:v:0", "-map", "0:a?", "-vf", filters]
        commands[" ".join(("ffmpeg", *(name for name, _ in chain)))] = [
            *source,
            "-frames:v",
            str(frames),
            *output_arguments,
        ]
    return commands


def _output_arguments(target: Path, output: VideoInfo, encoding: Encoding) -> list[str]:
    if encoding.is_null:
        return ["-f", "null", "-"]
    settings = [word for key, value in encoding.arguments.items() for word in (f"-{key}", value)]
    video = ["-c:v", encoding.codec, *settings, "-pix_fmt", pix_fmt(output.chroma, output.depth)]
    return [*video, "-c:a", "copy", "-y", str(target)]


def resize_calls(batch: FrameBatch, info: VideoInfo, output: VideoInfo) -> dict[str, Callable[[], object]]:
    """Return calls that resize the planes of ``batch`` to ``output``.

    Each kernel is called once from OpenCV and once from `vidsr.kernels`.
    """
    planes = [(y[0].numpy(), (output.width, output.height)) for y in batch.y]
    if batch.uv is not None:
        planes += [(plane.numpy(), output.chroma_size) for uv in batch.uv for plane in uv]

    def opencv(flag: int) -> Callable[[], object]:
        return lambda: [cv2.resize(plane, size, interpolation=flag) for plane, size in planes]

    def ours(kernel: str) -> Callable[[], object]:
        return lambda: [resize(plane, *size, kernel, peak=info.peak) for plane, size in planes]

    calls: dict[str, Callable[[], object]] = {}
    for kernel in KERNELS:
        calls[f"OpenCV {kernel}"] = opencv(FLAGS[kernel])
        calls[f"numba {kernel}"] = ours(kernel)
    return calls
