"""Compare interpolation engines: remove frames of a clip, interpolate them with each engine, and measure."""

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
from vidsr.evaluate.compare import ORIGINAL, Comparison, OnRow, Score, measure_frame
from vidsr.evaluate.minterpolate import can_minterpolate, minterpolate
from vidsr.frames import FrameBatch, VideoInfo, concat
from vidsr.models import weight_files
from vidsr.options.choices import INTERPOLATIONS, Interpolation
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.frame_rate import Clock, Times
from vidsr.options.model_names import check_model_file, is_model_file
from vidsr.stages.interpolate import Interpolate
from vidsr.stages.interpolation_engines import make_engine
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.rounding import Finish
from vidsr.video import VideoReader

DUPLICATE, FFMPEG = "duplicate", "minterpolate"
MOST_FRAMES = 61  # held in memory, unless the options name another number

Frames = dict[int, FrameBatch]  # single frames by their number in the original clip


def default_engines(info: VideoInfo) -> tuple[str, ...]:
    """Return every engine that this machine has."""
    networks = [name for name in ("net", "superslomo") if weight_files.has_frame_network(name)]
    return DUPLICATE, "blend", "flow", *networks, *([FFMPEG] if can_minterpolate(info) else [])


def compare_interpolation(
    source: Path, clock: Clock, engines: Sequence[str] | None, options: EnhanceOptions, on_row: OnRow = lambda row: None
) -> Comparison:
    """Keep every n-th frame of ``source`` (n: the factor of ``clock``), interpolate the others, and measure those.

    The samples show the frame with the largest errors of all engines together. ``on_row`` receives one row per frame
    and engine.

    Raises:
        VidsrError: the source cannot be read or is too short, an engine is unknown, or the factor is not whole.
    """
    if not isinstance(clock, Times) or clock.factor.denominator != 1 or clock.factor < 2:
        raise OptionError("compare removes whole frames: give --fps 2x, 3x ...")
    step = int(clock.factor)
    clip, info = read_clip(source, options, step)
    kept = concat([clip[n : n + 1] for n in range(0, len(clip), step)])
    results: dict[str, tuple[Frames, float]] = {}
    for name in engines or default_engines(info):
        results[name] = (
            minterpolate(kept, info, step) if name == FFMPEG else interpolate(kept, info, name, step, options)
        )
    common = set.intersection(*(set(made) for made, _ in results.values()))
    removed = sorted(n for n in common if n % step and n < len(clip))
    scores = {name: Score(name) for name in results}
    errors = dict.fromkeys(removed, 0.0)
    for number in removed:
        original = clip[number : number + 1]
        for name, (made, seconds) in results.items():
            measured = measure_frame(made[number], original, 0, info)
            scores[name].add(measured, seconds * (step - 1) / (step * len(removed)))
            on_row({"source": str(source), "frame": number, "method": name, **measured})
            errors[number] += np.log(measured["mse_y"] + 1) * (name != DUPLICATE)
    worst = max(errors, key=lambda number: errors[number])
    samples = {name: made[worst] for name, (made, _) in results.items()} | {ORIGINAL: clip[worst : worst + 1]}
    change = f"one frame in {step} kept, the others interpolated"
    return Comparison(source, 1, info, tuple(scores.values()), samples, change, f"{step}x", show_errors=True)


def read_clip(source: Path, options: EnhanceOptions, step: int) -> tuple[FrameBatch, VideoInfo]:
    """Return the frames as if of constant rate; their number is such that the last one is kept."""
    with VideoReader(source, options.start, options.end, options.frames or MOST_FRAMES) as reader:
        info = replace(reader.info, fps=Fraction(step), time_base=None)
        frames = list(reader.batches(1))
    count = (len(frames) - 1) // step * step + 1
    if count < 2 * step + 1:
        raise OptionError(f"{source}: {len(frames)} frames are too few to remove some: give a longer clip")
    clip = concat(frames[:count])
    return replace(clip, times=tuple(Fraction(n, step) for n in range(count))), info


def interpolate(
    kept: FrameBatch, info: VideoInfo, name: str, step: int, options: EnhanceOptions
) -> tuple[Frames, float]:
    """Return all frames as the engine ``name`` makes them, and the seconds that it took after a warm-up."""
    wanted = "none" if name == DUPLICATE else name
    path = check_model_file(name) if is_model_file(name) else None
    if path is None and (wanted not in INTERPOLATIONS or wanted in ("auto", "rife")):
        known = ", ".join(default_engines(info))
        raise OptionError(f"--models {name}: no such engine: choose {known}, or a file of RIFE")
    compute = choose(options.device, options.precision)
    engine = make_engine("rife" if path else cast(Interpolation, wanted), info.depth, compute, path)
    stage = Interpolate(Times(Fraction(step)), engine, replace(info, fps=Fraction(1), frames=len(kept)))
    finish = Finish(info.depth)
    list(finish(stage(iter([kept[:2]]))))  # warm-up: loads weights and compiles kernels
    started = perf_counter()
    result = concat(list(finish(stage(mark_repeats(iter([kept]))))))
    seconds = perf_counter() - started
    return {round(time * step): result[n : n + 1] for n, time in enumerate(result.times)}, seconds
