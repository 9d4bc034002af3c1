"""Upscale clips frame by frame and with a temporal network, and compare both with the original.

    python benchmarks/temporal.py [--models balanced balanced-t] [--scale 4] [--crf 23] [--clips bikes bee]
        [--json PATH]
    python benchmarks/temporal.py --stress        # a still scene of 200 frames; a cut every five frames
    python benchmarks/temporal.py --ahead [0 3]   # so many frames behind the first of a scene give it a state
    python benchmarks/temporal.py --backward      # the network run backwards too
    python benchmarks/temporal.py --late [24 36]  # a segment that begins so many frames early against the whole run

The protocol of the papers: HR is 8-bit luma of 16 frames, LR comes from MATLAB's antialiased bicubic, rounded; with
--crf LR is encoded by libx264 (preset medium) and decoded. PSNR leaves out 8 pixels on each side; a clip's figure is
the mean over its frames. Clips wider than 720 pixels are halved by area first: so their coding noise does not count.
Flicker is the mean change between frames that the optical flow of the original does not explain, in code values.
Clips: $VIDSR_DATA/clips (default: ../shared/data/clips).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from _timer import machine
from numpy.typing import NDArray

from vidsr.device import Compute
from vidsr.evaluate.protocol import imresize, modcrop, shave
from vidsr.flow.search import dense_search
from vidsr.flow.state_warp import stays_inside, warp_cubic
from vidsr.metrics import psnr
from vidsr.models import Model, from_file, load_model
from vidsr.stages.network_runner import Runner
from vidsr.stages.temporal_upscale import LOOK_AHEAD, TemporalUpscaler
from vidsr.stages.upscale import make_upscaler
from vidsr.video.encode_decode import encode_and_decode
from vidsr.video.luma import read_luma

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
FIRST, COUNT = 10, 16  # frames of a clip
WIDEST = 720
BORDER = 8
LATE_FRAMES, COMPARED = 120, 8  # frames of a clip of --late, and frames at its end that are compared
PRECISE = dense_search(0, 4, 12, refinements=2)  # the flow that flicker is measured with
BICUBIC = "bicubic"

Luma = NDArray[np.uint8]  # T x H x W


def read_hr(path: Path, scale: int, first: int = FIRST, count: int = COUNT) -> Luma:
    """Return the frames of a clip, halved if they are wide, both sides multiples of ``scale``."""
    frames = []
    for y in islice(read_luma(path), first, first + count):
        plane = y.numpy()
        if plane.shape[1] > WIDEST:
            plane = cv2.resize(plane, (plane.shape[1] // 2, plane.shape[0] // 2), interpolation=cv2.INTER_AREA)
        frames.append(modcrop(plane, scale))
    return np.stack(frames)


def make_lr(hr: Luma, scale: int, crf: int | None) -> Luma:
    """Return the LR frames."""
    height, width = (side // scale for side in hr.shape[1:])
    lr = np.stack([imresize(frame, height, width) for frame in hr])
    return lr if crf is None else encode_and_decode(lr, "libx264", crf)


def upscale(model: Model | None, lr: Luma, scale: int, ahead: int = LOOK_AHEAD) -> Luma:
    """Return the frames upscaled, as codes; None: by bicubic. The first of a scene looks so many frames ``ahead``."""
    if model is None:
        return np.stack([imresize(frame, frame.shape[0] * scale, frame.shape[1] * scale) for frame in lr])
    upscaler = make_upscaler(Runner(model.fused(), Compute(torch.device("cpu"), model.network.dtype)))
    frames = [torch.from_numpy(frame)[None, None] for frame in lr]
    if isinstance(upscaler, TemporalUpscaler):
        pairs = [(frame, frames[n : n + ahead]) for n, frame in enumerate(frames, 1)]
        outputs = [upscaler(frame, 255, following=following) for frame, following in pairs]
    else:
        outputs = [upscaler(frame, 255) for frame in frames]
    return np.stack([output.round().clamp(0, 255).to(torch.uint8)[0, 0].numpy() for output in outputs])


def frame_psnr(output: Luma, hr: Luma) -> list[float]:
    """Return the PSNR of each frame, dB."""
    return [psnr(shave(a, BORDER), shave(b, BORDER), 255) for a, b in zip(output, hr, strict=True)]


def flicker(output: Luma, hr: Luma) -> float:
    """Return the mean absolute change along the motion of ``hr``, code values."""
    changes = []
    for index in range(1, len(hr)):
        flow = PRECISE.calc(hr[index], hr[index - 1], np.empty(0, np.float32))
        moved = warp_cubic(output[index - 1].astype(np.float32), flow)
        inside = stays_inside(flow) > 0
        changes.append(np.abs(output[index] - moved)[inside].mean())
    return float(np.mean(changes))


def load(name: str, scale: int, domain: str, dtype: torch.dtype) -> Model | None:
    """Return a shipped model or the one in a weights file; None for bicubic."""
    if name == BICUBIC:
        return None
    if name.endswith(".safetensors"):
        return from_file(Path(name), dtype=dtype)
    return load_model(name, scale, dtype=dtype, domain=domain)


def measure(models: dict[str, Model | None], clips: list[Path], scale: int, crf: int | None) -> dict[str, Any]:
    """Return PSNR and flicker of every clip by every model; print a line per clip."""
    table: dict[str, Any] = {}
    for path in clips:
        hr = read_hr(path, scale)
        lr = make_lr(hr, scale, crf)
        row = {}
        for name, model in models.items():
            output = upscale(model, lr, scale)
            row[name] = {"psnr": _mean_psnr(output, hr), "flicker": flicker(output, hr)}
        table[path.stem] = row
        print(f"{path.stem:16}" + "".join(f"  {r['psnr']:7.3f} ({r['flicker']:.2f})" for r in row.values()), flush=True)
    means = {name: float(np.mean([row[name]["psnr"] for row in table.values()])) for name in models}
    print(f"{'mean':16}" + "".join(f"  {value:7.3f}       " for value in means.values()))
    return {"clips": table, "mean": means}


def stress(models: dict[str, Model | None], clips: list[Path], scale: int) -> dict[str, Any]:
    """Return the drift of 200 equal frames, and the PSNR of a cut every five frames; print both."""
    scenes = [read_hr(path, scale) for path in clips]
    still = np.repeat(scenes[0][:1], 200, 0)
    size = np.min([scene.shape[1:] for scene in scenes], 0)
    cuts = np.concatenate([scene[start : start + 5, : size[0], : size[1]] for start in (0, 5, 10) for scene in scenes])
    result: dict[str, Any] = {}
    for name, model in models.items():
        drift = frame_psnr(upscale(model, make_lr(still, scale, None), scale), still)
        result[name] = {
            "still_second": drift[1],
            "still_last": drift[-1],
            "still_lowest": min(drift),
            "cuts": float(np.mean(frame_psnr(upscale(model, make_lr(cuts, scale, None), scale), cuts))),
        }
        print(f"{name:16}" + "".join(f"  {key} {value:.3f}" for key, value in result[name].items()), flush=True)
    return result


def late(models: dict[str, Model | None], clips: list[Path], scale: int, warm_ups: Sequence[int]) -> dict[str, Any]:
    """Return how frames differ when the clip begins only so many frames before them, as a segment does; print it.

    ``warm_ups``: numbers of frames; none: that of a run. Clips are cut to `LATE_FRAMES` frames of 352 x 288 pixels.
    """
    result: dict[str, Any] = {}
    for path in clips:
        hr = np.stack([modcrop(frame[:288, :352], scale) for frame in read_hr(path, scale, 0, LATE_FRAMES)])
        lr, last = make_lr(hr, scale, None), slice(-COMPARED, None)
        for name, model in models.items():
            if model is None:
                continue
            whole = upscale(model, lr, scale)[last]
            for warm_up in warm_ups or (model.network.warm_up,):
                if len(lr) < 2 * COMPARED + warm_up:
                    continue
                part = upscale(model, lr[-COMPARED - warm_up :], scale)[last]
                difference = np.abs(whole.astype(int) - part)
                loss = np.subtract(frame_psnr(part, hr[last]), frame_psnr(whole, hr[last])).mean()
                row = {"most": int(difference.max()), "share_over_2": float((difference > 2).mean()), "psnr": loss}
                result[f"{path.stem} {name} {warm_up}"] = row
                words = "".join(f"  {key} {value:.4g}" for key, value in row.items())
                print(f"{path.stem:16} {name:12} {warm_up:3}{words}", flush=True)
    return result


def backward(models: dict[str, Model | None], clips: list[Path], scale: int) -> dict[str, Any]:
    """Return the PSNR of a model, and of its mean with the model run backwards; print both."""
    result: dict[str, Any] = {}
    for path in clips:
        hr = read_hr(path, scale)
        lr = make_lr(hr, scale, None)
        for name, model in models.items():
            if model is None:
                continue
            forward = upscale(model, lr, scale)
            back = upscale(model, lr[::-1].copy(), scale)[::-1]
            row = {"forward": _mean_psnr(forward, hr), "backward_too": _mean_psnr(mean_of(forward, back), hr)}
            result[f"{path.stem} {name}"] = row
            _print_row(path, name, row)
    return result


def look_ahead(models: dict[str, Model | None], clips: list[Path], scale: int, counts: Sequence[int]) -> dict[str, Any]:
    """Return the PSNR by the number of frames that the first one of a scene looks ahead; print it."""
    result: dict[str, Any] = {}
    for path in clips:
        hr = read_hr(path, scale)
        lr = make_lr(hr, scale, None)
        for name, model in models.items():
            if model is not None:
                row = {f"ahead_{count}": _mean_psnr(upscale(model, lr, scale, count), hr) for count in counts}
                result[f"{path.stem} {name}"] = row
                _print_row(path, name, row)
    rows = list(result.values())
    _print_row(Path("mean"), "", {key: float(np.mean([row[key] for row in rows])) for key in rows[0]})
    return result


def _mean_psnr(output: Luma, hr: Luma) -> float:
    return float(np.mean(frame_psnr(output, hr)))


def _print_row(path: Path, name: str, row: dict[str, float]) -> None:
    print(f"{path.stem:16} {name:12}" + "".join(f"  {key} {value:.3f}" for key, value in row.items()), flush=True)


def mean_of(a: Luma, b: Luma) -> Luma:
    """Return the rounded mean of two outputs."""
    return ((a.astype(np.uint16) + b + 1) // 2).astype(np.uint8)


def main() -> None:
    """Print and store what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["balanced", "balanced-t"], help="names or weights files")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--crf", type=int, help="encode LR at this CRF; the models are those for compressed clips")
    parser.add_argument("--domain", choices=("clean", "video"), help="weights to use (default: as --crf says)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--clips", nargs="+", help="stems of clips (default: all)")
    parser.add_argument("--folder", type=Path, default=DATA / "clips", help="folder of clips")
    parser.add_argument("--stress", action="store_true", help="a still scene and frequent cuts instead")
    parser.add_argument("--late", type=int, nargs="*", help="warm-ups of segments to compare with a whole run instead")
    parser.add_argument("--ahead", type=int, nargs="+", help="numbers of frames to look ahead, compared, instead")
    parser.add_argument("--backward", action="store_true", help="the mean with the network run backwards instead")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    domain = given.domain or ("clean" if given.crf is None else "video")
    dtype = torch.float32 if given.precision == "fp32" else torch.bfloat16
    models = {name: load(name, given.scale, domain, dtype) for name in (BICUBIC, *given.models)}
    clips = [p for p in sorted(given.folder.iterdir()) if p.is_file() and (not given.clips or p.stem in given.clips)]
    print(f"{'':16}  " + "  ".join(models))
    if given.stress:
        result = stress(models, clips, given.scale)
    elif given.late is not None:
        result = late(models, clips, given.scale, given.late)
    elif given.ahead is not None:
        result = look_ahead(models, clips, given.scale, given.ahead)
    elif given.backward:
        result = backward(models, clips, given.scale)
    else:
        result = measure(models, clips, given.scale, given.crf)
    if given.json:
        settings = {"scale": given.scale, "crf": given.crf, "domain": domain, "precision": given.precision}
        given.json.write_text(json.dumps({"machine": machine(), **settings, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
