"""A plan: everything that a run will do, decided before the first frame by `make_plan`, as frozen data.

The decisions for each stage are in `vidsr.pipeline.choose`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

from vidsr import __version__
from vidsr.color import with_unambiguous_matrix
from vidsr.device import choose_all
from vidsr.errors import Note, Notes
from vidsr.frames import VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.output_size import Automatic
from vidsr.options.paths import OutputKind
from vidsr.options.serialize import from_json, to_json
from vidsr.pipeline.choose import choose_interpolate, choose_memory, choose_upscale, memory_need
from vidsr.pipeline.choose_format import can_keep_alpha, choose_convert, choose_encoding, choose_fit
from vidsr.pipeline.choose_model import choose_compressed
from vidsr.pipeline.choose_restoration import choose_restores, choose_temporal_denoise
from vidsr.stages.build import output_of
from vidsr.stages.diagnosis import ClipSamples, diagnose
from vidsr.stages.frame_log import COLUMNS, REFERENCE_COLUMNS, change_column
from vidsr.stages.memory_budget import MemoryBudget, limit_encoder
from vidsr.stages.specs import (
    ConvertSpec,
    FitSpec,
    InterpolateSpec,
    MeasureSpec,
    NetworkSpec,
    RestoreSpec,
    RoundSpec,
    StageSpec,
    TapSpec,
    TemporalDenoiseSpec,
    UpscaleSpec,
    networks_of,
)
from vidsr.video import usable_encoding

ALPHA_ENCODER = "libvpx-vp9"
MAX_BATCH_FRAMES = 16  # of a batch, however small they are: more would only wait longer

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What a run does to one source. ``Plan.from_json(plan.to_json()) == plan``.

    `vidsr.stages.build.build_stages` makes fresh stages from it. Running decides nothing more; the only thing that
    differs afterwards is what a machine could not do (`Stages.counts`).
    """

    version: str  # of vidsr
    options: EnhanceOptions
    output_kind: OutputKind
    source: VideoInfo
    output: VideoInfo
    stages: tuple[StageSpec, ...]  # in order
    encoding: Encoding
    frames_per_batch: int  # decoded at a time
    memory: MemoryBudget
    rows_per_strip: int | None  # source rows of an image that run at a time; None: all
    notes: tuple[Note, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values; docs/json.md describes them."""
        data: dict[str, Any] = to_json(self)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """Return the plan that `to_json` wrote.

        Raises:
            TypeError, ValueError, KeyError: the data is no plan.
        """
        return from_json(cls, data)

    @property
    def words(self) -> tuple[str, ...]:
        """Stages in words, for the summary."""
        shown = RestoreSpec | TemporalDenoiseSpec | InterpolateSpec | UpscaleSpec | FitSpec
        return tuple(str(spec) for spec in self.stages if isinstance(spec, shown))

    @property
    def upscale(self) -> UpscaleSpec | None:
        """The stage that resizes, if there is one."""
        return self._one(UpscaleSpec)

    @property
    def interpolate(self) -> InterpolateSpec | None:
        """The stage that interpolates, if there is one."""
        return self._one(InterpolateSpec)

    @property
    def log_columns(self) -> tuple[str, ...]:
        """Columns of the per-frame log; empty where none is written."""
        measure = self._one(MeasureSpec)
        return () if measure is None else measure.columns

    @property
    def networks(self) -> tuple[NetworkSpec, ...]:
        """Networks that run, on every device."""
        return tuple(network for spec in self.stages for network in networks_of(spec))

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of each weights file, by file name."""
        return {network.file: network.sha256 for network in self.networks}

    @property
    def memory_needed(self) -> int:
        """Bytes that the run takes at most, estimated from the sizes of its frames."""
        need = memory_need(self.options, self.source, self.encoding).whole
        return need if self.options.memory is None else min(need, self.options.memory)

    def _one(self, kind: type[T]) -> T | None:
        return next((spec for spec in self.stages if isinstance(spec, kind)), None)


def make_plan(
    options: EnhanceOptions,
    info: VideoInfo,
    samples: ClipSamples | None = None,
    output_kind: OutputKind = "clip",
    notes: Notes | None = None,
    logged: bool = False,
    container: str = ".mp4",
) -> Plan:
    """Decide everything that ``options`` leave open for a source of ``info``.

    A still image has no ``fps``.

    ``samples``: sample frames and quantizer, needed only where something is restored or upscaled. ``notes`` receives
    what the user should know; notes that it holds already become part of the plan. ``logged``: whether a per-frame log
    is written.
    ``container``: suffix of the output.

    Raises:
        OptionError, ModelError, DeviceError: the options cannot be met, or the run needs more memory than it may take.
    """
    notes = Notes() if notes is None else notes
    samples = samples or ClipSamples()
    if isinstance(options.output_size, Automatic):
        options = replace(options, output_size=options.output_size.concrete(info.width, info.height))
    is_clip = info.fps is not None
    encoding = options.encoding
    if is_clip and output_kind == "clip":
        encoding = usable_encoding(choose_encoding(options, info, container), notes)
    fit = choose_fit(options, info, notes)
    can_hold_alpha = output_kind == "clip" and (not is_clip or encoding.codec == ALPHA_ENCODER)
    with_alpha = can_hold_alpha and can_keep_alpha(options, info, container)
    if info.alpha and not with_alpha and not is_clip:
        notes.info("alpha_dropped", "left out: transparency (an output in .png or .webp keeps it)")
    memory, rows_per_strip = choose_memory(options, info, encoding, notes)
    computes = tuple(
        replace(compute, memory=memory.network if compute.device.type == "cpu" else None)
        for compute in choose_all(options.device, options.precision)
    )
    first = computes[0]  # of several devices, all but the upscale runs on the first
    diagnosis = diagnose(samples, info)
    restores = choose_restores(options, info, first, samples, diagnosis, notes, in_strips=rows_per_strip is not None)
    compressed = choose_compressed(options, info, samples, diagnosis, restores)
    stages = _in_order(
        info,
        (*restores, choose_temporal_denoise(options, info, restores)),
        choose_interpolate(options, info, first, notes),
        choose_upscale(options, info, computes, compressed),
        choose_convert(options.chroma, info, encoding, output_kind, notes, with_alpha),
        fit,
        rounds=is_clip and output_kind != "images",
        logged=is_clip and logged,
        measured=options.reference is not None,
    )
    output = replace(output_of(stages, info), alpha=with_alpha)
    if is_clip:
        output = with_unambiguous_matrix(info, output, notes)
        encoding = limit_encoder(encoding, output, memory.encoder, notes)
    if options.square_pixels and info.sar != 1:
        notes.info("pixels_made_square", f"pixels of {info.sar} made square: {output.width}x{output.height}")
        output = replace(output, sar=Fraction(1))
    return Plan(
        version=__version__,
        options=options,
        output_kind=output_kind,
        source=info,
        output=output,
        stages=stages,
        encoding=encoding,
        frames_per_batch=max(
            1, min(MAX_BATCH_FRAMES, first.pixel_budget // (info.width * info.height), memory.frames(info, output))
        ),
        memory=memory,
        rows_per_strip=rows_per_strip,
        notes=tuple(notes),
    )


def _in_order(
    info: VideoInfo,
    same_size: Sequence[RestoreSpec | TemporalDenoiseSpec | None],
    interpolate: InterpolateSpec | None,
    upscale: UpscaleSpec | None,
    convert: ConvertSpec | None,
    fit: FitSpec | None,
    *,
    rounds: bool,
    logged: bool,
    measured: bool,
) -> tuple[StageSpec, ...]:
    """All stages in order, each where it costs least.

    Frames are interpolated at the smaller of both sizes.
    """
    shrinks = interpolate and upscale and upscale.width * upscale.height < info.width * info.height
    if upscale is not None and rounds and convert is None and not shrinks:
        upscale = replace(upscale, rounds=True)
    rounding = RoundSpec(info.depth if convert is None else convert.depth, rounds)
    tap = TapSpec() if logged else None
    resized = (upscale, interpolate, tap) if shrinks else (interpolate, tap, upscale)
    changes = tuple(change_column(spec.name) for spec in same_size if spec is not None)
    measure = MeasureSpec((*COLUMNS, *changes, *(REFERENCE_COLUMNS if measured else ()))) if logged else None
    return tuple(spec for spec in (*same_size, *resized, convert, rounding, measure, fit) if spec is not None)
