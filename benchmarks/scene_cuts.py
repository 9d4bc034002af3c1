"""Measure precision, recall and F1 of the scene-cut detector on pairs of frames from real clips.

    python benchmarks/scene_cuts.py [--pairs 400] [--json PATH]

Cuts: those of the clips, and pairs of frames from different clips. No cuts: neighbours, every second frame, flashes,
steps of fades and dissolves, fast pans with motion blur. Clips: $VIDSR_DATA/clips (default: ../shared/data/clips),
downscaled to 320x180 luma. The thresholds in vidsr/flow/scene_cuts.py were chosen on other clips.

Each pair is judged three times: by similarity alone, as for the engine `blend`; with the confidence of the quick flow,
as for `flow`; and with that of the thorough flow, as for `net`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before a worker pool starts

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vidsr.flow import scene_cuts
from vidsr.flow.flow_engine import FlowEngine
from vidsr.frames import FrameBatch, Origin
from vidsr.video import VideoReader

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
WIDTH, HEIGHT, FRAMES = 320, 180, 250

# the frame before each cut of a clip, found by eye
CUTS = {"bikes": {29, 75, 136, 186, 241}, "city_cc0": {115}, "bbb_1080p60": {20}}

Luma = NDArray[np.uint8]
Pair = tuple[str, bool, Luma, Luma]  # kind, whether it is a cut, both frames
Confidence = Callable[[FrameBatch, FrameBatch], float | None]  # flow confidence of a pair; None without a flow search


def read(path: Path) -> list[Luma]:
    """Return the first frames of a clip, downscaled."""
    with VideoReader(path) as reader:
        frames = (batch.y[0, 0].numpy() for batch in islice(reader.batches(1), FRAMES))
        return [cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for frame in frames]


def natural(clips: dict[str, list[Luma]]) -> Iterator[Pair]:
    """Yield pairs of neighbours, of every second frame, and across the cuts of the clips."""
    for name, frames in clips.items():
        cuts = CUTS.get(name, set())
        for kind, step in (("neighbours", 1), ("every 2nd frame", 2)):
            for i in range(0, len(frames) - step, 3):
                if not cuts & set(range(i, i + step)):
                    yield kind, False, frames[i], frames[i + step]
        for i in sorted(cuts):
            yield "cut of the clip", True, frames[i], frames[i + 1]


def made(clips: dict[str, list[Luma]], pairs: int) -> Iterator[Pair]:
    """Yield cuts between clips, and half as many of each effect that resembles a cut."""
    rng = np.random.default_rng(0)
    names = list(clips)

    def neighbours(name: str) -> tuple[Luma, Luma]:
        places = [i for i in range(len(clips[name]) - 1) if i not in CUTS.get(name, set())]
        i = int(rng.choice(places))
        return clips[name][i], clips[name][i + 1]

    for number in range(pairs):
        first, second = rng.choice(names, 2, replace=False)
        (a, b), (c, d) = neighbours(first), neighbours(second)
        yield "cut between clips", True, a, d
        if number % 2:
            continue
        flash = np.clip(b * rng.uniform(1.2, 2.5) + rng.uniform(10, 90), 0, 255).astype(np.uint8)
        yield "flash", False, *((a, flash) if rng.random() < 0.5 else (flash, a))
        steps = rng.integers(6, 16)
        start, to = rng.integers(0, steps), rng.choice([0, 255])
        yield "fade", False, _mixed(a, to, start / steps), _mixed(b, to, (start + 1) / steps)
        steps = rng.integers(8, 20)
        start = rng.integers(0, steps)
        yield "dissolve", False, _mixed(a, c, start / steps), _mixed(b, d, (start + 1) / steps)
        yield "pan", False, *_pan(a, rng)


def _mixed(a: Luma, b: Luma | int, share: float) -> Luma:
    return np.asarray(a * (1 - share) + np.asarray(b) * share).astype(np.uint8)


def _pan(frame: Luma, rng: np.random.Generator) -> tuple[Luma, Luma]:
    """Return two views of the upscaled frame, 5 to 25 % of the width apart, blurred along the motion."""
    zoom, distance = rng.uniform(1.6, 2.5), rng.uniform(0.05, 0.25) * WIDTH * rng.choice([-1, 1])
    drop = rng.uniform(-0.05, 0.05) * HEIGHT
    large = cv2.resize(frame, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    length = max(1, int(abs(distance) / 2))
    blur = np.full((1, length), 1 / length, np.float32)
    middle = large.shape[1] / 2, large.shape[0] / 2
    views = [
        cv2.getRectSubPix(large, (WIDTH, HEIGHT), (middle[0] + side * distance / 2, middle[1] + side * drop / 2))
        for side in (-1, 1)
    ]
    return cv2.filter2D(views[0], -1, blur), cv2.filter2D(views[1], -1, blur)


def judge(a: Luma, b: Luma, confidence: Confidence) -> bool:
    """Return whether the interpolation stage takes the pair for a cut."""
    first, second = (
        FrameBatch(torch.from_numpy(np.ascontiguousarray(p))[None, None], None, (Fraction(i),), (Origin(i),))
        for i, p in enumerate((a, b))
    )
    thumbnails = (scene_cuts.thumbnail(frame.y, 8) for frame in (first, second))
    return scene_cuts.is_cut(*thumbnails, confidence(first, second))


def score(pairs: list[Pair], confidence: Confidence) -> dict[str, object]:
    """Return precision, recall, F1, and the wrong pairs by kind."""
    decided = [(kind, cut, judge(a, b, confidence)) for kind, cut, a, b in pairs]
    hits = sum(cut and detected for _, cut, detected in decided)
    precision, recall = hits / sum(detected for *_, detected in decided), hits / sum(cut for _, cut, _ in decided)
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall),
        "pairs": dict(Counter(kind for kind, *_ in decided)),
        "wrong": dict(Counter(kind for kind, cut, detected in decided if cut != detected)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=400, help="cuts made between clips")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    folder = DATA / "clips"
    if not folder.is_dir():
        raise SystemExit(f"no clips in {folder}: name the data folder with VIDSR_DATA")
    clips = {path.stem: read(path) for path in sorted(folder.iterdir())}
    pairs = [*natural(clips), *made(clips, arguments.pairs)]
    engine = FlowEngine()
    confidences: dict[str, Confidence] = {
        "similarity alone": lambda a, b: None,
        "with flow": lambda a, b: engine.prepare(a, b).flow_confidence,
        "with thorough flow": lambda a, b: engine.prepare(a, b).thorough().flow_confidence,
    }
    results = {name: score(pairs, confidence) for name, confidence in confidences.items()}
    for name, result in results.items():
        print(f"{name}: precision {result['precision']:.3f}, recall {result['recall']:.3f}, F1 {result['f1']:.3f}")
        print(f"  of {result['pairs']}\n  wrong {result['wrong']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
