"""What a run will do: its stages, their order, and the facts of the stream they make. The one place that decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vidsr.color import tagged
from vidsr.device import Compute, choose
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.kernels.resample import KERNELS
from vidsr.models import available_scales, load_model
from vidsr.models.store import WEIGHTS, table
from vidsr.options import EnhanceOptions, Size, Target
from vidsr.stages import Stage
from vidsr.stages.convert import Convert
from vidsr.stages.finish import Finish
from vidsr.stages.interpolate import Interpolate, make_engine
from vidsr.stages.measure import COLUMNS, REFERENCE_COLUMNS, FrameLog, Measure, Tap
from vidsr.stages.runner import Runner
from vidsr.stages.upscale import Upscale, network_factors
from vidsr.video import VideoReader, coded_format

MOST_FRAMES = 16  # of a batch, however small they are: more would only wait longer
# Below so many bits per pixel a clip is taken to be visibly compressed. Of H.264 that is about CRF 26 on the clips of
# train/LOG.md's table; other codecs by their efficiency, roughly.
BITS_PER_PIXEL = {"h264": 0.15, "hevc": 0.1, "vp9": 0.1, "av1": 0.08, "vp8": 0.2, "mpeg4": 0.3, "mpeg2video": 0.4}
# The first that has weights for the scales at hand. `best` costs six times `balanced`, which only a GPU has to spare.
DEFAULT_MODELS = {"cpu": ("balanced",), "cuda": ("best", "balanced")}


class Plan:
    """The stages that ``options`` ask for on a stream ``info``, made once and known before the first frame.

    Raises:
        OptionError, ModelError, DeviceError: the options can not be met.
    """

    def __init__(self, options: EnhanceOptions, info: VideoInfo) -> None:
        source = info
        self._pixels = info.width * info.height
        compute = choose(options.device, options.precision)
        self._budget = compute.pixel_budget
        self._measured = options.reference is not None
        self.interpolate = make_interpolate(options, info)
        self.upscale = make_upscale(options, info, compute)
        self.convert, self.notes = make_convert(options, info)
        self.finish = Finish(info.depth if self.convert is None else self.convert.depth)
        for stage in self._in_order():
            info = stage.output(info)
        self.output, notes = tagged(source, info)
        self.notes += notes
        if options.square_pixels and source.sar != 1:
            self.output = replace(self.output, sar=Fraction(1))
            self.notes.append(f"pixels of {source.sar} made square: {info.width}x{info.height}")

    def _in_order(self) -> list[Stage]:
        # cheap stages first: what works on the picture itself does so at the size where it costs least
        stages: tuple[Stage | None, ...] = (self.interpolate, self.upscale, self.convert, self.finish)
        return [stage for stage in stages if stage is not None]

    @property
    def words(self) -> tuple[str, ...]:
        """Each stage in words, for the summary."""
        return tuple(str(stage) for stage in (self.interpolate, self.upscale) if stage is not None)

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of each weights file that is used, by its name."""
        return {} if self.upscale is None else self.upscale.weights

    @property
    def counts(self) -> dict[str, int]:
        """What the stages counted, once the run is over."""
        counts = {} if self.interpolate is None else dict(self.interpolate.counts)
        if self.upscale is not None:
            counts["frames repeated"] = self.upscale.repeated
            counts["times memory ran out"] = sum(runner.shrunk for runner in self.upscale.runners)
        return counts

    @property
    def frames_per_batch(self) -> int:
        """How many frames to decode at a time: as many as one call of the network takes."""
        return max(1, min(MOST_FRAMES, self._budget // self._pixels))

    @property
    def log_columns(self) -> tuple[str, ...]:
        """Columns of the per-frame log."""
        return COLUMNS + (REFERENCE_COLUMNS if self._measured else ())

    def stages(self, log: FrameLog | None, reference: VideoReader | None) -> list[Stage]:
        """The stages in order, with those that measure around the upscale when there is a ``log``."""
        if log is None:
            return self._in_order()
        tap = Tap(self.convert)
        measure = Measure(tap, log, self.output.peak, None if reference is None else self._true(reference))
        stages: tuple[Stage | None, ...] = (self.interpolate, tap, self.upscale, self.convert, self.finish, measure)
        return [stage for stage in stages if stage is not None]

    def _true(self, reference: VideoReader) -> Iterator[FrameBatch]:
        """The frames of ``reference`` in the codes of the output."""
        convert = Convert(reference.info, "gray", self.output.depth)
        return self.finish(convert(reference.batches(1)))


def make_convert(options: EnhanceOptions, info: VideoInfo) -> tuple[Convert | None, list[str]]:
    """The stage that reaches the format which the encoder takes, and what it does in words; None if it takes this one.

    Raises:
        OptionError: no such encoder.
    """
    if info.fps is None:  # a still picture
        return None, []
    coded, notes = coded_format(info, options.encoding)
    return Convert(info, coded.chroma, coded.depth) if notes else None, notes


def make_interpolate(options: EnhanceOptions, info: VideoInfo) -> Interpolate | None:
    """The stage that reaches the rate asked for; None when none is, and for a still picture."""
    if options.clock is None or info.fps is None:
        return None
    return Interpolate(options.clock, make_engine(options.interpolation, info.depth), info)


def make_upscale(options: EnhanceOptions, info: VideoInfo, compute: Compute) -> Upscale | None:
    """The stage that reaches the size asked for; None when the picture has it already."""
    target: Target = options.target
    width, height = target.size(*(info.square_size if options.square_pixels else (info.width, info.height)))
    target = Size(width, height)
    if (width, height) == (info.width, info.height):
        return None
    factor = max(Fraction(width, info.width), Fraction(height, info.height))
    model = default_model(compute.device.type, factor) if options.model == "auto" else options.model
    if model in KERNELS:
        return Upscale(target, info, (), model)
    scales = network_factors(factor, available_scales(model))
    domain = choose_domain(options, info, model, scales)
    networks = [load_model(model, scale, compute.device, compute.dtype, domain) for scale in scales]
    runners = tuple(Runner(network, compute, options.batch, options.tile) for network in networks)
    return Upscale(
        target, info, runners, f"{model} ({domain})", {network.path.name: network.sha256 for network in networks}
    )


def default_model(device: str, factor: Fraction, folder: Path = WEIGHTS) -> str:
    """The best model that ``device`` has time for, of those with weights for the scales that reach ``factor``."""
    *better, sure = DEFAULT_MODELS[device]
    scales = network_factors(factor, available_scales(sure, folder=folder))
    trained = {(entry.name, entry.scale) for entry in table(folder) if entry.domain == "clean"}
    return next((name for name in better if all((name, scale) in trained for scale in scales)), sure)


def choose_domain(options: EnhanceOptions, info: VideoInfo, model: str, scales: tuple[int, ...]) -> str:
    """Which weights suit the clip: ``video`` where an encoder has left few bits per pixel and such weights exist."""
    if options.source != "auto":
        return options.source
    enough = BITS_PER_PIXEL.get(info.codec)
    if enough is None or not info.bit_rate or not info.fps:
        return "clean"
    spent = info.bit_rate / float(info.width * info.height * info.fps)
    trained = {entry.scale for entry in table() if (entry.name, entry.domain) == (model, "video")}
    return "video" if spent < enough and trained.issuperset(scales) else "clean"
