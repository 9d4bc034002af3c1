"""Drop every second frame and interpolate it again with each engine and the ffmpeg program's minterpolate.

    python benchmarks/interpolation.py [--clips bikes bee] [--engines flow net] [--frames 61] [--rife flownet.pkl]
        [--json PATH]

Clips: $VIDSR_DATA/clips (default: ../shared/data/clips), downscaled by area to at most 480 columns. The dropped frames
are the truth: PSNR and SSIM of 8-bit luma, on the frames that every method makes (minterpolate leaves some out at both
ends). Moving clips are those where blending stays below 40 dB. Times are wall time per output frame, source frames
included, from memory to memory. That of ffmpeg is its run with the filter minus its run without, so neither side pays
for start-up, reading or writing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before a worker pool starts

import cv2
import numpy as np
import torch
from _timer import machine
from numpy.typing import NDArray
from torch import Tensor

from vidsr.evaluate.minterpolate import minterpolate
from vidsr.frames import FrameBatch, VideoInfo, concat
from vidsr.kernels.ssim import ssim
from vidsr.metrics import psnr
from vidsr.models import weight_files
from vidsr.options.choices import Interpolation
from vidsr.options.frame_rate import Times
from vidsr.runtime import process
from vidsr.stages.interpolate import Interpolate
from vidsr.stages.interpolation_engines import make_engine
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.rounding import Finish
from vidsr.video import VideoReader

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
WIDEST = 480
NETWORKS = ("net", "superslomo")
STILL = 40.0  # dB; a clip that blending restores as well as this hardly moves
ENGINES: dict[str, Interpolation] = {
    "duplicate": "none",
    "blend": "blend",
    "flow": "flow",
    "net": "net",
    "superslomo": "superslomo",
}

Luma = NDArray[np.uint8]
Made = dict[int, Luma]  # frame number in the clip -> luma


def read(path: Path, frames: int) -> tuple[FrameBatch, VideoInfo]:
    """Return the first frames of a clip in 8 bits, at most 480 columns, at a constant rate."""
    with VideoReader(path) as reader:
        info = reader.info
        width = min(WIDEST, info.width) // 2 * 2
        height = round(info.height * width / info.width / 2) * 2
        small = replace(info, width=width, height=height, fps=Fraction(30), time_base=None)
        batches = [_downscaled(batch, small) for batch in islice(reader.batches(1), frames)]
    clip = concat(batches)
    odd = len(clip) - (1 - len(clip) % 2)  # the last frame must be a kept one
    times = tuple(Fraction(i, 30) for i in range(odd))
    return replace(clip[:odd], times=times), replace(small, frames=odd)


def _downscaled(batch: FrameBatch, info: VideoInfo) -> FrameBatch:
    def planes(values: Tensor, size: tuple[int, int]) -> Tensor:
        resized = [cv2.resize(plane.numpy(), size, interpolation=cv2.INTER_AREA) for plane in values[0]]
        return torch.from_numpy(np.stack(resized))[None]

    uv = None if batch.uv is None else planes(batch.uv, info.chroma_size)
    return batch.planes(planes(batch.y, (info.width, info.height)), uv)


def interpolate(
    clip: FrameBatch, info: VideoInfo, engine: Interpolation, weights: Path | None = None
) -> tuple[Made, float]:
    """Return the dropped frames as ``engine`` makes them, and its seconds per output frame."""
    kept = concat([clip[i : i + 1] for i in range(0, len(clip), 2)])
    halved = replace(info, fps=Fraction(15), frames=len(kept))
    stage, finish = Interpolate(Times(Fraction(2)), make_engine(engine, 8, path=weights), halved), Finish(8)
    started = perf_counter()
    result = concat(list(finish(stage(mark_repeats(iter([kept]))))))
    seconds = perf_counter() - started
    numbers = [round(time * 30) for time in result.times]
    made = {n: luma.numpy() for n, luma in zip(numbers, result.y[:, 0], strict=True) if n % 2 and n < len(clip)}
    return made, seconds / len(result)


def interpolate_with_ffmpeg(clip: FrameBatch, info: VideoInfo) -> tuple[Made, float]:
    """Return the dropped frames as the ffmpeg program makes them, and its seconds per output frame."""
    kept = concat([clip[i : i + 1] for i in range(0, len(clip), 2)])
    frames, seconds = minterpolate(kept, info, 2)
    made = {n: frame.y[0, 0].numpy() for n, frame in frames.items() if n % 2 and n < len(clip)}
    return made, seconds / len(frames)


def measure(
    path: Path, frames: int, engines: Sequence[str], with_ffmpeg: bool, rife: Path | None = None
) -> dict[str, dict[str, float]]:
    """Return mean PSNR-Y and SSIM-Y of the dropped frames and milliseconds per output frame, by method."""
    clip, info = read(path, frames)
    made = {name: interpolate(clip, info, ENGINES[name]) for name in engines}
    if rife is not None:
        made["rife"] = interpolate(clip, info, "rife", rife)
    if with_ffmpeg:
        made["minterpolate"] = interpolate_with_ffmpeg(clip, info)
    common = sorted(set.intersection(*(set(frames) for frames, _ in made.values())))
    truth = {n: clip.y[n, 0].numpy() for n in common}
    return {
        name: {
            "psnr_y": float(np.mean([psnr(frames[n], truth[n]) for n in common])),
            "ssim_y": float(np.mean([ssim(frames[n], truth[n], 255) for n in common])),
            "ms": 1000 * seconds,
        }
        for name, (frames, seconds) in made.items()
    }


def summary(table: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the mean of every figure over the moving clips."""
    moving = [row for row in table.values() if row["blend"]["psnr_y"] < STILL]
    methods = moving[0] if moving else {}
    return {
        name: {figure: float(np.mean([row[name][figure] for row in moving])) for figure in methods[name]}
        for name in methods
    }


