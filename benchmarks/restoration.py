"""Measure every restoration method on blur, noise and compression: networks and classical methods.

    python benchmarks/restoration.py [--parts gaussian ...] [--models deblur-fast ...] [--weights DIR] [--json PATH]

Test images: luma of Set14 and of one frame of each clip in $VIDSR_DATA. Clips are downscaled by area to at most 480
columns. vidsr/degrade/ damages them to 8-bit codes; PSNR is on luma, over all pixels, of outputs rounded to 8 bits. The
classical methods get the true sigma, and their other setting is the best of several for each row, which no user could
know. The networks get no such information.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before a worker pool starts

import cv2
import numpy as np
import torch
from _restoration_bars import TEMPORAL, bars
from _sequence import restored
from _stability import flow_difference, flows, warped_difference
from _timer import machine
from numpy.typing import NDArray

from vidsr.degrade.blur import Blur, GaussianBlur, MotionBlur
from vidsr.degrade.degradations import convolve
from vidsr.device import choose
from vidsr.frames import VideoInfo
from vidsr.kernels.deconvolution import richardson_lucy, unsharp, wiener
from vidsr.kernels.denoise import bilateral, non_local_means
from vidsr.metrics import psnr, rgb_to_y
from vidsr.models import load_model
from vidsr.models.weight_files import WEIGHTS, list_weights
from vidsr.options.restoration import NETWORKS, TASKS, Task
from vidsr.stages.diagnosis import ClipSamples, Diagnosis, diagnose
from vidsr.stages.network_runner import Runner
from vidsr.video import VideoReader
from vidsr.video.encode_decode import encode_and_decode

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
WIDEST = 480
SIGMAS, LENGTHS, CRFS, NOISE = (0.8, 1.2, 1.6, 2.5), (9, 15), (28, 35), 10
CLIP_FRAMES, SEQUENCE_FRAMES, MIDDLE = 12, 8, 15
STILL_CLIP, MOVING_CLIP, SPEED_CLIP = "phone_dog_vfr", "bikes", "cockatoo_444"
FPS_SIZE, FPS_FRAMES = (270, 480), 32

Luma = NDArray[np.uint8]
Method = Callable[[Luma], NDArray[Any]]
Row = dict[str, float]


# --- images


@cache
def clip(path: Path) -> Luma:
    """Return the luma of some frames of a clip, T x H x W, at most 480 columns wide."""
    with VideoReader(path, frames=MIDDLE + CLIP_FRAMES) as reader:
        frames = [batch.y[0, 0].numpy() for batch in reader.batches(1)][-CLIP_FRAMES:]
        scale = min(1.0, WIDEST / reader.info.width)
        size = round(reader.info.width * scale), round(reader.info.height * scale)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def clips() -> dict[str, Luma]:
    return {path.stem: clip(path) for path in sorted((DATA / "clips").iterdir())}


@cache
def images() -> dict[str, Luma]:
    """Return the luma of Set14 and of a frame of each clip."""
    files = sorted(p for p in (DATA / "set14").iterdir() if p.suffix in (".png", ".bmp") and "LR" not in p.stem)
    read = {p.stem: cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in files}
    luma = {name: np.rint(rgb_to_y(p if p.ndim == 2 else p[..., ::-1])).astype(np.uint8) for name, p in read.items()}
    return luma | {name: frames[0] for name, frames in clips().items()}


def degraded(image: Luma, blur: Blur | None, noise: float, rng: np.random.Generator) -> Luma:
    """Blur ``image``, add noise, then round once."""
    values = image.astype(np.float32)
    if blur is not None:
        values = convolve(values[None], blur.kernel(rng))[0]
    return np.clip(np.rint(values + noise * rng.standard_normal(values.shape, np.float32)), 0, 255).astype(np.uint8)


# --- methods


def networks(names: list[str] | None, folder: Path) -> dict[str, Method]:
    """Return the restoration networks in ``folder``, all or those in ``names``."""
    compute = choose("auto", "auto")
    known = [name for task in NETWORKS.values() for name in task]
    present = {entry.name for entry in list_weights(folder) if entry.domain == "any" and entry.scale == 1}

    def method(runner: Runner, image: Luma) -> NDArray[Any]:
        return runner(torch.from_numpy(image)[None, None], 255).cpu()[0, 0].numpy()

    return {
        name: partial(
            method, Runner(load_model(name, 1, compute.device, compute.dtype, "any", folder).fused(), compute)
        )
        for name in known
        if name in present and (names is None or name in names)
    }


def described(name: str, folder: Path) -> dict[str, Any]:
    model = load_model(name, 1, domain="any", folder=folder)
    return {"parameters": model.parameters_count, "kmac_per_pixel": model.kmac_per_pixel, "sha256": model.sha256}


def on_floats(function: Callable[..., NDArray[Any]], *settings: float) -> Method:
    return lambda image: function(image.astype(np.float32), *settings)


def deconvolutions(sigma: float) -> dict[str, list[Method]]:
    """Return each classical method with the true ``sigma``, once for each setting to choose the best from."""
    return {
        "unsharp": [on_floats(unsharp, sigma, amount) for amount in (0.5, 1.0, 1.5, 2.0)],
        "richardson-lucy": [on_floats(richardson_lucy, sigma, count) for count in (10, 20, 40)],
        "wiener": [on_floats(wiener, sigma, weight) for weight in (0.001, 0.002, 0.004, 0.008)],
    }


def denoisers(noise: float) -> dict[str, list[Method]]:
    return {
        "bilateral": [on_floats(bilateral, noise, reach) for reach in (1.7, 2.1, 2.5)],
        "nlm": [on_floats(non_local_means, noise, strength) for strength in (0.9, 1.05, 1.2)],
    }


def score(method: Method, bad: dict[str, Luma], good: dict[str, Luma]) -> float:
    """Return the mean PSNR-Y over the images."""
    codes = {name: np.clip(np.rint(method(image)), 0, 255) for name, image in bad.items()}
    return float(np.mean([psnr(codes[name], good[name]) for name in bad]))


def compared(bad: dict[str, Luma], classical: dict[str, list[Method]], trained: dict[str, Method]) -> Row:
    """Return the PSNR-Y of the degraded images and of the output of each method."""
    good = images()
    row = {"input": score(lambda image: image, bad, good)}
    row |= {name: max(score(method, bad, good) for method in settings) for name, settings in classical.items()}
    return row | {name: score(method, bad, good) for name, method in trained.items()}


# --- parts


def gaussian(trained: dict[str, Method]) -> Iterator[tuple[str, Row]]:
    """Gaussian blur and noise of 2/255."""
    for sigma in SIGMAS:
        bad = _all_degraded(GaussianBlur((sigma, sigma)), 2)
        yield f"{sigma}", compared(bad, deconvolutions(sigma), trained)


def motion(trained: dict[str, Method]) -> Iterator[tuple[str, Row]]:
    """Straight motion at random angles and noise of 1/255."""
    for length in LENGTHS:
        yield f"{length}", compared(_all_degraded(MotionBlur((length, length)), 1), {}, trained)


def noise(trained: dict[str, Method]) -> Iterator[tuple[str, Row]]:
    """Noise of 10/255, and the seconds that each method takes for all images."""
    bad = _all_degraded(None, NOISE)
    yield f"{NOISE}", compared(bad, denoisers(NOISE), trained)
    methods = trained | {name: settings[1] for name, settings in denoisers(NOISE).items()}
    yield "seconds", {name: min(_seconds(method, bad) for _ in range(3)) for name, method in methods.items()}


def compressed(trained: dict[str, Method]) -> Iterator[tuple[str, Row]]:
    """Gain in PSNR-Y over a clip from libx264 at each CRF, without and with temporal denoising."""
    for crf in CRFS:
        for name, truth in clips().items():
            decoded = encode_and_decode(truth, "libx264", crf)
            before = psnr(decoded, truth)
            after = _in_sequence(trained, decoded)
            yield f"{crf} {name}", {"input": before} | {key: psnr(y, truth) - before for key, y in after.items()}


def sharp(trained: dict[str, Method]) -> Iterator[tuple[str, Row]]:
    """PSNR-Y of a sharp clip after each network: its first frame, and some frames with temporal denoising."""
    for name, frames in clips().items():
        some = frames[:SEQUENCE_FRAMES]
        made = {key: (y, some) for key, y in _in_sequence(trained, some).items() if key.endswith(TEMPORAL)}
        made |= {key: (_codes(method, frames[0]), frames[0]) for key, method in trained.items()}
        yield name, {key: psnr(y, truth) for key, (y, truth) in made.items()}


def stability(trained: dict[str, Method]) -> Iterator[tuple[str, Row]]:
    """False motion (pixels) and flicker along the true motion (code values) at blur 1.6 and noise 2.

    "still" is one frame repeated, with different noise in each; "moving" is a clip.
    """
    truths = {
        "still": np.repeat(clips()[STILL_CLIP][:1], SEQUENCE_FRAMES, axis=0),
        "moving": clips()[MOVING_CLIP][:SEQUENCE_FRAMES],
    }
    for name, truth in truths.items():
        rng, blur = np.random.default_rng(0), GaussianBlur((1.6, 1.6))
        bad = [degraded(frame, blur, 2, rng) for frame in truth]
        true_flows = flows(list(truth))
        made = {"truth": list(truth), "input": bad}
        made |= {key: list(y) for key, y in _in_sequence(trained, np.stack(bad)).items()}
        classical = {key: settings[1] for key, settings in deconvolutions(1.6).items()}
        made |= {key: [_codes(method, frame) for frame in bad] for key, method in classical.items()}
        yield f"{name} tOF", {key: flow_difference(y, true_flows) for key, y in made.items()}
        yield f"{name} warped", {key: warped_difference(y, list(truth), true_flows) for key, y in made.items()}


def auto(trained: dict[str, Method]) -> Iterator[tuple[str, Row]]:
    """Measurements and decisions of `auto` on the sharp clips, and the share of damaged images that it detects."""
    for name, frames in clips().items():
        found = _diagnosis(*frames[:: CLIP_FRAMES // 3])
        needed = {task: float(found.needs(task)) for task in TASKS}
        yield f"sharp {name}", {"blur": found.blur, "smear": found.motion_blur, "noise": found.noise, **needed}
    damages: list[tuple[str, Task, Blur | None, float]] = [
        ("gaussian 1.6", "deblur", GaussianBlur((1.6, 1.6)), 2),
        ("motion 15", "deblur", MotionBlur((15, 15)), 1),
        ("noise 10", "denoise", None, NOISE),
    ]
    for label, task, blur, sigma in damages:
        bad = _all_degraded(blur, sigma).values()
        yield f"detected {label}", {task: float(np.mean([_diagnosis(image).needs(task) for image in bad]))}


def speed(trained: dict[str, Method]) -> Iterator[tuple[str, Row]]:
    """Frames per second at 480x270 of the network alone, and on a moving clip with temporal denoising."""
    frame = np.random.default_rng(0).integers(0, 256, FPS_SIZE, np.uint8)
    rates = {}
    for name, method in trained.items():
        _seconds(method, dict.fromkeys(range(3), frame))
        rates[name] = FPS_FRAMES / _seconds(method, dict.fromkeys(range(FPS_FRAMES), frame))
    yield "fps", rates
    clip = np.concatenate([clips()[SPEED_CLIP]] * 3)[:FPS_FRAMES]
    yield "fps temporal", {name: len(clip) / _seconds_temporal(method, clip) for name, method in trained.items()}


PARTS = (gaussian, motion, compressed, noise, sharp, auto, speed, stability)


def _diagnosis(*frames: Luma) -> Diagnosis:
    """Diagnose frames that were never encoded."""
    info = VideoInfo(frames[0].shape[1], frames[0].shape[0], None)
    return diagnose(ClipSamples(tuple(torch.from_numpy(frame)[None, None] for frame in frames)), info)


def _all_degraded(blur: Blur | None, noise: float) -> dict[str, Luma]:
    """Degrade every image, each with its own random generator."""
    return {
        name: degraded(image, blur, noise, np.random.default_rng(number))
        for number, (name, image) in enumerate(images().items())
    }


def _codes(method: Method, image: Luma) -> Luma:
    return np.clip(np.rint(method(image)), 0, 255).astype(np.uint8)


def _in_sequence(trained: dict[str, Method], frames: Luma) -> dict[str, Luma]:
    """Restore consecutive frames with each network, without and with temporal denoising."""
    return {
        f"{name}{TEMPORAL if temporal else ''}": restored(method, frames, temporal)
        for name, method in trained.items()
        for temporal in (False, True)
    }


def _seconds_temporal(method: Method, frames: Luma) -> float:
    started = perf_counter()
    restored(method, frames, True)
    return perf_counter() - started


def _seconds(method: Method, frames: dict[Any, Luma]) -> float:
    started = perf_counter()
    for frame in frames.values():
        method(frame)
    return perf_counter() - started


def show(part: str, label: str, row: Row) -> None:
    cells = "  ".join(f"{name} {value:.3f}" for name, value in row.items())
    print(f"{part:10s} {label:16s} {cells}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=[part.__name__ for part in PARTS], help="default: all")
    parser.add_argument("--models", nargs="*", help="networks; default: all that have weights")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of NAME-any-x1.safetensors")
    parser.add_argument("--json", type=Path, help="file to write; with --parts, its other parts are kept")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no data folder at {DATA}: name one with VIDSR_DATA")
    trained = networks(arguments.models, arguments.weights)
    print(f"networks: {', '.join(trained) or 'none'}; {len(images())} images; {machine()}")
    facts = {name: described(name, arguments.weights) for name in trained}
    tables = _earlier(arguments.json, facts) if arguments.json and arguments.parts else {}
    for part in PARTS:
        if arguments.parts is None or part.__name__ in arguments.parts:
            tables[part.__name__] = {}
            for label, row in part(trained):
                tables[part.__name__][label] = row
                show(part.__name__, label, row)
    verdicts = bars(tables)
    for verdict in verdicts:
        print(verdict)
    if arguments.json:
        compute = str(choose("auto", "auto"))
        result = {"machine": machine(), "compute": compute, "networks": facts, "tables": tables, "bars": verdicts}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def _earlier(path: Path, facts: dict[str, Any]) -> dict[str, dict[str, Row]]:
    """Return the parts in ``path`` if the networks are the same, so that some parts can be measured alone."""
    if not path.exists():
        return {}
    result = json.loads(path.read_text())
    if result["networks"] != facts:
        raise SystemExit(f"{path} holds figures of other weights: measure all parts again, without --parts")
    earlier: dict[str, dict[str, Row]] = result["tables"]
    return earlier


if __name__ == "__main__":
    main()
