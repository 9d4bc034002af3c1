"""Frames to interpolate between, with what optical flow makes of them, as one memory-mapped shard.

    python -m vidsr.train.prepare.windows -o SHARD --clips DIR... --photos DIR... [--scenes 600] [--seed 0]

A triple is two frames of a clip, a frame between them, and the field by which the engine `flow` would make it: ways to
both frames, share of the second, share of the plain mean. Fields are kept so that training needs no optical flow, and
are made with the motion of the neighbouring pairs, as in use. Clips are cut into windows of at most seven frames and
reduced to at most 480 columns; no window reaches across a cut. Synthetic scenes (`train/layers.py`) join them, true at
any phase.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from vidsr.flow import scene_cuts
from vidsr.flow.flow_engine import FlowEngine, FlowPair
from vidsr.frames import FrameBatch, Origin
from vidsr.options.paths import CLIP_SUFFIXES
from vidsr.train.prepare import moving_layers as layers
from vidsr.train.prepare.dataset import find_files, luma_planes
from vidsr.video.luma import read_luma

Luma = NDArray[np.uint8]  # h x w
Array = NDArray[Any]

WIDEST = 480
BLOCK = 16  # pixels a side over which the error of `flow` is kept
ERROR_STEP = 8.0  # kept errors per code value
MOST_FRAMES = 160  # of one clip
DISTANCES = (2, 4, 3)  # frames from the first to the second of a pair
REPEATS = 0.02  # share of a clip's frames that repeat the one before, above which its times can not be trusted
FAR = 100.0  # squared error, code values, of a picture that is far off
SPARE = 8  # every so-manieth clip or scene is for validation


@dataclass(frozen=True, eq=False)
class Triple:
    """Two frames, a frame between them, and what `flow` makes of it."""

    first: int  # frame numbers
    second: int
    truth: int
    phase: Fraction
    field: Array  # h/2 x w/2 x 6, float32
    error: Array  # mean absolute error of `flow` in each block
    squared: float  # its mean squared error

    @classmethod
    def of(cls, numbers: tuple[int, int, int], pair: FlowPair, phase: Fraction, truth: Luma, sides: Any) -> Triple:
        """The triple of ``pair`` with the motion on both ``sides``."""
        field = pair.field(phase, *sides)
        wrong = np.abs(pair.render(field, phase, pair.static_masks(*sides))[0] - truth)
        blocks = (max(1, truth.shape[1] // BLOCK), max(1, truth.shape[0] // BLOCK))
        error = cv2.resize(wrong, blocks, interpolation=cv2.INTER_AREA)
        return cls(*numbers, phase, field, np.asarray(error), float(np.square(wrong).mean()))


def reduced(luma: Luma, widest: int = WIDEST) -> Luma:
    """``luma`` with at most ``widest`` columns, both sides even."""
    h, w = luma.shape
    width = min(widest, w) // 2 * 2
    height = round(h * width / w / 2) * 2
    return np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA))


def triples(frames: Sequence[Luma], start: int, distance: int, phases: Sequence[Fraction]) -> Iterator[Triple]:
    """The triples of the pairs ``start``, ``start + distance`` ... of ``frames``; one of ``phases`` of each in turn."""
    engine = FlowEngine()
    kept = [as_frame(luma, n) for n, luma in enumerate(frames)][start::distance]
    pairs = [prepared(engine, a, b) for a, b in pairwise(kept)]
    for index, pair in enumerate(pairs):
        if pair is None:
            continue
        sides = [pairs[n].motion if 0 <= n < len(pairs) and pairs[n] else None for n in (index - 1, index + 1)]  # type: ignore[union-attr]
        phase = phases[index % len(phases)]
        first = start + index * distance
        truth = first + round(phase * distance)
        triple = Triple.of((first, first + distance, truth), pair, phase, frames[truth], sides)
        if told(triple, frames[first], frames[first + distance], frames[truth]):
            yield triple


def told(triple: Triple, first: Luma, second: Luma, truth: Luma) -> bool:
    """Whether both frames tell something of the truth.

    They do not where the better copy is nearer to it than `flow`: then it was not taken between the two; nor where
    `flow` is far off and no nearer than the mean: time lapse, repeated frames.
    """

    def squared(picture: Array) -> float:
        return float(np.square(picture - truth).mean())

    a, b = first.astype(np.float32), second.astype(np.float32)
    followed = triple.squared < max(FAR, 0.8 * squared(a + np.float32(triple.phase) * (b - a)))
    return followed and triple.squared < min(squared(a), squared(b))


def prepared(engine: FlowEngine, a: FrameBatch, b: FrameBatch) -> FlowPair | None:
    """The pair, or None where it is cut or stands still."""
    if torch.equal(a.y, b.y):
        return None
    pair = engine.prepare(a, b)
    small_a, small_b = scene_cuts.thumbnail(a.y, 8), scene_cuts.thumbnail(b.y, 8)
    return None if scene_cuts.is_cut(small_a, small_b, pair.flow_confidence) else pair


def as_frame(luma: Luma, time: int | Fraction) -> FrameBatch:
    """One grey frame."""
    return FrameBatch(torch.from_numpy(luma)[None, None], None, (Fraction(time),), (Origin(0),))


def of_clip(path: Path) -> Iterator[tuple[list[Luma], list[Triple]]]:
    """The frames and triples of a clip."""
    frames = [reduced(y.numpy()) for y in islice(read_luma(path), MOST_FRAMES)]
    small = [scene_cuts.thumbnail(torch.from_numpy(luma)[None, None], 8) for luma in frames]
    repeats = sum(scene_cuts.is_repeat(a, b) for a, b in pairwise(small))
    if repeats > REPEATS * len(frames):
        print(f"{path.name}: {repeats} of {len(frames)} frames repeat the one before: left out", flush=True)
        return
    found: list[Triple] = []
    for distance in DISTANCES:
        phases = [Fraction(k, distance) for k in range(1, distance)]
        found += triples(frames, distance % 2, distance, phases)
    if found:
        yield frames, found


def of_scene(scene: layers.Scene, phase: Fraction) -> tuple[list[Luma], list[Triple]]:
    """Four frames of a scene and one between the middle two."""
    times = [Fraction(n) for n in (-1, 0, 1, 2)]
    frames = [scene.at(float(time)) for time in times]
    truth = scene.at(float(phase))
    engine = FlowEngine()
    batches = [as_frame(luma, time) for luma, time in zip(frames, times, strict=True)]
    before, pair, after = (engine.prepare(a, b) for a, b in pairwise(batches))
    made = Triple.of((0, 1, 2), pair, phase, truth, (before.motion, after.motion))
    return [frames[1], frames[2], truth], [made]


def synthetic(pictures: Sequence[Luma], count: int, seed: int) -> Iterator[tuple[list[Luma], list[Triple]]]:
    """Layered scenes of ``pictures`` at phases of an eighth."""
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        yield of_scene(layers.draw(pictures, rng), Fraction(int(rng.integers(1, 8)), 8))


def save(sources: Iterator[tuple[list[Luma], list[Triple]]], out: Path) -> int:
    """Write the shard; the number of triples."""
    luma: list[Array] = []
    sizes: list[tuple[int, ...]] = []
    ways, shares, errors, squared = [], [], [], []
    rows: list[tuple[int, ...]] = []
    at = np.zeros(3, np.int64)  # where the next frame, field and block of errors begin
    for source, (frames, found) in enumerate(sources):
        base = len(sizes)
        for frame in frames:
            sizes.append((int(at[0]), *frame.shape))
            luma.append(frame.reshape(-1))
            at[0] += frame.size
        for triple in found:
            numbers = (base + triple.first, base + triple.second, base + triple.truth)
            phase = (triple.phase.numerator, triple.phase.denominator)
            rows.append((*numbers, *phase, int(at[1]), int(at[2]), int(source % SPARE == SPARE - 1)))
            ways.append(np.moveaxis(triple.field[..., :4], -1, 0).astype(np.float16).reshape(-1))
            shares.append((np.moveaxis(triple.field[..., 4:], -1, 0) * 255).round().astype(np.uint8).reshape(-1))
            errors.append((triple.error * ERROR_STEP).clip(1, 255).astype(np.uint8).reshape(-1))
            squared.append(triple.squared)
            at[1:] += (triple.field[..., 0].size, triple.error.size)
    tensors = {
        "luma": torch.from_numpy(np.concatenate(luma)),
        "frames": torch.tensor(sizes),
        "ways": torch.from_numpy(np.concatenate(ways)),
        "shares": torch.from_numpy(np.concatenate(shares)),
        "errors": torch.from_numpy(np.concatenate(errors)),
        "triples": torch.tensor(rows),
        "squared": torch.tensor(squared),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out, {"kind": "triples"})
    return len(rows)


def build(clips: Sequence[Path], photos: Sequence[Path], scenes: int, seed: int, out: Path) -> int:
    """A shard of the clips of ``clips`` and of ``scenes`` scenes made of ``photos`` (files or folders)."""

    def sources() -> Iterator[tuple[list[Luma], list[Triple]]]:
        for path in find_files(clips):
            if path.suffix.lower() in CLIP_SUFFIXES:
                yield from of_clip(path)
        pictures = [plane.numpy() for path in find_files(photos) for plane in luma_planes(path, 2, 1)]
        if pictures:
            yield from synthetic(pictures, scenes, seed)

    return save(sources(), out)


def main() -> None:
    """Build a shard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="clips or folders of clips")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="pictures to make scenes of")
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0, help="of the scenes")
    given = parser.parse_args()
    count = build(given.clips, given.photos, given.scenes, given.seed, given.output)
    print(f"{given.output}: {count} triples")


if __name__ == "__main__":
    main()
