"""The options of a run as frozen values: text is parsed once, here, into values that cannot be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidsr.errors import OptionError
from vidsr.options.choices import (
    ChromaFrom,
    Deinterlace,
    Domain,
    Interpolation,
    OutputChroma,
    Precision,
    Repeats,
    StdoutFormat,
)
from vidsr.options.codecs import AUTO, Encoding
from vidsr.options.frame_rate import Clock
from vidsr.options.output_size import SAME_SIZE, Automatic, OutputSize, Size, only_size
from vidsr.options.parse import decimal
from vidsr.options.presets import expand
from vidsr.options.restoration import TASKS, Restoration, Task, parse_restoration
from vidsr.options.source import MAX_PIXELS, Reading
from vidsr.options.table import option, parse_values

READING = tuple(map(option, ("input_fps", "raw", "alpha", "hwaccel", "video_track", "max_pixels")))
TIMING = tuple(map(option, ("fps", "slow_motion", "start", "end", "frames")))  # decide the times of the output
REQUESTS = ("scale", "height", "size", "fps", "slow_motion", *TASKS)  # at least one of them, or a flag, asks for work


@dataclass(frozen=True)
class EnhanceOptions:
    """What a run shall do, apart from its files. Build one from text or keywords with `parse_options`."""

    output_size: OutputSize = SAME_SIZE
    clock: Clock | None = None  # None keeps every frame at its own time
    interpolation: Interpolation = "auto"
    interpolation_model: str | None = None  # file of the network for the interpolation "rife"
    repeats: Repeats = "keep"
    slow_motion: Fraction = Fraction(1)  # time is stretched by this factor
    slow_audio: bool = False  # stretch the audio too, at its pitch; otherwise slow motion leaves it out
    restorations: tuple[Restoration, ...] = ()  # in the order they run
    clean: bool = False  # the restorations were not asked for one by one: do what improves the upscaled clip
    temporal_denoise: bool = True  # average restored frames along the motion
    model: str = "auto"
    temporal: bool | None = None  # with the model auto: a network that uses earlier frames too; None: if there is time
    domain: Domain = "auto"
    chroma_from: ChromaFrom = "guided"
    strength: float = 1.0  # share of what the network changes against the bicubic kernel
    device: str = "auto"
    precision: Precision = "auto"
    batch: int | None = None  # frames per network call; None chooses by pixel budget
    tile: int | None = None  # side of a tile in source pixels; None takes the whole frame
    compile: bool = False  # run networks through PyTorch's compiler
    memory: int | None = None  # limit in bytes; None is the memory of the machine
    encoding: Encoding = field(default_factory=lambda: Encoding(AUTO))
    reading: Reading = field(default_factory=Reading)
    stdout_format: StdoutFormat = "y4m"
    chroma: OutputChroma | None = None  # None is the source's, or the nearest that the encoder accepts
    start: Fraction | None = None  # seconds on the source's own clock
    end: Fraction | None = None
    frames: int | None = None  # maximum number of source frames
    deinterlace: Deinterlace = "auto"
    log: Path | bool | None = None  # None: hidden, True: next to the output
    report: Path | bool = False  # True: next to the output; another is always hidden
    reference: Path | None = None  # true high resolution to measure against
    verify: bool = True  # check the finished file against the plan
    overwrite: bool = False
    square_pixels: bool = False  # resize an anamorphic clip to square pixels
    segment: Fraction | None = None  # seconds of source time in one segment of a long clip; 0: all; None chooses
    jobs: int = 1  # processes that make segments; 0 chooses
    ray: str | None = None  # address of a Ray cluster that makes segments, or auto
    cpus_per_worker: int = 8  # processors for each of its workers
    fresh: bool = False  # discard the segments of an earlier run

    def __post_init__(self) -> None:
        if self.slow_audio and self.slow_motion == 1:
            raise OptionError("--slow-audio has no effect without --slow-motion: give both, or neither")
        if self.interpolation != "auto" and not self.interpolates:
            raise OptionError(
                f"--interpolation {self.interpolation} has no effect, as no option asks for new frames: "
                "add --fps, --slow-motion or --repeats interpolate"
            )
        if (self.interpolation == "rife") != (self.interpolation_model is not None):
            raise OptionError(
                "--interpolation rife and --interpolation-model FILE belong together: give both, or neither"
            )
        if self.slow_motion < 1:
            raise OptionError(f"--slow-motion {decimal(self.slow_motion)}x is faster: give 1x or more, such as 8x")
        if self.square_pixels and isinstance(self.output_size, Size):
            raise OptionError("--square-pixels and --size both set the width: use --height or --scale")
        if self.reference is not None and isinstance(self.output_size, Size) and self.output_size.canvas:
            raise OptionError("--reference measures whole frames: leave out --fit")
        if self.reference is not None and self.log is False:
            raise OptionError("--reference needs the per-frame log for its measures: leave out --log none")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise OptionError(f"--end {float(self.end)} is not after --start {float(self.start)}: give a later end")

    @property
    def interpolates(self) -> bool:
        """Whether the run makes new frames between those of the source."""
        return self.clock is not None or self.slow_motion != 1 or self.repeats == "interpolate"


def parse_options(**given: Any) -> EnhanceOptions:
    """Return the options that the keywords ask for; their names, types and defaults are those of the option table.

    Where no option asks for work, the clip is upscaled by two, to at most 4K, and restored as far as it needs it.

    Raises:
        OptionError: a value is not accepted, or two options contradict each other.
        TypeError: there is no option of that name.
    """
    values = parse_values(expand(given))
    values.pop("preset")
    values["report"] = values["report"] or False
    is_bare = not _asks_for_work(values)
    if values["clean"] is None:
        values["clean"] = is_bare
    size = _fitted(only_size(**{name: values.pop(name) for name in ("scale", "height", "size")}), values)
    restorations = [_restoration(task, values) for task in TASKS]
    return EnhanceOptions(
        output_size=Automatic() if is_bare else size,
        clock=values.pop("fps"),
        slow_motion=values.pop("slow_motion") or Fraction(1),
        restorations=tuple(one for one in restorations if one is not None),
        encoding=Encoding.parse(
            values.pop("codec"),
            crf=values.pop("crf"),
            preset=values.pop("encoder_preset"),
            options=values.pop("encoder_options") or (),
        ),
        reading=_reading({one.name: values.pop(one.name) for one in READING}),
        **values,  # every other option is a field of the same name
    )


def parse_reading(**given: Any) -> Reading:
    """Return how to read a source from the keywords input_fps, raw, alpha, hwaccel, video_track and max_pixels.

    Raises:
        OptionError: a value is not accepted.
    """
    return _reading(parse_values(given, READING))


def parse_timing(reading: Reading, **given: Any) -> EnhanceOptions | None:
    """Return the options that decide the times of an output, from the keywords fps, slow_motion, start, end and frames.

    None if no option is given.

    Raises:
        OptionError: a value is not accepted.
    """
    values = parse_values(given, TIMING)
    if all(value is None for value in values.values()):
        return None
    clock, slow_motion = values.pop("fps"), values.pop("slow_motion") or Fraction(1)
    return EnhanceOptions(clock=clock, slow_motion=slow_motion, reading=reading, **values)


def _reading(values: Mapping[str, Any]) -> Reading:
    return Reading(
        values["input_fps"],
        values["raw"],
        values["alpha"],
        values["hwaccel"],
        values["video_track"],
        values["max_pixels"] or MAX_PIXELS,
    )


def _fitted(size: OutputSize, values: dict[str, Any]) -> OutputSize:
    """Return ``size`` with the way a clip of another aspect ratio fills it, which leaves ``values``."""
    fit = values.pop("fit")
    if isinstance(size, Size):
        return replace(size, fit=fit)
    if fit != "stretch":
        raise OptionError(f"--fit {fit} has no effect without --size: add --size 1920x1080")
    return size


def _asks_for_work(values: Mapping[str, Any]) -> bool:
    """Whether the parsed ``values`` ask for a size, a rate or a restoration."""
    if values["square_pixels"] or values["repeats"] != "keep":
        return True
    return any(values[name] is not None for name in REQUESTS)


def _restoration(task: Task, values: dict[str, Any]) -> Restoration | None:
    """Return the restoration of one task, whose options leave ``values``; `--clean` asks for those not given."""
    strength, model = values.pop(task), values.pop(f"{task}_model")
    return parse_restoration(task, "auto" if strength is None and values["clean"] else strength, model)
