"""One clip with frames left out and put back by several engines, each measured against the frames left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import cast

import numpy as np

from vidsr.device import choose
from vidsr.errors import OptionError
from vidsr.evaluate.minterpolate import minterpolate, takes
from vidsr.evaluate.upscaling import Comparison, OnRow, Score, measure
from vidsr.frames import FrameBatch, VideoInfo, concat
from vidsr.models import weights as store
from vidsr.options.choices import INTERPOLATIONS, Interpolation
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.frame_rate import Clock, Times
from vidsr.stages.interpolate import Interpolate, make_engine
from vidsr.stages.rounding import Finish
from vidsr.video import VideoReader

DUPLICATE, FFMPEG = "duplicate", "minterpolate"
MOST_FRAMES = 61  # held in memory, where no other number is asked for

Made = dict[int, FrameBatch]  # single frames by their number in the whole clip


def default_engines(info: VideoInfo) -> tuple[str, ...]:
    """Every engine that is there."""
    networks = [name for name in ("net", "superslomo") if store.has_frames(name)]
    return DUPLICATE, "blend", "flow", *networks, *([FFMPEG] if takes(info) else [])


def compare_rate(
    source: Path, clock: Clock, engines: Sequence[str] | None, options: EnhanceOptions, on_row: OnRow = lambda row: None
) -> Comparison:
    """Keeps every second frame of ``source`` (every n-th, for a ``clock`` of n times), makes the others, and measures.

    The pictures are those of the frame that the engines together make worst. ``on_row`` receives one row per frame
    and engine.

    Raises:
        VidsrError: the source can not be read or is too short, an engine is unknown, or the rate is no whole factor.
    """
    if not isinstance(clock, Times) or clock.factor.denominator != 1 or clock.factor < 2:
        raise OptionError("compare leaves out whole frames: give --fps 2x, 3x ...")
    step = int(clock.factor)
    clip, info = read(source, options, step)
    kept = concat([clip[n : n + 1] for n in range(0, len(clip), step)])
    results: dict[str, tuple[Made, float]] = {}
    for name in engines or default_engines(info):
        results[name] = minterpolate(kept, info, step) if name == FFMPEG else put_back(kept, info, name, step, options)
    common = set.intersection(*(set(made) for made, _ in results.values()))
    missing = sorted(n for n in common if n % step and n < len(clip))
    scores = {name: Score(name) for name in results}
    errors = dict.fromkeys(missing, 0.0)
    for number in missing:
        truth = clip[number : number + 1]
        for name, (made, seconds) in results.items():
            measured = measure(made[number], truth, 0, info)
            scores[name].add(measured, seconds * (step - 1) / (step * len(missing)))
            on_row({"source": str(source), "frame": number, "method": name, **measured})
            errors[number] += np.log(measured["mse_y"] + 1) * (name != DUPLICATE)
    worst = max(errors, key=lambda number: errors[number])
    pictures = {name: made[worst] for name, (made, _) in results.items()} | {"truth": clip[worst : worst + 1]}
    change = f"one frame in {step} kept, the others made"
    return Comparison(source, 1, info, tuple(scores.values()), pictures, change, f"{step}x", worst=True)


def read(source: Path, options: EnhanceOptions, step: int) -> tuple[FrameBatch, VideoInfo]:
    """The frames, as if of constant rate, so many that the last one is kept."""
    with VideoReader(source, options.start, options.end, options.frames or MOST_FRAMES) as reader:
        info = replace(reader.info, fps=Fraction(step), time_base=None)
        frames = list(reader.batches(1))
    count = (len(frames) - 1) // step * step + 1
    if count < 2 * step + 1:
        raise OptionError(f"{source}: {len(frames)} frames are too few to leave some out: give a longer clip")
    clip = concat(frames[:count])
    return replace(clip, times=tuple(Fraction(n, step) for n in range(count))), info


def put_back(kept: FrameBatch, info: VideoInfo, name: str, step: int, options: EnhanceOptions) -> tuple[Made, float]:
    """All frames as the engine ``name`` makes them, and the seconds it took once it had made the first."""
    wanted = "none" if name == DUPLICATE else name
    if wanted not in INTERPOLATIONS or wanted == "auto":
        raise OptionError(f"--models {name}: no such engine; there are {', '.join(default_engines(info))}")
    compute = choose(options.device, options.precision)
    engine = make_engine(cast(Interpolation, wanted), info.depth, compute)
    stage = Interpolate(Times(Fraction(step)), engine, replace(info, fps=Fraction(1), frames=len(kept)))
    finish = Finish(info.depth)
    list(finish(stage(iter([kept[:2]]))))  # what is loaded and compiled at first
    started = perf_counter()
    result = concat(list(finish(stage(iter([kept])))))
    seconds = perf_counter() - started
    return {round(time * step): result[n : n + 1] for n, time in enumerate(result.times)}, seconds