def show(name: str, row: dict[str, dict[str, float]]) -> None:
    cells = [f"{method} {r['psnr_y']:6.2f} dB {r['ssim_y']:.4f} {r['ms']:6.1f} ms" for method, r in row.items()]
    print(f"{name:16s} {'  | '.join(cells)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", help="names of clips without suffix; default: all")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, help="next to `blend`; default: all, and minterpolate")
    parser.add_argument("--frames", type=int, default=61, help="frames read of each clip")
    parser.add_argument("--rife", type=Path, help="weights file of RIFE 4.0 to 4.6")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    folder = DATA / "clips"
    if not folder.is_dir():
        raise SystemExit(f"no clips in {folder}: name the data folder with VIDSR_DATA")
    paths = [path for path in sorted(folder.iterdir()) if not arguments.clips or path.stem in arguments.clips]
    engines = [
        name
        for name, engine in ENGINES.items()
        if (engine not in NETWORKS or weight_files.has_frame_network(engine))
        and (not arguments.engines or name in ("blend", *arguments.engines))
    ]
    with_ffmpeg = shutil.which("ffmpeg") is not None and not arguments.engines
    if not with_ffmpeg and not arguments.engines:
        print("the ffmpeg program is not installed: its column is left out")
    process.configure_process()  # as the command line does: freed memory stays in the process
    table: dict[str, dict[str, dict[str, float]]] = {}
    measure(paths[0], 5, engines, False)  # compiles the kernels
    for path in paths:
        table[path.stem] = measure(path, arguments.frames, engines, with_ffmpeg, arguments.rife)
        show(path.stem, table[path.stem])
    means = summary(table)
    show("moving, mean", means)
    if "minterpolate" in means:
        gain = means["flow"]["psnr_y"] - means["minterpolate"]["psnr_y"]
        speed = means["minterpolate"]["ms"] / means["flow"]["ms"]
        print(f"flow against minterpolate on moving clips: {gain:+.2f} dB, {speed:.1f} times as fast; {machine()}")
    if {"net", "flow"} <= set(means):
        gain = means["net"]["psnr_y"] - means["flow"]["psnr_y"]
        least = min(row["net"]["psnr_y"] - row["blend"]["psnr_y"] for row in table.values())
        print(f"net against flow on moving clips: {gain:+.2f} dB; against blend on any clip: {least:+.2f} dB or more")
    if arguments.json:
        result: dict[str, Any] = {"machine": machine(), "frames": arguments.frames, "clips": table, "moving": means}
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
