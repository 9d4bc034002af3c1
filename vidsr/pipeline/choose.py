"""Decisions of `make_plan`, stage by stage.

Each stage runs or not, with a network, weights and settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vidsr.color import check_rgb, with_defaults
from vidsr.device import Compute
from vidsr.errors import Notes, OptionError
from vidsr.frames import SUBSAMPLING, VideoInfo
from vidsr.kernels.resample import KERNELS
from vidsr.models import available_scales, checkpoints, load_model, model_files
from vidsr.models.self_ensemble import MARK
from vidsr.models.temporal import MARK as TEMPORAL_MARK
from vidsr.models.weight_files import WEIGHTS, frame_network_path, list_weights, sha256
from vidsr.options.choices import Interpolation, OutputChroma
from vidsr.options.codecs import AUTO, CODECS, Encoding
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.frame_rate import Times
from vidsr.options.model_names import check_model_file
from vidsr.options.output_size import OutputSize, Size, Width
from vidsr.options.paths import OutputKind
from vidsr.options.restoration import CLASSICAL, DENOISERS, NETWORKS, Restoration
from vidsr.stages.build import build_restore
from vidsr.stages.classical import Classical
from vidsr.stages.diagnosis import ClipSamples, Diagnosis, suits_compressed_weights
from vidsr.stages.memory_budget import (
    BASE,
    LEAST_NETWORK,
    LEAST_ROWS,
    MemoryBudget,
    clip_need,
    divide_memory,
    limit_memory,
    row_bytes,
    still_need,
)
from vidsr.stages.specs import (
    ConvertSpec,
    FitSpec,
    InterpolateSpec,
    NetworkSpec,
    RestoreSpec,
    TemporalDenoiseSpec,
    UpscaleSpec,
)
from vidsr.stages.temporal_denoise import HELD_BYTES
from vidsr.stages.upscale import REDUCTION_KERNEL, network_factors
from vidsr.video import nearest_pixel_format

# The first that has weights for the wanted scales. `best` costs 2.7 times `balanced`, which only a GPU can spare.
DEFAULT_MODELS = {"cpu": ("balanced",), "cuda": ("best", "balanced")}
FEW_PLAYERS = ("libx264", "libx265", "libvpx-vp9")  # in 4:4:4: browsers and most devices lack the profile
# Codecs of animations and of image sequences, as their decoders are called: RGB, or JPEG without subsampling
IMAGE_CODECS = ("gif", "apng", "png", "webp", "bmp", "tiff", "mjpeg")
SAME_ASPECT = Fraction(1, 100)  # share by which aspect ratios may differ unnoticed
CODED_CHROMA_NOISE = 1.0  # 8-bit code values, of chroma where compression is visible (benchmarks/chroma_noise.py)
NETWORK_ENGINES = ("net", "superslomo", "rife")


def choose_restores(
    options: EnhanceOptions,
    info: VideoInfo,
    compute: Compute,
    samples: ClipSamples,
    diagnosis: Diagnosis,
    notes: Notes,
    folder: Path = WEIGHTS,
) -> tuple[RestoreSpec, ...]:
    """Return the restoring stages in order; ``notes`` receives the diagnosis behind each decision."""
    if not options.restorations:
        return ()
    choose = _cleaning if options.clean else _asked
    chosen = choose(options, info, compute, samples, diagnosis, notes, folder)
    if info.fps is None or info.chroma == "gray":  # chroma of stills is unchanged, so that strips equal the whole image
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
    options: EnhanceOptions,
    info: VideoInfo,
    compute: Compute,
    samples: ClipSamples,
    diagnosis: Diagnosis,
    notes: Notes,
    folder: Path,
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
    notes.info("decided", f"{size}; {', '.join(words)}; --no-clean restores nothing")
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


def _averaged_bytes(options: EnhanceOptions, info: VideoInfo) -> int:
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


def stored_size(options: EnhanceOptions, info: VideoInfo) -> OutputSize | Width:
    """Return the output size of frames as they are stored; the user means those that are shown, as of a phone clip."""
    return options.output_size.turned if info.is_on_its_side else options.output_size


def output_dimensions(options: EnhanceOptions, info: VideoInfo) -> tuple[int, int]:
    """Return the width and height of the frames to store that ``options`` ask for."""
    sides = info.square_size if options.square_pixels else (info.width, info.height)
    return stored_size(options, info).size(*sides)


def choose_memory(
    options: EnhanceOptions, info: VideoInfo, encoding: Encoding, notes: Notes
) -> tuple[MemoryBudget, int | None]:
    """Return the memory of each part of the run, and the source rows of a still that run at a time (None: all).

    Raises:
        OptionError, DeviceError: the run needs more than it may take.
    """
    width, height = output_dimensions(options, info)
    output = replace(info, width=width, height=height)
    if info.fps is not None:
        averages = options.temporal_denoise and options.restorations
        need = clip_need(info, output, encoding, _averaged_bytes(options, info) if averages else 0)
        return divide_memory(limit_memory(options.memory, need, output, notes), need.held), None
    classical = any(wanted.method in CLASSICAL for wanted in options.restorations)
    need = still_need(info, output, bool(options.restorations), not classical)
    limit = limit_memory(options.memory, need, output, notes)
    if limit is None or need.whole <= limit:
        return divide_memory(limit), None
    free = limit - BASE - need.held
    network = max(LEAST_NETWORK, free // 2)
    rows = max(LEAST_ROWS, (free - network) // row_bytes(info, output))
    return MemoryBudget(network), rows


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
    device = computes[0].device.type
    model = (
        choose_model(device, options, info, factor, compressed=compressed) if options.model == "auto" else options.model
    )
    if model in KERNELS:
        if options.strength != 1:
            raise OptionError(f"--strength has no effect with the kernel {model}: leave it out, or choose a network")
        return UpscaleSpec(width, height, model)
    scales = network_factors(factor, available_scales(model))
    # without scales it becomes smaller
    domain = choose_domain(options, info, model, scales, compressed=compressed) if scales else ""
    devices = computes[:1] if model.endswith(TEMPORAL_MARK) else computes  # a state passes from frame to frame
    networks = tuple(
        tuple(choose_network(model, scale, domain, options, compute) for scale in scales)
        for compute in (devices if scales else ())
    )
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


def choose_network(
    name: str, scale: int, domain: str, options: EnhanceOptions, compute: Compute, folder: Path = WEIGHTS
) -> NetworkSpec:
    """Return how ``name`` runs on a device.

    It runs in float32 where its weights are not exact enough in half precision.

    Raises:
        ModelError: it has no weights for that scale and domain.
    """
    model = load_model(name, scale, "cpu", compute.dtype, domain, folder)
    return NetworkSpec(
        name=model.name,
        scale=scale,
        domain=model.domain,
        file=model_files.stored_name(model.path, folder),
        sha256=model.sha256,
        device=str(compute.device),
        precision=replace(compute, dtype=model.network.dtype).precision,
        memory=compute.memory,
        batch=options.batch,
        tile=options.tile,
        compiled=options.compile,
        channels=model.channels,
    )


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
    return suits_compressed_weights(info, samples.quantizer)


def choose_model(
    device: str,
    options: EnhanceOptions,
    info: VideoInfo,
    factor: Fraction,
    folder: Path = WEIGHTS,
    compressed: bool = False,
) -> str:
    """Return the best model that ``device`` has time for.

    Only models with weights for the clip and for ``factor`` are considered. A clip gets a temporal model if one network
    reaches the factor.

    On a compressed clip a small network that was trained for such clips beats a large one that was not.
    """
    *better, sure = DEFAULT_MODELS["cpu" if device == "cpu" else "cuda"]
    scales = network_factors(factor, available_scales(sure, folder=folder))
    domain = choose_domain(options, info, sure, scales, folder, compressed)
    trained = {(entry.name, entry.scale) for entry in list_weights(folder) if entry.domain == domain}
    temporal = options.temporal and info.fps is not None and len(scales) == 1
    names = [name + mark for name in (*better, sure) for mark in ((TEMPORAL_MARK, "") if temporal else ("",))]
    return next((name for name in names if all((name, scale) in trained for scale in scales)), sure)


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


def choose_encoding(options: EnhanceOptions, info: VideoInfo, container: str) -> Encoding:
    """Return the encoder that plays most widely for a clip of ``info`` in a ``container``, unless the user named one.

    Options for the encoder are libx264's, unless the user named another one.
    """
    encoding = options.encoding
    if encoding.codec != AUTO:
        return encoding
    width, _ = stored_size(options, info).size(info.width, info.height)
    is_deep = info.depth > 8 and width >= CODECS["libx265"].min_width and not encoding.options
    if container == ".webm":
        return replace(encoding, codec="libsvtav1" if is_deep or info.codec == "av1" else "libvpx-vp9")
    return replace(encoding, codec="libx265" if is_deep else "libx264")


def choose_fit(options: EnhanceOptions, info: VideoInfo, notes: Notes) -> FitSpec | None:
    """Return the stage that pads or crops; None where the resized clip has the wanted size."""
    size = stored_size(options, info)
    if not isinstance(size, Size):
        return None
    if size.canvas is not None:
        return None if size.canvas == size.size(info.width, info.height) else FitSpec(*size.canvas)
    if abs(Fraction(size.width * info.height, size.height * info.width) - 1) > SAME_ASPECT:
        turn = -1 if info.is_on_its_side else 1
        before, after = ("x".join(map(str, sides[::turn])) for sides in (
            (info.width, info.height), (size.width, size.height),
        ))  # fmt: skip
        notes.info("aspect_changed", f"{before} is stretched to {after}: --fit pad or crop keeps the shape")
    return None


def choose_convert(
    chroma: OutputChroma | None, info: VideoInfo, encoding: Encoding, output_kind: OutputKind, notes: Notes
) -> ConvertSpec | None:
    """Return the stage that reaches the format the user wants or the encoder takes.

    None if the source has it.

    Raises:
        OptionError: no such encoder, or a chroma format for images, which are RGB.
    """
    if info.fps is None:
        return None
    if chroma and output_kind == "images":
        raise OptionError(f"--chroma {chroma}: images are RGB or grey, so leave it out")
    wanted = info if chroma is None else replace(info, chroma=chroma)
    is_image = info.codec in IMAGE_CODECS and info.chroma == "444"
    if chroma is None and output_kind == "clip" and is_image and encoding.codec in FEW_PLAYERS:
        wanted = replace(info, chroma="420", depth=min(info.depth, 10))
        notes.info("chroma_reduced", "images become 4:2:0, which every player shows: --chroma 444 keeps all colour")
    coded = nearest_pixel_format(wanted, encoding, notes) if output_kind == "clip" else wanted
    if coded.chroma == "444" and chroma is None and encoding.codec in FEW_PLAYERS:
        notes.info("not_widely_playable", "4:4:4, as the source is, is not shown by every player: --chroma 420 is")
    same = (coded.chroma, coded.depth) == (info.chroma, info.depth)
    return None if same else ConvertSpec(coded.chroma, coded.depth)
