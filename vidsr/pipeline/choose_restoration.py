"""Decisions about restoration: which stages restore a clip, with which methods and strengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vidsr.device import Compute
from vidsr.errors import Notes
from vidsr.frames import SUBSAMPLING, VideoInfo
from vidsr.models.weight_files import WEIGHTS
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.restoration import CLASSICAL, DENOISERS, NETWORKS, Restoration
from vidsr.pipeline.choose_format import stored_size
from vidsr.pipeline.choose_model import choose_network
from vidsr.stages.build import build_restore
from vidsr.stages.classical import Classical
from vidsr.stages.diagnosis import ClipSamples, Diagnosis
from vidsr.stages.specs import RestoreSpec, TemporalDenoiseSpec
from vidsr.stages.temporal_denoise import HELD_BYTES

CODED_CHROMA_NOISE = 1.0  # 8-bit code values, of chroma where compression is visible (benchmarks/chroma_noise.py)


def choose_restores(
    options: EnhanceOptions,
    info: VideoInfo,
    compute: Compute,
    samples: ClipSamples,
    diagnosis: Diagnosis,
    notes: Notes,
    folder: Path = WEIGHTS,
    in_strips: bool = False,
) -> tuple[RestoreSpec, ...]:
    """Return the restoring stages in order; ``notes`` receives the diagnosis behind each decision.

    An image ``in_strips`` keeps its chroma, whose noise is measured in whole frames.
    """
    if not options.restorations:
        return ()
    if options.clean:
        chosen = _cleaning(options, info, compute, diagnosis, notes, folder)
    else:
        chosen = _asked(options, info, compute, samples, diagnosis, notes, folder)
    if in_strips and info.chroma != "gray" and any(spec.chroma_noise is None for spec in chosen):
        notes.info("chroma_kept", "the image is made in strips to save memory: its chroma is not denoised")
    if in_strips or info.chroma == "gray":
        return tuple(replace(spec, chroma_noise=0.0) for spec in chosen)
    return chosen


def _asked(
    options: EnhanceOptions,
    info: VideoInfo,
    compute: Compute,
    samples: ClipSamples,
    diagnosis: Diagnosis,
    notes: Notes,
    folder: Path,
) -> tuple[RestoreSpec, ...]:
    """Return the restorations that the user asked for, and note the measurement behind each."""
    chosen: list[RestoreSpec] = []
    for wanted in options.restorations:
        found = f"{wanted.task}: {diagnosis.words(wanted.task)}"
        if wanted.strength is None and not diagnosis.needs(wanted.task):
            notes.info("diagnosis", f"{found}: nothing to do")
            continue
        spec = choose_restore(wanted, options, compute, diagnosis, folder)
        chosen.append(spec)
        if samples.frames:
            psnr = build_restore(spec, info, folder=folder).psnr_on_sharp(samples.frames)
            found += f"; {spec.method_words} keeps a sharp frame within {psnr:.1f} dB PSNR"
            if wanted.strength is not None:
                found += diagnosis.advice(wanted.task)
        notes.info("diagnosis", found)
    return tuple(chosen)


def _cleaning(
    options: EnhanceOptions, info: VideoInfo, compute: Compute, diagnosis: Diagnosis, notes: Notes, folder: Path
) -> tuple[RestoreSpec, ...]:
    """Return the restorations of `--clean`, and note in one line what was decided, and why.

    Weights for compressed clips remove artefacts while they upscale, so that restoration before them helps only where
    compression is coarse.
    """
    width, height = stored_size(options, info).size(info.width, info.height)
    upscales = width > info.width and height > info.height
    chosen: list[RestoreSpec] = []
    words = []
    for wanted in options.restorations:
        needed = wanted.strength is not None or diagnosis.needs(wanted.task, upscales)
        if needed:
            chosen.append(choose_restore(wanted, options, compute, diagnosis, folder))
        words.append(f"{'' if needed else 'no '}{wanted.task} ({diagnosis.words(wanted.task)})")
    size = f"{info.width}x{info.height} to {width}x{height}" if upscales else f"{info.width}x{info.height}"
    way_out = "; --no-clean restores nothing" if chosen else ""
    notes.info("decided", f"{size}; {', '.join(words)}{way_out}")
    return tuple(chosen)


def choose_restore(
    wanted: Restoration, options: EnhanceOptions, compute: Compute, diagnosis: Diagnosis, folder: Path = WEIGHTS
) -> RestoreSpec:
    """Return the stage for one restoration.

    A sigma that the user did not give comes from the ``diagnosis``.

    Raises:
        ModelError: the network has no weights.
    """
    strength = 1.0 if wanted.strength is None else wanted.strength
    name = NETWORKS[wanted.task][0] if wanted.method == "auto" else wanted.method
    chroma_noise = {"denoise": None, "restore": CODED_CHROMA_NOISE if diagnosis.compressed else 0.0, "deblur": 0.0}[
        wanted.task
    ]
    if name in CLASSICAL:
        estimate = diagnosis.noise if name in DENOISERS else diagnosis.blur
        sigma = estimate if wanted.sigma is None else wanted.sigma
        return RestoreSpec(wanted.task, Classical(name, sigma, diagnosis.noise), strength, chroma_noise)
    return RestoreSpec(wanted.task, choose_network(name, 1, "any", options, compute, folder), strength, chroma_noise)


def averaged_bytes(options: EnhanceOptions, info: VideoInfo) -> int:
    """Return the bytes that temporal denoising holds."""
    across, down = SUBSAMPLING[info.chroma]
    denoises = any(wanted.task == "denoise" for wanted in options.restorations) and info.chroma != "gray"
    samples = info.width * info.height
    return HELD_BYTES * (samples + (2 * samples // (across * down) if denoises else 0))


def choose_temporal_denoise(
    options: EnhanceOptions, info: VideoInfo, restores: Sequence[RestoreSpec]
) -> TemporalDenoiseSpec | None:
    """Return the stage that averages restored frames over time.

    None where nothing is restored, and for a still.
    """
    if not options.temporal_denoise or not restores or info.fps is None:
        return None
    noisy_chroma = info.chroma != "gray" and any(restore.chroma_noise is None for restore in restores)
    return TemporalDenoiseSpec(max(restore.strength for restore in restores), noisy_chroma)
