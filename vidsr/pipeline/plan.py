"""What a run will do: its stages, their order, and the facts of the stream they make. The one place that decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vidsr.color import with_unambiguous_matrix
from vidsr.device import Compute, choose_all
from vidsr.errors import Notes, OptionError
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.kernels.resample import KERNELS
from vidsr.models import Model, available_scales, load_model
from vidsr.models.weights import WEIGHTS
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.frame_rate import Clock, Times
from vidsr.options.output_size import OutputSize, Size
from vidsr.options.paths import OutputKind
from vidsr.options.restoration import CLASSICAL, DENOISERS, NETWORKS, Restoration
from vidsr.pipeline.choice import choose_domain, choose_engine, default_model
from vidsr.stages import Stage
from vidsr.stages.changes import Changes
from vidsr.stages.classical import Classical
from vidsr.stages.convert import Convert
from vidsr.stages.diagnosis import Diagnosis, Survey, diagnose
from vidsr.stages.frame_log import COLUMNS, REFERENCE_COLUMNS, FrameLog, Measure, Tap
from vidsr.stages.interpolate import Interpolate, make_engine
from vidsr.stages.memory_budget import share, within
from vidsr.stages.network_engine import NetworkEngine
from vidsr.stages.restore import Restore
from vidsr.stages.rounding import Finish
from vidsr.stages.runner import Runner
from vidsr.stages.stopwatch import Stopwatch
from vidsr.stages.temporal_denoise import HELD_BYTES, TemporalDenoise
from vidsr.stages.upscale import REDUCTION_KERNEL, Upscale, network_factors
from vidsr.video import VideoReader, nearest_pixel_format, usable_encoding

NOT_SHOWN = ("libx264", "libx265")  # in 4:4:4: the profiles of browsers and of most devices have none
DIAGNOSIS = "diagnosis"  # the code of a note
MOST_FRAMES = 16  # of a batch, however small they are: more would only wait longer


class Plan:
    """The stages that ``options`` ask for on a stream ``info``, made once and known before the first frame.

    Restoration looks at a ``survey`` of the stream; without restoration none is needed. Planes and pictures take any
    format; ``output_kind`` pictures, values are left as they are, to be rounded in RGB.

    Raises:
        OptionError, ModelError, DeviceError: the options can not be met.
    """

    def __init__(
        self,
        options: EnhanceOptions,
        info: VideoInfo,
        survey: Survey | None = None,
        output_kind: OutputKind = "clip",
        notes: Notes | None = None,
    ) -> None:
        self.notes = notes = Notes() if notes is None else notes
        if output_kind == "clip":
            options = replace(options, encoding=usable_encoding(options.encoding, notes))
        self._source = source = info
        self._pixels = info.width * info.height
        steadied = options.temporal_denoise and options.restorations and info.fps is not None
        self.share = share(options.memory, HELD_BYTES * self._pixels if steadied else 0)
        computes = tuple(
            replace(compute, memory=self.share.network if compute.device.type == "cpu" else None)
            for compute in choose_all(options.device, options.precision)
        )
        compute = computes[0]  # of several devices, all but the upscale is done on the first
        self._budget = compute.pixel_budget
        self._measured = options.reference is not None
        self.restores = make_restores(options, info, compute, survey or Survey(), notes)
        self.steady = make_steady(options, info, self.restores)
        self.interpolate = make_interpolate(options, info, compute, notes)
        self.upscale = make_upscale(options, info, computes)
        self.convert = make_convert(options, info, output_kind, notes)
        self.finish = Finish(info.depth if self.convert is None else self.convert.depth, rounds=output_kind != "images")
        for stage in self._in_order():
            info = stage.output(info)
        self.output = with_unambiguous_matrix(source, info, notes)
        self.encoding = within(options.encoding, self.output, self.share.encoder, notes)
        if options.square_pixels and source.sar != 1:
            self.output = replace(self.output, sar=Fraction(1))
            notes.info("pixels_made_square", f"pixels of {source.sar} made square: {info.width}x{info.height}")

    @property
    def _smaller(self) -> bool:
        """Whether frames are made of pictures that have become smaller before: each costs by its pixels."""
        large = self._pixels if self.upscale is None else self.upscale.width * self.upscale.height
        return self.interpolate is not None and large < self._pixels

    def _in_order(self, tap: Tap | None = None, measure: Measure | None = None) -> list[Stage]:
        # cheap stages first: what works on the picture itself does so at the size where it costs least
        change: tuple[Stage | None, ...]
        change = (self.upscale, self.interpolate, tap) if self._smaller else (self.interpolate, tap, self.upscale)
        stages = (*self.restores, self.steady, *change, self.convert, self.finish, measure)
        return [stage for stage in stages if stage is not None]

    @property
    def picture_stages(self) -> list[Stage]:
        """The stages of a still picture, which comes to the CPU and is rounded later, in RGB."""
        brought = replace(self.finish, rounds=False)
        return [*self.restores, *([] if self.upscale is None else [self.upscale]), brought]

    @property
    def words(self) -> tuple[str, ...]:
        """Each stage in words, for the summary."""
        return tuple(str(stage) for stage in self._in_order() if not isinstance(stage, Convert | Finish))

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of each weights file that is used, by its name."""
        stages = (*self.restores, self.interpolate, self.upscale)
        return {name: sha for stage in stages if stage is not None for name, sha in stage.weights.items()}

    @property
    def counts(self) -> dict[str, int]:
        """What the stages counted, once the run is over."""
        counts = {} if self.interpolate is None else dict(self.interpolate.counts)
        if self.upscale is not None:
            counts["frames repeated"] = self.upscale.repeated
            counts["tiles repeated"] = sum(reuse.copied for lane in self.upscale.lanes for reuse in lane)
        runners = [] if self.upscale is None else [reuse.runner for lane in self.upscale.lanes for reuse in lane]
        runners += [stage.method for stage in self.restores if isinstance(stage.method, Runner)]
        engine = None if self.interpolate is None else self.interpolate.engine
        halved: list[Runner | NetworkEngine] = [*runners, engine] if isinstance(engine, NetworkEngine) else [*runners]
        if halved:
            counts["networks in float32, as half precision lost too much"] = sum(one.fp32_fallback for one in halved)
        if runners:
            counts["times memory ran out"] = sum(runner.out_of_memory_retries for runner in runners)
            counts["networks without CUDA graphs, which could not be recorded"] = sum(r.graphs_failed for r in runners)
        return counts

    @property
    def frames_per_batch(self) -> int:
        """How many frames to decode at a time: as many as one call of the network takes."""
        return max(1, min(MOST_FRAMES, self._budget // self._pixels, self.share.frames(self._source, self.output)))

    @property
    def log_columns(self) -> tuple[str, ...]:
        """Columns of the per-frame log."""
        changed = tuple(changes.column for changes in self._changes)
        return COLUMNS + changed + (REFERENCE_COLUMNS if self._measured else ())

    def stages(
        self, log: FrameLog | None, reference: VideoReader | None, watch: Stopwatch | None = None
    ) -> list[Stage]:
        """The stages in order, with those that measure around the upscale when there is a ``log``.

        ``watch`` is that of the thread they run on, to which they charge their parts.
        """
        if self.upscale is not None:
            self.upscale.rounds = self.convert is None and self.finish.rounds and not self._smaller
            self.upscale.watch = watch or self.upscale.watch
        if log is None:
            return self._in_order()
        tap = Tap(self.convert)
        for changes in self._changes:
            changes.logged = True
        references = None if reference is None else self._true(reference)
        return self._in_order(tap, Measure(tap, log, self.output.peak, references, self._changes))

    @property
    def _changes(self) -> tuple[Changes, ...]:
        """What the stages that keep the size note of their changes."""
        return tuple(stage.changes for stage in (*self.restores, self.steady) if stage is not None)

    def _true(self, reference: VideoReader) -> Iterator[FrameBatch]:
        """The frames of ``reference`` in the codes of the output."""
        convert = Convert(reference.info, "gray", self.output.depth)
        return self.finish(convert(reference.batches(1)))


def make_convert(options: EnhanceOptions, info: VideoInfo, output_kind: OutputKind, notes: Notes) -> Convert | None:
    """The stage that reaches the format asked for or taken by the encoder; None if the source has it.

    Raises:
        OptionError: no such encoder, or a chroma format is asked for pictures, which are RGB.
    """
    if info.fps is None:  # a still picture
        return None
    if options.chroma and output_kind == "images":
        raise OptionError(f"--chroma {options.chroma}: pictures are RGB or grey, so leave it out")
    asked = info if options.chroma is None else replace(info, chroma=options.chroma)
    coded = nearest_pixel_format(asked, options.encoding, notes) if output_kind == "clip" else asked
    if coded.chroma == "444" and options.chroma is None and options.encoding.codec in NOT_SHOWN:
        notes.info("not_widely_playable", "4:4:4, as the source is, is not shown by every player: --chroma 420 is")
    same = (coded.chroma, coded.depth) == (info.chroma, info.depth)
    return None if same else Convert(info, coded.chroma, coded.depth)


def make_restores(
    options: EnhanceOptions, info: VideoInfo, compute: Compute, survey: Survey, notes: Notes, folder: Path = WEIGHTS
) -> tuple[Restore, ...]:
    """The stages that restore, in order; ``notes`` gets the diagnosis for each."""
    if not options.restorations:
        return ()
    diagnosis = diagnose(survey, info)
    restores: list[Restore] = []
    for wanted in options.restorations:
        found = f"{wanted.task}: {diagnosis.words(wanted.task)}"
        if wanted.strength is None and not diagnosis.needs(wanted.task):
            notes.info(DIAGNOSIS, f"{found}: nothing to do")
            continue
        restore = make_restore(wanted, options, info, compute, diagnosis, folder)
        restores.append(restore)
        if survey.frames:
            kept = restore.kept_of_sharp(survey.frames)
            found += f"; {restore.words} leaves a sharp picture at {kept:.1f} dB of itself"
            if wanted.strength is not None:
                found += diagnosis.advice(wanted.task)
        notes.info(DIAGNOSIS, found)
    return tuple(restores)


def make_restore(
    wanted: Restoration,
    options: EnhanceOptions,
    info: VideoInfo,
    compute: Compute,
    diagnosis: Diagnosis,
    folder: Path = WEIGHTS,
) -> Restore:
    """The stage for one restoration; what its method needs to know and was not told comes from the ``diagnosis``."""
    strength = 1.0 if wanted.strength is None else wanted.strength
    name = NETWORKS[wanted.task][0] if wanted.method == "auto" else wanted.method
    if name in CLASSICAL:
        estimate = diagnosis.noise if name in DENOISERS else diagnosis.blur
        method = Classical(name, estimate if wanted.sigma is None else wanted.sigma, diagnosis.noise)
        return Restore(wanted.task, method, str(method), strength, info.peak)
    model = load_model(name, 1, compute.device, compute.dtype, "any", folder)
    runner = make_runner(model, options, compute)
    return Restore(
        wanted.task, runner, f"{name} ({runner.compute})", strength, info.peak, {model.path.name: model.sha256}
    )


def make_steady(options: EnhanceOptions, info: VideoInfo, restores: Sequence[Restore]) -> TemporalDenoise | None:
    """What averages over time what was restored, as strongly as that; None where nothing was, and for a still."""
    if not options.temporal_denoise or not restores or info.fps is None:
        return None
    return TemporalDenoise(info.depth, max(restore.strength for restore in restores))


def make_interpolate(options: EnhanceOptions, info: VideoInfo, compute: Compute, notes: Notes) -> Interpolate | None:
    """The stage that reaches the rate asked for; None when there is nothing to do."""
    if info.fps is None or not options.interpolates:
        return None
    if options.clock is None:
        clock: Clock = Times(options.slow_motion)
    else:
        clock = options.clock if options.slow_motion == 1 else options.clock.slowed(options.slow_motion)
    name = choose_engine(options, compute, notes)
    engine = make_engine(name, info.depth, compute)
    return Interpolate(clock, engine, info, options.repeats, options.slow_motion)


def make_upscale(options: EnhanceOptions, info: VideoInfo, computes: tuple[Compute, ...]) -> Upscale | None:
    """The stage that reaches the size asked for; None when the picture has it already."""
    target: OutputSize = options.output_size
    width, height = target.size(*(info.square_size if options.square_pixels else (info.width, info.height)))
    target = Size(width, height)
    if (width, height) == (info.width, info.height):
        return None
    factor = max(Fraction(width, info.width), Fraction(height, info.height))
    model = default_model(computes[0].device.type, options, info, factor) if options.model == "auto" else options.model
    if model in KERNELS:
        return Upscale(target, info, (), model)
    scales = network_factors(factor, available_scales(model))
    if not scales:  # it becomes smaller
        return Upscale(target, info, (), REDUCTION_KERNEL)
    domain = choose_domain(options, info, model, scales)
    networks = [[load_model(model, scale, one.device, one.dtype, domain) for scale in scales] for one in computes]
    lanes = [
        tuple(make_runner(network, options, compute) for network in lane)
        for lane, compute in zip(networks, computes, strict=True)
    ]
    weights = {network.path.name: network.sha256 for network in networks[0]}
    return Upscale(target, info, lanes[0], f"{model} ({domain})", weights, tuple(lanes[1:]))


def make_runner(network: Model, options: EnhanceOptions, compute: Compute) -> Runner:
    """What runs ``network``, in the precision that its weights are in: not all are exact enough in half of it."""
    compute = replace(compute, dtype=network.network.dtype)
    return Runner(network.compiled() if options.compile else network.fused(), compute, options.batch, options.tile)
