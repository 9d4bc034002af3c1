"""One clip made worse in a known way and restored by several methods, each measured against what it was."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vidsr.degrade.clip import DegradeOptions, degrade_clip, degraded, parse_degrade
from vidsr.device import choose
from vidsr.errors import OptionError
from vidsr.evaluate.upscaling import Comparison, OnRow, contest, cropped
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.models.weights import table
from vidsr.options.codecs import Encoding
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import is_image
from vidsr.options.restoration import DEBLURRERS, DENOISERS, NETWORKS, Restoration, Task, parse_restoration
from vidsr.pipeline.plan import make_restore, make_steady
from vidsr.pipeline.survey import survey
from vidsr.stages import Stage
from vidsr.stages.diagnosis import Survey, diagnose
from vidsr.stages.rounding import Finish
from vidsr.video import VideoReader
from vidsr.video.image import read_image

INPUT = "degraded"  # the method that does nothing
LOSSLESS = Encoding.parse("ffv1")


@dataclass(frozen=True)
class Damage:
    """What is done to a clip before it is restored, and the words for it."""

    options: DegradeOptions
    encoded: bool
    words: str


def parse_damage(blur: str | None, noise: str | None, crf: float | None, seed: int = 0) -> Damage:
    """The damage from text, as `vidsr.degrade.clip.parse_degrade` takes it; without ``crf`` nothing is encoded.

    Raises:
        OptionError: a value is unknown, or none is given.
    """
    named = {"blur": blur, "noise": noise, "CRF": None if crf is None else f"{crf:g}"}
    words = ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)
    if not words:
        raise OptionError("nothing to restore: damage the clip with --blur gaussian:1.6, --noise 2 or --crf 30")
    options = parse_degrade(blur=blur, noise=noise, crf=crf, seed=seed)
    return Damage(options if crf is not None else replace(options, encoding=LOSSLESS), crf is not None, words)


def default_methods(task: Task) -> tuple[str, ...]:
    """The networks that have weights for ``task``, after the classical methods."""
    there = {entry.name for entry in table() if entry.domain == "any" and entry.scale == 1}
    classical = {"deblur": DEBLURRERS, "denoise": DENOISERS, "restore": DENOISERS}[task]
    return *classical, *(name for name in NETWORKS[task] if name in there)


def compare_restoration(
    source: Path,
    damage: Damage,
    methods: Sequence[str] | None,
    options: EnhanceOptions,
    on_row: OnRow = lambda row: None,
) -> Comparison:
    """Damages ``source``, restores it by each method, and measures PSNR-Y and SSIM-Y against the source.

    Methods know nothing of the damage unless they name it (``wiener:1.6``). As in a run, what is restored is averaged
    along the motion, unless ``options`` leave that out. Luma at the clip's own depth, rounded, all
    pixels. ``on_row`` receives one row per frame and method.

    Raises:
        VidsrError: the source can not be read, a method is unknown, or not exactly one restoration is asked for.
    """
    if len(options.restorations) != 1:
        raise OptionError("one comparison at a time: give one of --deblur, --denoise and --restore")
    wanted = options.restorations[0]
    named = {name: _restoration(wanted, name) for name in methods or default_methods(wanted.task)}
    with _pairs(source, damage, options) as (pairs, info, damaged_info, seen):
        compute = choose(options.device, options.precision)
        diagnosis = diagnose(seen, damaged_info)
        stages: dict[str, tuple[Stage, ...]] = {INPUT: ()}
        for name, restoration in named.items():
            restore = make_restore(restoration, options, damaged_info, compute, diagnosis)
            steady = make_steady(options, damaged_info, (restore,))
            stages[name] = (restore,) if steady is None else (restore, steady)
        scores, pictures = contest(source, pairs, stages, info, 0, on_row)
    steadied = "" if info.fps is None else ", steadied" if options.temporal_denoise else ", frame by frame"
    change = f"{damage.words}, then {wanted.task}{steadied}"
    return Comparison(source, 1, info, scores, pictures, change, wanted.task)


def _restoration(wanted: Restoration, method: str) -> Restoration:
    """What is ``wanted``, by ``method``; a comparison restores whatever an ``auto`` would have decided."""
    parsed = parse_restoration(wanted.task, "1" if wanted.strength is None else wanted.strength, method)
    assert parsed is not None  # a strength of 0 is never wanted
    return parsed


Pairs = Iterator[tuple[FrameBatch, FrameBatch]]  # frame by frame: the truth, and what the damage left of it


@contextmanager
def _pairs(
    source: Path, damage: Damage, options: EnhanceOptions
) -> Iterator[tuple[Pairs, VideoInfo, VideoInfo, Survey]]:
    """The pairs, the facts of the truth and of the damaged clip, and a survey of the damaged clip."""
    if is_image(source):
        if damage.encoded:
            raise OptionError(f"{source} is an image, and --crf encodes clips: leave it out")
        picture, info = read_image(source)
        (low,) = Finish(info.depth)(degraded(iter([picture]), info, damage.options))
        yield iter([(picture, low)]), info, info, Survey((low.y,))
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "damaged.mkv")
        chosen = options.start, options.end, options.frames
        degrade_clip(source, path, damage.options, part=chosen)
        with VideoReader(source, *chosen) as truth, VideoReader(path) as damaged:
            if damaged.info.depth != truth.info.depth:
                raise OptionError(
                    f"--crf stores {source}'s {truth.info.depth} bits as {damaged.info.depth}: leave it out"
                )
            whole = replace(options, start=None, end=None, frames=None)
            pairs = zip(truth.batches(1), (cropped(b, truth.info) for b in damaged.batches(1)), strict=True)
            yield pairs, truth.info, damaged.info, survey(path, whole, damaged.info)
