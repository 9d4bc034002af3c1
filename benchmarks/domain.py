"""Measure from which quantizer on the weights for compressed clips beat those for clean ones: `--domain auto`.

    python benchmarks/domain.py [--codecs libx264 ...] [--scale 2] [--model balanced] [--contrast 0.2] [--json PATH]

Test clips: the luma of twelve frames of each clip in $VIDSR_DATA, downscaled by area to at most 480 columns. They are
downscaled by the scale with MATLAB's bicubic, encoded at each quality, decoded and upscaled with both weights, without
and with restoration. PSNR-Y is the gain over bicubic, on two frames. With a contrast below 1 the clips are dark ones.

The closing table has a row for each threshold: mean and least gain if `auto` takes the weights for compressed clips
from that quantizer on, and the mean loss against the better weights of each clip. The last line is what `auto` takes,
which minds the detail of the clip too.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _timer import machine
from restoration import DATA, Luma, clips

from vidsr.device import choose
from vidsr.evaluate.protocol import imresize, modcrop, shave
from vidsr.frames import VideoInfo
from vidsr.metrics import psnr
from vidsr.models import load_model
from vidsr.stages.diagnosis import COMPRESSED_FROM, detail, suits_compressed_weights
from vidsr.stages.network_runner import Runner
from vidsr.video.encode_decode import encode_and_measure

QUALITIES: dict[str, tuple[int, ...]] = {
    "libx264": (14, 18, 20, 22, 24, 26, 28, 32, 36),
    "mpeg4": (2, 3, 4, 6, 9, 14),
    "mpeg2video": (2, 3, 4, 6, 9, 14),
    "libvpx-vp9": (10, 16, 22, 28, 36, 46),
}
DECODERS = {"libx264": "h264", "mpeg4": "mpeg4", "mpeg2video": "mpeg2video", "libvpx-vp9": "vp9"}
FRAMES = (3, 9)  # measured
DARK = 30  # luma that dark clips stay near
RESTORE = "restore-fast"

Row = dict[str, Any]


def runner(name: str, scale: int, domain: str) -> Runner:
    compute = choose("auto", "auto")
    return Runner(load_model(name, scale, compute.device, compute.dtype, domain).fused(), compute)


def codes(network: Runner, plane: Luma) -> Luma:
    output = network(torch.from_numpy(np.ascontiguousarray(plane))[None, None], 255)[0, 0].float().cpu().numpy()
    return np.clip(np.rint(output), 0, 255).astype(np.uint8)


def darkened(frame: Luma, contrast: float) -> Luma:
    """Return a frame with that share of its differences from the luma ``DARK``."""
    return frame if contrast == 1 else np.rint(DARK + (frame.astype(np.float64) - DARK) * contrast).astype(np.uint8)


def measure(codec: str, model: str, scale: int, contrast: float) -> list[Row]:
    """Return a row for each clip and quality: quantizer, detail, and the gain over bicubic of each combination."""
    weights = {domain: runner(model, scale, domain) for domain in ("clean", "video")}
    restore = runner(RESTORE, 1, "any")
    rows = []
    for name, frames in clips().items():
        truth = [darkened(modcrop(frame, 2 * scale), contrast) for frame in frames]
        height, width = truth[0].shape
        small = np.stack([imresize(frame, height // scale, width // scale) for frame in truth])
        for quality in QUALITIES[codec]:
            decoded, quantizer = encode_and_measure(small, codec, quality)  # type: ignore[arg-type]
            assert quantizer is not None
            gains: dict[str, list[float]] = {}
            for index in FRAMES:

                def score(plane: Luma, good: Luma = truth[index]) -> float:
                    return psnr(shave(plane.astype(np.float64), scale), shave(good.astype(np.float64), scale))

                bicubic = score(imresize(decoded[index], height, width))
                for label, plane in (("", decoded[index]), ("restored ", codes(restore, decoded[index]))):
                    for domain, network in weights.items():
                        gain = score(codes(network, plane)) - bicubic
                        gains.setdefault(f"{label}{'compressed' if domain == 'video' else domain}", []).append(gain)
            means = {label: float(np.mean(values)) for label, values in gains.items()}
            found = float(np.median([detail(decoded[index].astype(np.float32)) for index in FRAMES]))
            row = {"codec": codec, "clip": name, "quality": quality, "quantizer": quantizer, "detail": found}
            rows.append({**row, **means})
            cells = "  ".join(f"{label} {value:+.2f}" for label, value in means.items())
            print(f"{codec:10s} {name:14s} {quality:3d}  quantizer {quantizer:5.1f}  {cells}", flush=True)
    return rows


def thresholds(rows: list[Row]) -> list[Row]:
    """Return what each threshold would give."""
    return [
        {"from": threshold, **outcome(rows, [row["quantizer"] >= threshold for row in rows])}
        for threshold in sorted({round(row["quantizer"]) for row in rows})
    ]


def outcome(rows: list[Row], compressed: list[bool]) -> Row:
    """Return the mean and least gain, and the mean loss, if the rows that are ``compressed`` get such weights."""
    chosen = np.array([row["compressed" if is_so else "clean"] for row, is_so in zip(rows, compressed, strict=True)])
    better = np.array([max(row["compressed"], row["clean"]) for row in rows])
    return {"mean": float(chosen.mean()), "least": float(chosen.min()), "loss": float((better - chosen).mean())}


def in_words(row: Row) -> str:
    return f"mean {row['mean']:+.3f} dB, least {row['least']:+.2f}, below the better weights by {row['loss']:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codecs", nargs="+", default=list(QUALITIES), choices=list(QUALITIES))
    parser.add_argument("--model", default="balanced")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--contrast", type=float, default=1.0)
    parser.add_argument("--json", type=Path, help="file to write")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no data folder at {DATA}: name one with VIDSR_DATA")
    model, scale, contrast = arguments.model, arguments.scale, arguments.contrast
    print(f"{model} x{scale}, contrast {contrast:g}; {machine()}")
    result: dict[str, Any] = {"machine": machine(), "model": model, "scale": scale, "contrast": contrast, "codecs": {}}
    for codec in arguments.codecs:
        rows = measure(codec, model, scale, contrast)
        table = thresholds(rows)
        used, info = COMPRESSED_FROM[DECODERS[codec]], VideoInfo(16, 16, Fraction(25), codec=DECODERS[codec])
        auto = outcome(rows, [suits_compressed_weights(info, row["quantizer"], row["detail"]) for row in rows])
        result["codecs"][codec] = {"rows": rows, "thresholds": table, "used": used, "auto": auto}
        for row in table:
            print(f"{codec:10s} compressed from {row['from']:3d}: {in_words(row)}")
        print(f"{codec:10s} auto, from {used:g} with usual detail: {in_words(auto)}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
