"""Which engine, network and weights suit a clip and a device, where nobody named them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vidsr.device import Compute
from vidsr.errors import Notes
from vidsr.frames import VideoInfo
from vidsr.models import available_scales
from vidsr.models.self_ensemble import MARK
from vidsr.models.weights import WEIGHTS, table
from vidsr.options.choices import Interpolation
from vidsr.options.enhance import EnhanceOptions
from vidsr.stages.diagnosis import is_compressed
from vidsr.stages.upscale import network_factors

# The first that has weights for the scales at hand. `best` costs 2.7 times `balanced`, which only a GPU has to spare.
DEFAULT_MODELS = {"cpu": ("balanced",), "cuda": ("best", "balanced")}


def choose_engine(options: EnhanceOptions, compute: Compute, notes: Notes) -> Interpolation:
    """The interpolation engine; ``notes`` gets the reason if the user named none."""
    if options.interpolation != "auto":
        return options.interpolation
    # on the benchmark's clips net is 0.04 dB better at four times the cost (docs/interpolation.md)
    if compute.device.type == "cuda":
        notes.info("engine_chosen", "interpolation by net: there is a GPU")
        return "net"
    notes.info("engine_chosen", "interpolation by flow: without a GPU the net costs more than it gains")
    return "flow"


def default_model(
    device: str, options: EnhanceOptions, info: VideoInfo, factor: Fraction, folder: Path = WEIGHTS
) -> str:
    """The best model that ``device`` has time for, of those with weights for the clip and the scales to ``factor``.

    On a compressed clip a small network that was trained for such clips beats a large one that was not.
    """
    *better, sure = DEFAULT_MODELS[device]
    scales = network_factors(factor, available_scales(sure, folder=folder))
    domain = choose_domain(options, info, sure, scales, folder)
    trained = {(entry.name, entry.scale) for entry in table(folder) if entry.domain == domain}
    return next((name for name in better if all((name, scale) in trained for scale in scales)), sure)


def choose_domain(
    options: EnhanceOptions, info: VideoInfo, model: str, scales: tuple[int, ...], folder: Path = WEIGHTS
) -> str:
    """Which weights suit the clip: ``video`` where an encoder has left few bits per pixel and such weights exist."""
    if options.domain != "auto":
        return "video" if options.domain == "compressed" else options.domain  # the word of weights files
    trained = {e.scale for e in table(folder) if (e.name, e.domain) == (model.removesuffix(MARK), "video")}
    return "video" if is_compressed(info) and trained.issuperset(scales) else "clean"
