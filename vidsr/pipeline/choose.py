"""Decisions of `make_plan` about interpolation, upscaling and memory.

Restoration, networks and formats have files of their own: `choose_restoration`, `choose_model`, `choose_format`.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vidsr.color import check_rgb, with_defaults
from vidsr.device import Compute
from vidsr.errors import Notes, OptionError
from vidsr.frames import VideoInfo
from vidsr.kernels.resample import KERNELS
from vidsr.models import available_scales, checkpoints, model_files
from vidsr.models.weight_files import frame_network_path, sha256
from vidsr.options.choices import Interpolation
from vidsr.options.codecs import Encoding
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.frame_rate import Times
from vidsr.options.model_names import check_model_file
from vidsr.options.restoration import CLASSICAL
from vidsr.pipeline.choose_format import output_dimensions
from vidsr.pipeline.choose_model import choose_domain, choose_model, choose_network, has_time
from vidsr.pipeline.choose_restoration import averaged_bytes
from vidsr.stages.memory_budget import (
    BASE,
    LEAST_NETWORK,
    LEAST_ROWS,
    MemoryBudget,
    MemoryNeed,
    clip_need,
    divide_memory,
    limit_memory,
    row_bytes,
    still_need,
)
from vidsr.stages.specs import InterpolateSpec, NetworkSpec, UpscaleSpec
from vidsr.stages.upscale import REDUCTION_KERNEL, network_factors

NETWORK_ENGINES = ("net", "superslomo", "rife")


def choose_interpolate(
    options: EnhanceOptions, info: VideoInfo, compute: Compute, notes: Notes
) -> InterpolateSpec | None:
    """Return the stage that reaches the wanted frame rate.

    None if the source has it, and for a still.

    Raises:
        ModelError: the engine's network has no weights.
    """
    if info.fps is None or not options.interpolates:
        return None
    clock = Times(Fraction(1)) if options.clock is None else options.clock
    slow = options.slow_motion
    engine = choose_engine(options, compute, notes)
    network = None
    if engine in NETWORK_ENGINES:
        path = interpolation_file(options, engine)
        name = model_files.stored_name(path)
        network = NetworkSpec(engine, 1, "any", name, sha256(path), str(compute.device), compute.precision)
    return InterpolateSpec(clock if slow == 1 else clock.slowed(slow), engine, network, options.repeats, slow)


def interpolation_file(options: EnhanceOptions, engine: Interpolation) -> Path:
    """Return the weights file of an interpolation network.

    Raises:
        ModelError: there is none, or the user's file holds none.
    """
    if options.interpolation_model is None:
        return frame_network_path(engine)
    path = check_model_file(options.interpolation_model).absolute()
    checkpoints.read_frame_network(path)
    return path


def choose_engine(options: EnhanceOptions, compute: Compute, notes: Notes) -> Interpolation:
    """Return the interpolation engine; ``notes`` receives the reason if the user named none."""
    if options.interpolation != "auto":
        return options.interpolation
    # on the benchmark's clips net is 0.04 dB better at four times the cost (docs/interpolation.md)
    if compute.device.type != "cpu":
        notes.info("engine_chosen", "interpolation by net: there is a GPU")
        return "net"
    notes.info("engine_chosen", "interpolation by flow: without a GPU the net costs more than it gains")
    return "flow"


def choose_upscale(
    options: EnhanceOptions, info: VideoInfo, computes: tuple[Compute, ...], compressed: bool = False
) -> UpscaleSpec | None:
    """Return the stage that reaches the wanted size; None if the source has it.

    ``compressed``: whether weights for compressed clips suit the source better.

    Raises:
        ModelError, OptionError: the network has no weights for the scale.
    """
    width, height = output_dimensions(options, info)
    if (width, height) == (info.width, info.height):
        return None
    factor = max(Fraction(width, info.width), Fraction(height, info.height))
    model = options.model
    if model == "auto":
        device = computes[0].device.type
        temporal = has_time(options, info, device)
        model = choose_model(device, options, info, factor, compressed=compressed, temporal=temporal)
    if model in KERNELS:
        if options.strength != 1:
            raise OptionError(f"--strength has no effect with the kernel {model}: leave it out, or choose a network")
        return UpscaleSpec(width, height, model)
    scales = network_factors(factor, available_scales(model))
    # without scales it becomes smaller
    domain = choose_domain(options, info, model, scales, compressed=compressed) if scales else ""
    networks = tuple(
        tuple(choose_network(model, scale, domain, options, compute) for scale in scales)
        for compute in (computes if scales else ())
    )
    if any(network.temporal for one in networks for network in one):
        networks = networks[:1]  # a state passes from frame to frame
    on_rgb = any(network.channels > 1 for one in networks for network in one)
    if on_rgb:
        check_rgb(with_defaults(info.color, info.width, info.height))
    elif networks and options.chroma_from == "model":
        raise OptionError(
            f"--chroma-from model needs a network on RGB, and {model} works on luma: choose guided or kernel"
        )
    return UpscaleSpec(
        width,
        height,
        REDUCTION_KERNEL,
        networks,
        chroma_from=options.chroma_from if networks else "kernel",
        strength=options.strength if networks else 1.0,
    )


def choose_memory(
    options: EnhanceOptions, info: VideoInfo, encoding: Encoding, notes: Notes
) -> tuple[MemoryBudget, int | None]:
    """Return the memory of each part of the run, and the source rows of a still that run at a time (None: all).

    Raises:
        OptionError, DeviceError: the run needs more than it may take.
    """
    need, output = memory_need(options, info, encoding), _resized(options, info)
    limit = limit_memory(options.memory, need, output, notes)
    if info.fps is not None:
        return divide_memory(limit, need.held), None
    if limit is None or need.whole <= limit:
        return divide_memory(limit), None
    free = limit - BASE - need.held
    network = max(LEAST_NETWORK, free // 2)
    rows = max(LEAST_ROWS, (free - network) // row_bytes(info, output))
    return MemoryBudget(network), rows


def memory_need(options: EnhanceOptions, info: VideoInfo, encoding: Encoding) -> MemoryNeed:
    """Return the memory that a run takes, estimated from the sizes of its frames."""
    output = _resized(options, info)
    if info.fps is not None:
        averages = options.temporal_denoise and options.restorations
        return clip_need(info, output, encoding, averaged_bytes(options, info) if averages else 0)
    classical = any(wanted.method in CLASSICAL for wanted in options.restorations)
    return still_need(info, output, bool(options.restorations), not classical)


def _resized(options: EnhanceOptions, info: VideoInfo) -> VideoInfo:
    width, height = output_dimensions(options, info)
    return replace(info, width=width, height=height)
