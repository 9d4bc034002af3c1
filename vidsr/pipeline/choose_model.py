"""Decisions about networks: which model, which weights, and how they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vidsr.device import Compute
from vidsr.frames import VideoInfo
from vidsr.models import available_scales, int8_compact, load_model, model_files
from vidsr.models.self_ensemble import MARK
from vidsr.models.temporal import MARK as TEMPORAL_MARK
from vidsr.models.temporal import TemporalNetwork
from vidsr.models.weight_files import WEIGHTS, list_weights
from vidsr.options.enhance import EnhanceOptions
from vidsr.runtime.process import processors
from vidsr.stages.diagnosis import ClipSamples, Diagnosis, suits_compressed_weights
from vidsr.stages.specs import NetworkSpec, RestoreSpec
from vidsr.stages.upscale import network_factors

# The first that has weights for the wanted scales. `best` costs 2.7 times `balanced`, which only a GPU can spare.
DEFAULT_MODELS = {"cpu": ("balanced",), "cuda": ("best", "balanced")}
# A processor upscales 1.5 frames of so many pixels a second by a temporal network at x4, in float32 (docs/temporal.md).
PIXELS_PER_PROCESSOR = 640 * 360


def choose_model(
    device: str,
    options: EnhanceOptions,
    info: VideoInfo,
    factor: Fraction,
    folder: Path = WEIGHTS,
    compressed: bool = False,
    temporal: bool = False,
) -> str:
    """Return the best model that ``device`` has time for; ``temporal``: whether it has time for a temporal one.

    Only models with weights for the clip and for ``factor`` are considered. A clip gets a temporal model if one network
    reaches the factor.

    On a compressed clip a small network that was trained for such clips beats a large one that was not.
    """
    *better, sure = DEFAULT_MODELS["cpu" if device == "cpu" else "cuda"]
    scales = network_factors(factor, available_scales(sure, folder=folder))
    domain = choose_domain(options, info, sure, scales, folder, compressed)
    trained = {(entry.name, entry.scale) for entry in list_weights(folder) if entry.domain == domain}
    marks = (TEMPORAL_MARK, "") if temporal and info.fps is not None and len(scales) == 1 else ("",)
    names = [name + mark for mark in marks for name in (*better, sure)]
    return next((name for name in names if all((name, scale) in trained for scale in scales)), sure)


def has_time(options: EnhanceOptions, info: VideoInfo, device: str) -> bool:
    """Whether a clip shall have a temporal network: as the user says, else where ``device`` keeps a sensible speed.

    The number of GPUs does not count: a worker sees one of them, and must choose what a single process chooses.
    """
    if options.temporal is not None:
        return options.temporal
    is_fast = info.width * info.height <= PIXELS_PER_PROCESSOR * processors()
    return device != "cpu" or is_fast


def choose_domain(
    options: EnhanceOptions,
    info: VideoInfo,
    model: str,
    scales: tuple[int, ...],
    folder: Path = WEIGHTS,
    compressed: bool = False,
) -> str:
    """Return the domain of the weights, as weight files call it.

    It is ``video`` for a clip that such weights suit better (``compressed``), if they exist; else ``clean``.
    """
    if options.domain != "auto":
        return "video" if options.domain == "compressed" else options.domain
    trained = {e.scale for e in list_weights(folder) if (e.name, e.domain) == (model.removesuffix(MARK), "video")}
    return "video" if compressed and trained.issuperset(scales) else "clean"


def choose_compressed(
    options: EnhanceOptions,
    info: VideoInfo,
    samples: ClipSamples,
    diagnosis: Diagnosis,
    restores: Sequence[RestoreSpec],
) -> bool:
    """Whether weights for compressed clips suit the source better: it is compressed, or has some noise.

    Clean weights amplify noise that is too weak to be removed first.
    """
    if options.clean and not restores and diagnosis.has_some_noise:
        return True
    return suits_compressed_weights(info, samples.quantizer, diagnosis.detail)


def choose_network(
    name: str, scale: int, domain: str, options: EnhanceOptions, compute: Compute, folder: Path = WEIGHTS
) -> NetworkSpec:
    """Return how ``name`` runs on a device.

    It runs in int8 where the device does and the weights have a calibrated form, unless it is compiled. Compact
    networks of other people have none; they run in int8 where the user asks for it. It runs in float32 where its
    weights are not exact enough in half precision.

    Raises:
        ModelError: it has no weights for that scale and domain.
    """
    model = load_model(name, scale, "cpu", compute.dtype, domain, folder)
    has_form = bool(model.network.calibration) or (
        options.precision == "int8" and int8_compact.compact_of(model.network) is not None
    )
    is_int8 = compute.int8 and has_form and not options.compile
    return NetworkSpec(
        name=model.name,
        scale=scale,
        domain=model.domain,
        file=model_files.stored_name(model.path, folder),
        sha256=model.sha256,
        device=str(compute.device),
        precision="int8" if is_int8 else replace(compute, dtype=model.network.dtype).precision,
        memory=compute.memory,
        batch=options.batch,
        tile=options.tile,
        compiled=options.compile,
        channels=model.channels,
        temporal=isinstance(model.network, TemporalNetwork),
        warm_up=model.network.warm_up if isinstance(model.network, TemporalNetwork) else 0,
    )
