"""Compare restoration methods: degrade a clip or image, restore it with each method, and measure."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vidsr.degrade.clip import DegradeOptions, degrade_clip, degraded, parse_degrade
from vidsr.device import choose
from vidsr.errors import OptionError
from vidsr.evaluate.compare import Comparison, OnRow, compare_methods, crop_frame
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.models.weight_files import list_weights
from vidsr.options.codecs import Encoding
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import is_image
from vidsr.options.restoration import DEBLURRERS, DENOISERS, NETWORKS, Restoration, Task, parse_restoration
from vidsr.pipeline.choose_restoration import choose_restore, choose_temporal_denoise
from vidsr.stages import Stage
from vidsr.stages.build import build_stages
from vidsr.stages.diagnosis import ClipSamples, diagnose, sample_clip
from vidsr.stages.rounding import Finish
from vidsr.video import VideoReader
from vidsr.video.image import read_image

INPUT = "degraded"  # label of the input itself among those of the methods
LOSSLESS = Encoding.parse("ffv1")


@dataclass(frozen=True)
class Damage:
    """How a clip is degraded before it is restored, and a description of that."""

    options: DegradeOptions
    encoded: bool
    words: str


def parse_damage(blur: str | None, noise: str | None, crf: float | None, seed: int = 0) -> Damage:
    """Return the damage from text as `vidsr.degrade.clip.parse_degrade` takes it; without ``crf`` nothing is encoded.

    Raises:
        OptionError: a value is unknown, or none is given.
    """
    named = {"blur": blur, "noise": noise, "CRF": None if crf is None else f"{crf:g}"}
    words = ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)
    if not words:
        raise OptionError("nothing to restore: degrade the clip with --blur gaussian:1.6, --noise 2 or --crf 30")
    options = parse_degrade(blur=blur, noise=noise, crf=crf, seed=seed)
    return Damage(options if crf is not None else replace(options, encoding=LOSSLESS), crf is not None, words)


def default_methods(task: Task) -> tuple[str, ...]:
    """Return the classical methods for ``task``, then the networks that have weights for it."""
    trained = {entry.name for entry in list_weights() if entry.domain == "any" and entry.scale == 1}
    classical = {"deblur": DEBLURRERS, "denoise": DENOISERS, "restore": DENOISERS}[task]
    return *classical, *(name for name in NETWORKS[task] if name in trained)


def compare_restoration(
    source: Path,
    damage: Damage,
    methods: Sequence[str] | None,
    options: EnhanceOptions,
    on_row: OnRow = lambda row: None,
) -> Comparison:
    """Degrade ``source``, restore it by each method, and measure against the source.

    A method does not know the damage unless its name gives it (``wiener:1.6``). As in a run, temporal denoising follows
    unless ``options`` turn it off. Scores are of luma at the clip's own depth, rounded, all pixels. ``on_row`` receives
    one row per frame and method.

    Raises:
        VidsrError: the source cannot be read, a method is unknown, or the options do not name exactly one restoration.
    """
    if len(options.restorations) != 1:
        raise OptionError("one comparison at a time: give one of --deblur, --denoise and --restore")
    wanted = options.restorations[0]
    named = {name: _restoration(wanted, name) for name in methods or default_methods(wanted.task)}
    with _pairs(source, damage, options) as (pairs, info, damaged_info, damaged_samples):
        compute = choose(options.device, options.precision)
        diagnosis = diagnose(damaged_samples, damaged_info)
        stages: dict[str, tuple[Stage, ...]] = {INPUT: ()}
        for name, restoration in named.items():
            restore = choose_restore(restoration, options, compute, diagnosis)
            denoise = choose_temporal_denoise(options, damaged_info, (restore,))
            specs = (restore,) if denoise is None else (restore, denoise)
            stages[name] = build_stages(specs, damaged_info).in_order
        scores, samples = compare_methods(source, pairs, stages, info, 0, on_row)
    temporal = "" if info.fps is None else ", temporal denoising" if options.temporal_denoise else ", frame by frame"
    change = f"{damage.words}, then {wanted.task}{temporal}"
    return Comparison(source, 1, info, scores, samples, change, wanted.task)


def _restoration(wanted: Restoration, method: str) -> Restoration:
    """Return the ``wanted`` restoration by ``method``; under ``auto`` it is applied even to a clip in no need of it."""
    parsed = parse_restoration(wanted.task, "1" if wanted.strength is None else wanted.strength, method)
    assert parsed is not None  # a strength of 0 is never wanted
    return parsed


Pairs = Iterator[tuple[FrameBatch, FrameBatch]]  # single frames: (original, degraded)


@contextmanager
def _pairs(
    source: Path, damage: Damage, options: EnhanceOptions
) -> Iterator[tuple[Pairs, VideoInfo, VideoInfo, ClipSamples]]:
    """The pairs, the properties of the original and of the degraded clip, and samples of the degraded clip."""
    if is_image(source):
        if damage.encoded:
            raise OptionError(f"{source} is an image, and --crf encodes clips: leave it out")
        image, info = read_image(source)
        (low,) = Finish(info.depth)(degraded(iter([image]), info, damage.options))
        yield iter([(image, low)]), info, info, ClipSamples((low.y,))
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "damaged.mkv")
        chosen = options.start, options.end, options.frames
        degrade_clip(source, path, damage.options, part=chosen)
        with VideoReader(source, *chosen) as original, VideoReader(path) as damaged:
            if damaged.info.depth != original.info.depth:
                raise OptionError(
                    f"--crf stores {source}'s {original.info.depth} bits as {damaged.info.depth}: leave it out"
                )
            whole = replace(options, start=None, end=None, frames=None)
            pairs = zip(original.batches(1), (crop_frame(b, original.info) for b in damaged.batches(1)), strict=True)
            yield pairs, original.info, damaged.info, sample_clip(path, whole, damaged.info)
