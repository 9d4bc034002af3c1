"""Measure `vidsr enhance clip` without options against bicubic, on clips damaged in the ways of restoration.py.

    python benchmarks/defaults.py [--clips bikes ...] [--damages sharp ...] [--json PATH]

Test clips: the luma of four frames of each clip in $VIDSR_DATA, downscaled by area to at most 480 columns. They are
downscaled by two with MATLAB's bicubic, damaged, and stored without loss, or encoded by libx264. The output is compared
with the true frames: PSNR-Y over all pixels but two at each side, against bicubic of the damaged clip.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from _timer import machine
from restoration import CRFS, DATA, LENGTHS, NOISE, SIGMAS, Luma, clips, degraded

import vidsr
from vidsr.degrade.blur import Blur, GaussianBlur, MotionBlur
from vidsr.evaluate.protocol import imresize, modcrop, shave
from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.metrics import psnr
from vidsr.options.codecs import Encoding
from vidsr.video import VideoReader, VideoWriter

FRAMES, RATE, SCALE = 4, Fraction(25), 2
LEAST, MEAN = -0.05, 0.4  # dB over bicubic: on every clip, and on average

DAMAGES: dict[str, tuple[Blur | None, float, int | None]] = {
    "sharp": (None, 0, None),
    **{f"gaussian {sigma}": (GaussianBlur((sigma, sigma)), 2, None) for sigma in SIGMAS},
    **{f"motion {length}": (MotionBlur((length, length)), 1, None) for length in LENGTHS},
    f"noise {NOISE}": (None, NOISE, None),
    **{f"crf {crf}": (None, 0, crf) for crf in (18, 23, *CRFS)},
}


def write(path: Path, frames: Luma, crf: int | None) -> None:
    """Write a clip of neutral chroma, without loss or by libx264."""
    count, height, width = frames.shape
    encoding = Encoding("ffv1") if crf is None else Encoding("libx264", crf, threads=1)
    info = VideoInfo(width, height, RATE, time_base=1 / RATE)
    chroma = torch.full((count, 2, -(-height // 2), -(-width // 2)), 128, dtype=torch.uint8)
    times = tuple(n / RATE for n in range(count))
    path.unlink(missing_ok=True)
    with VideoWriter(path, info, encoding) as writer:
        writer.write(FrameBatch(torch.from_numpy(frames)[:, None], chroma, times, tuple(map(Origin, range(count)))))


def read(path: Path) -> Luma:
    with VideoReader(path) as reader:
        return np.stack([batch.y[0, 0].numpy() for batch in reader.batches(1)])


def measure(truth: Luma, damage: str, folder: Path) -> dict[str, Any]:
    """Return PSNR-Y of bicubic and of the output, and the decision in words."""
    blur, noise, crf = DAMAGES[damage]
    truth = np.stack([modcrop(frame, 2 * SCALE) for frame in truth[:FRAMES]])
    height, width = truth.shape[1:]
    rng = np.random.default_rng(0)
    small = np.stack([degraded(imresize(f, height // SCALE, width // SCALE), blur, noise, rng) for f in truth])
    source, target = folder / "source.mkv", folder / "target.mkv"
    write(source, small, crf)
    report = vidsr.enhance(source, target, codec="ffv1", log=False, verify=False, overwrite=True)

    def score(frames: Luma) -> float:
        pairs = zip(frames, truth, strict=True)
        return fmean(psnr(shave(a.astype(np.float64), SCALE), shave(b.astype(np.float64), SCALE)) for a, b in pairs)

    bicubic = score(np.stack([imresize(frame, height, width) for frame in read(source)]))
    stages = ", ".join(word.split(" (")[0] for word in report.plan.words)
    decided = next(note.text for note in report.notes if note.code == "decided")
    return {"bicubic": bicubic, "gain": score(read(target)) - bicubic, "stages": stages, "decided": decided}


def rows(names: list[str] | None, damages: list[str]) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        for name, truth in clips().items():
            for damage in damages:
                if names is None or name in names:
                    yield {"clip": name, "damage": damage, **measure(truth, damage, Path(folder))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", help="names without suffix; default: all")
    parser.add_argument("--damages", nargs="+", choices=list(DAMAGES), default=list(DAMAGES))
    parser.add_argument("--json", type=Path, help="file to write")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no data folder at {DATA}: name one with VIDSR_DATA")
    print(machine())
    table = []
    for row in rows(arguments.clips, arguments.damages):
        table.append(row)
        print(
            f"{row['clip']:14s} {row['damage']:13s} {row['bicubic']:.2f} {row['gain']:+.2f}  {row['decided']}",
            flush=True,
        )
    for damage in arguments.damages:
        gains = [row["gain"] for row in table if row["damage"] == damage]
        print(f"{damage:13s} mean {fmean(gains):+.2f} dB, least {min(gains):+.2f}")
    least, mean = min(row["gain"] for row in table), fmean(row["gain"] for row in table)
    bars = [
        f"{'holds' if value >= bar else 'FAILS'}: {label} over bicubic {value:+.2f} dB (at least {bar:+.2f})"
        for label, value, bar in (("every clip", least, LEAST), ("mean", mean, MEAN))
    ]
    print("\n".join(bars))
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "rows": table, "bars": bars}, indent=1) + "\n")


if __name__ == "__main__":
    main()
