"""Write frame triples, with their fields of optical flow, as one shard.

    python -m vidsr.train.prepare.windows -o SHARD --clips DIR... --photos DIR... [--scenes 600] [--seed 0]

A triple is two frames of a clip, a frame between them, and the field by which the engine `flow` would interpolate it:
displacements to both frames, the weight of the second, and the weight of the plain mean. Fields are stored so that
training needs no optical flow. They use the motion of the neighbouring pairs, as in use. Clips are cut into windows of
at most seven frames and downscaled to at most 480 columns; no window contains a scene cut. Synthetic scenes
(`moving_layers.py`) join them, whose frame is known at any phase.
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
from vidsr.options.input_folder import CLIP_SUFFIXES
from vidsr.runtime.output_file import OutputFile
from vidsr.train.data.triples import BLOCK
from vidsr.train.prepare import moving_layers
from vidsr.train.prepare.dataset import find_files, luma_planes
from vidsr.video.luma import read_luma

Luma = NDArray[np.uint8]  # h x w
Array = NDArray[Any]

MAX_COLUMNS = 480
MAX_FRAMES = 160  # of one clip
ERROR_UNITS = 8.0  # units of a stored error per code value
DISTANCES = (2, 4, 3)  # frames from the first to the second of a pair
MAX_REPEATS = 0.02  # largest share of repeated frames in a clip whose frame times are reliable
LARGE_ERROR = 100.0  # mean squared error, code values squared, of a wrong frame
VALIDATION_EVERY = 8  # one clip or scene in this many is for validation


@dataclass(frozen=True, eq=False)
class FlowTriple:
    """Numbers of three frames, and how `flow` interpolates the middle one."""

    first: int  # frame numbers
    second: int
    truth: int
    phase: Fraction
    field: Array  # h/2 x w/2 x 6, float32
    error: Array  # mean absolute error of `flow` in each block
    squared_error: float  # mean squared error of `flow`

    @classmethod
    def of(cls, numbers: tuple[int, int, int], pair: FlowPair, phase: Fraction, truth: Luma, sides: Any) -> FlowTriple:
        """Return the triple of ``pair``.

        ``sides``: the motion of the pairs before and after it.
        """
        field = pair.field(phase, *sides)
        error = np.abs(pair.render(field, phase, pair.static_masks(*sides))[0] - truth)
        blocks = (max(1, truth.shape[1] // BLOCK), max(1, truth.shape[0] // BLOCK))
        by_block = cv2.resize(error, blocks, interpolation=cv2.INTER_AREA)
        return cls(*numbers, phase, field, np.asarray(by_block), float(np.square(error).mean()))


def build(clips: Sequence[Path], photos: Sequence[Path], scenes: int, seed: int, out: Path) -> int:
    """Write the triples of clips and synthetic scenes; return their number.

    ``scenes`` scenes are cut from ``photos``. ``clips`` and ``photos`` are files or folders.
    """

    def sources() -> Iterator[tuple[list[Luma], list[FlowTriple]]]:
        for path in find_files(clips):
            if path.suffix.lower() in CLIP_SUFFIXES:
                yield from clip_triples(path)
        images = [plane.numpy() for path in find_files(photos) for plane in luma_planes(path, 2, 1)]
        if images:
            yield from synthetic_triples(images, scenes, seed)

    with OutputFile(out, make_folders=True) as file:
        return write_shard(sources(), file.part)


def clip_triples(path: Path) -> Iterator[tuple[list[Luma], list[FlowTriple]]]:
    """Yield the frames and triples of a clip.

    A clip with too many repeated frames yields nothing.
    """
    frames = [fit_width(y.numpy()) for y in islice(read_luma(path), MAX_FRAMES)]
    small = [scene_cuts.thumbnail(torch.from_numpy(luma)[None, None], 8) for luma in frames]
    repeats = sum(scene_cuts.is_repeat(a, b) for a, b in pairwise(small))
    if repeats > MAX_REPEATS * len(frames):
        print(f"{path.name}: {repeats} of {len(frames)} frames repeat the previous one: skipped", flush=True)
        return
    found: list[FlowTriple] = []
    for distance in DISTANCES:
        phases = [Fraction(k, distance) for k in range(1, distance)]
        found += triples_at(frames, distance % 2, distance, phases)
    if found:
        yield frames, found


def fit_width(luma: Luma, columns: int = MAX_COLUMNS) -> Luma:
    """Downscale ``luma`` to at most ``columns`` columns, both sides even."""
    h, w = luma.shape
    width = min(columns, w) // 2 * 2
    height = round(h * width / w / 2) * 2
    return np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA))


def triples_at(frames: Sequence[Luma], start: int, distance: int, phases: Sequence[Fraction]) -> Iterator[FlowTriple]:
    """Yield a triple for each pair of frames, ``distance`` apart.

    The first pair begins at frame ``start``. The pairs cycle through ``phases``.
    """
    engine = FlowEngine()
    chosen = [to_batch(luma, n) for n, luma in enumerate(frames)][start::distance]
    pairs = [prepare_pair(engine, a, b) for a, b in pairwise(chosen)]
    for index, pair in enumerate(pairs):
        if pair is None:
            continue
        sides = [pairs[n].motion if 0 <= n < len(pairs) and pairs[n] else None for n in (index - 1, index + 1)]  # type: ignore[union-attr]
        phase = phases[index % len(phases)]
        first = start + index * distance
        truth = first + round(phase * distance)
        triple = FlowTriple.of((first, first + distance, truth), pair, phase, frames[truth], sides)
        if is_usable(triple, frames[first], frames[first + distance], frames[truth]):
            yield triple


def prepare_pair(engine: FlowEngine, a: FrameBatch, b: FrameBatch) -> FlowPair | None:
    """Return the pair, or None for a scene cut or a repeated frame."""
    if torch.equal(a.y, b.y):
        return None
    pair = engine.prepare(a, b)
    small_a, small_b = scene_cuts.thumbnail(a.y, 8), scene_cuts.thumbnail(b.y, 8)
    return None if scene_cuts.is_cut(small_a, small_b, pair.flow_confidence) else pair


def is_usable(triple: FlowTriple, first: Luma, second: Luma, truth: Luma) -> bool:
    """Whether the true frame can be interpolated from the two frames.

    It cannot if one of the two frames is nearer to it than the frame of `flow`: then it was not taken between them. Nor
    can it if `flow` has a large error and is hardly better than the mean, as in time lapse and with repeated frames.
    """

    def squared_error(frame: Array) -> float:
        return float(np.square(frame - truth).mean())

    a, b = first.astype(np.float32), second.astype(np.float32)
    mean = a + np.float32(triple.phase) * (b - a)
    is_followed = triple.squared_error < max(LARGE_ERROR, 0.8 * squared_error(mean))
    return is_followed and triple.squared_error < min(squared_error(a), squared_error(b))


def synthetic_triples(photos: Sequence[Luma], count: int, seed: int) -> Iterator[tuple[list[Luma], list[FlowTriple]]]:
    """Yield ``count`` scenes of layers cut from ``photos``, at random phases in eighths."""
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        yield scene_triple(moving_layers.draw_scene(photos, rng), Fraction(int(rng.integers(1, 8)), 8))


def scene_triple(scene: moving_layers.LayeredScene, phase: Fraction) -> tuple[list[Luma], list[FlowTriple]]:
    """Return two frames of a scene and the frame between them, with their triple.

    The frames before and after them are rendered too, for the motion of the neighbouring pairs.
    """
    times = [Fraction(n) for n in (-1, 0, 1, 2)]
    frames = [scene.at(float(time)) for time in times]
    truth = scene.at(float(phase))
    engine = FlowEngine()
    batches = [to_batch(luma, time) for luma, time in zip(frames, times, strict=True)]
    before, pair, after = (engine.prepare(a, b) for a, b in pairwise(batches))
    triple = FlowTriple.of((0, 1, 2), pair, phase, truth, (before.motion, after.motion))
    return [frames[1], frames[2], truth], [triple]


def to_batch(luma: Luma, time: int | Fraction) -> FrameBatch:
    """Return one grey frame as a batch."""
    return FrameBatch(torch.from_numpy(luma)[None, None], None, (Fraction(time),), (Origin(0),))


def write_shard(sources: Iterator[tuple[list[Luma], list[FlowTriple]]], part: Path) -> int:
    """Write ``sources`` as the shard ``part``; return the number of triples."""
    luma: list[Array] = []
    sizes: list[tuple[int, ...]] = []
    displacements, blend, errors = [], [], []
    rows: list[tuple[int, ...]] = []
    at = np.zeros(3, np.int64)  # offsets of the next frame, field and block errors
    for source, (frames, found) in enumerate(sources):
        base = len(sizes)
        for frame in frames:
            sizes.append((int(at[0]), *frame.shape))
            luma.append(frame.reshape(-1))
            at[0] += frame.size
        for triple in found:
            numbers = (base + triple.first, base + triple.second, base + triple.truth)
            phase = (triple.phase.numerator, triple.phase.denominator)
            is_validation = source % VALIDATION_EVERY == VALIDATION_EVERY - 1
            rows.append((*numbers, *phase, int(at[1]), int(at[2]), int(is_validation)))
            displacements.append(np.moveaxis(triple.field[..., :4], -1, 0).astype(np.float16).reshape(-1))
            blend.append((np.moveaxis(triple.field[..., 4:], -1, 0) * 255).round().astype(np.uint8).reshape(-1))
            errors.append((triple.error * ERROR_UNITS).clip(1, 255).astype(np.uint8).reshape(-1))
            at[1:] += (triple.field[..., 0].size, triple.error.size)
    tensors = {
        "luma": torch.from_numpy(np.concatenate(luma)),
        "frames": torch.tensor(sizes),
        "displacements": torch.from_numpy(np.concatenate(displacements)),
        "blend": torch.from_numpy(np.concatenate(blend)),
        "errors": torch.from_numpy(np.concatenate(errors)),
        "triples": torch.tensor(rows),
    }
    save_file(tensors, part, {"kind": "triples"})
    return len(rows)


def main() -> None:
    """Write the shard that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="clips or folders of clips")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="images to cut the layers of scenes from")
    parser.add_argument("--scenes", type=int, default=600, help="number of synthetic scenes")
    parser.add_argument("--seed", type=int, default=0, help="seed of the scenes")
    given = parser.parse_args()
    count = build(given.clips, given.photos, given.scenes, given.seed, given.output)
    print(f"{given.output}: {count} triples")


if __name__ == "__main__":
    main()
