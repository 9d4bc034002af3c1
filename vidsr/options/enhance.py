"""What the user asked for: text is parsed here, once, into values that cannot be wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from vidsr.errors import OptionError
from vidsr.options.choices import (
    CHROMAS,
    DEINTERLACE,
    DOMAINS,
    INTERPOLATIONS,
    PRECISIONS,
    REPEATS,
    STDOUT_FORMATS,
    Chroma,
    Deinterlace,
    Domain,
    Interpolation,
    Precision,
    Repeats,
    StdoutFormat,
)
from vidsr.options.codecs import Encoding
from vidsr.options.frame_rate import Clock, parse_fps
from vidsr.options.output_size import SAME_SIZE, OutputSize, Size, parse_output_size
from vidsr.options.parse import decimal, parse_bytes, parse_choice, parse_time, positive_fraction, positive_int
from vidsr.options.restoration import Restoration, parse_restoration
from vidsr.options.source import Reading, parse_reading

MIN_TILE = 32  # pixels; with smaller ones a network computes little but the overlap, for ever


@dataclass(frozen=True)
class EnhanceOptions:
    """Everything a run needs to know besides its files. Build one from text with `parse_options`."""

    output_size: OutputSize = SAME_SIZE
    clock: Clock | None = None  # None keeps every frame at its own time
    interpolation: Interpolation = "auto"
    repeats: Repeats = "keep"  # repeated frames: shown again, or replaced by interpolated ones
    slow_motion: Fraction = Fraction(1)  # times slower
    slow_audio: bool = False  # slow the sound down too, at its pitch; else it is left out
    restorations: tuple[Restoration, ...] = ()  # in the order they run
    temporal_denoise: bool = True  # average over time what was restored
    model: str = "auto"
    domain: Domain = "auto"  # which weights: trained on clean pictures, or on what encoders leave
    device: str = "auto"
    precision: Precision = "auto"
    batch: int | None = None  # frames per network call; None chooses by pixel budget
    tile: int | None = None  # side of a tile in input pixels; None is the whole picture
    compile: bool = False  # networks through PyTorch's compiler
    memory: int | None = None  # bytes that a run may take; None: what the machine has
    encoding: Encoding = field(default_factory=Encoding)
    reading: Reading = field(default_factory=Reading)
    stdout_format: StdoutFormat = "y4m"  # what is written to the standard output
    chroma: Chroma | None = None  # of the result; None is the source's, as far as the encoder takes it
    start: Fraction | None = None  # seconds of the source's own clock
    end: Fraction | None = None
    frames: int | None = None  # source frames at most
    deinterlace: Deinterlace = "auto"
    log: Path | bool = True  # True: <output>.frames.csv
    reference: Path | None = None  # true high resolution to measure against
    verify: bool = True  # check the finished file against the plan
    overwrite: bool = False
    square_pixels: bool = False  # an anamorphic picture is resized to be shown as it is stored

    def __post_init__(self) -> None:
        if self.slow_audio and self.slow_motion == 1:
            raise OptionError("--slow-audio goes with --slow-motion: give both, or neither")
        if self.interpolation != "auto" and not self.interpolates:
            raise OptionError(
                f"--interpolation {self.interpolation} makes frames in between, and none are asked for: "
                "add --fps, --slow-motion or --repeats interpolate"
            )
        if self.slow_motion < 1:
            raise OptionError(f"--slow-motion {decimal(self.slow_motion)}x is faster: give 1x or more, such as 8x")
        if self.square_pixels and isinstance(self.output_size, Size):
            raise OptionError("--square-pixels chooses the width, and so does --size: use --height or --scale")
        if self.reference is not None and self.log is False:
            raise OptionError("--reference is measured in the per-frame log: leave out --log none")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise OptionError(f"--end {float(self.end)} is not after --start {float(self.start)}: give a later end")

    @property
    def interpolates(self) -> bool:
        """Whether frames are wanted between those of the source."""
        return self.clock is not None or self.slow_motion != 1 or self.repeats == "interpolate"


def parse_options(
    *,
    scale: str | int | float | Fraction | None = None,
    height: int | None = None,
    size: str | None = None,
    fps: str | int | Fraction | None = None,
    interpolation: str = "auto",
    repeats: str = "keep",
    slow_motion: str | int | None = None,
    slow_audio: bool = False,
    deblur: str | float | bool | None = None,
    denoise: str | float | bool | None = None,
    restore: str | float | bool | None = None,
    deblur_model: str = "auto",
    denoise_model: str = "auto",
    restore_model: str = "auto",
    temporal_denoise: bool = True,
    model: str = "auto",
    domain: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
    tile: int | None = None,
    compile: bool = False,
    memory: str | int | None = None,
    codec: str = "libx264",
    crf: float | None = None,
    preset: str | None = None,
    encoder_options: Iterable[str] | None = None,
    start: str | None = None,
    end: str | None = None,
    frames: int | None = None,
    log: str | Path | bool | None = None,
    deinterlace: str = "auto",
    reference: str | Path | None = None,
    verify: bool = True,
    overwrite: bool = False,
    square_pixels: bool = False,
    input_fps: str | int | Fraction | None = None,
    raw: str | None = None,
    alpha: str = "refuse",
    hwaccel: str = "none",
    stdout_format: str = "y4m",
    chroma: str = "auto",
) -> EnhanceOptions:
    """Options from what a person writes on the command line or in a Python call.

    Raises:
        OptionError: a value is unknown, contradicts another, or nothing is asked for.
    """
    asked = (scale, height, size, fps, slow_motion, deblur, denoise, restore)
    if not square_pixels and repeats == "keep" and all(value is None for value in asked):
        raise OptionError(
            "nothing to do: ask for a size (--scale 4, --height 1080, --size 1920x1080), a rate (--fps 2x), "
            "--slow-motion 8x, --repeats interpolate, or --deblur, --denoise or --restore"
        )
    restorations = (
        parse_restoration("restore", restore, restore_model),
        parse_restoration("denoise", denoise, denoise_model),
        parse_restoration("deblur", deblur, deblur_model),
    )
    return EnhanceOptions(
        output_size=parse_output_size(None if scale is None else str(scale), height, size),
        clock=None if fps is None else parse_fps(str(fps)),
        interpolation=parse_choice(interpolation, INTERPOLATIONS, "--interpolation"),
        repeats=parse_choice(repeats, REPEATS, "--repeats"),
        slow_motion=Fraction(1) if slow_motion is None else parse_slow_motion(str(slow_motion)),
        slow_audio=slow_audio,
        restorations=tuple(wanted for wanted in restorations if wanted is not None),
        temporal_denoise=temporal_denoise,
        model=model,
        domain=parse_choice(domain, DOMAINS, "--domain"),
        device=device,
        precision=parse_choice(precision, PRECISIONS, "--precision"),
        batch=None if batch is None else positive_int(batch, "--batch"),
        tile=None if tile is None else positive_int(tile, "--tile", MIN_TILE),
        compile=compile,
        memory=None if memory is None else parse_bytes(str(memory), "--memory"),
        encoding=Encoding.parse(codec, crf=crf, preset=preset, options=encoder_options or ()),
        reading=parse_reading(input_fps, raw, alpha, hwaccel),
        stdout_format=parse_choice(stdout_format, STDOUT_FORMATS, "--stdout-format"),
        chroma=None if chroma == "auto" else parse_choice(chroma, CHROMAS, "--chroma"),
        start=parse_time(start, "--start"),
        end=parse_time(end, "--end"),
        frames=None if frames is None else positive_int(frames, "--frames"),
        log=_parse_log(log),
        deinterlace=parse_choice(deinterlace, DEINTERLACE, "--deinterlace"),
        reference=None if reference is None else Path(reference),
        verify=verify,
        overwrite=overwrite,
        square_pixels=square_pixels,
    )


def parse_slow_motion(text: str) -> Fraction:
    """How many times slower: 8x, 8 or 2.5x."""
    return positive_fraction(text.strip().rstrip("xX×"), "--slow-motion")


def _parse_log(log: str | Path | bool | None) -> Path | bool:
    if log is None or isinstance(log, bool):
        return log is not False
    return False if str(log) == "none" else Path(log)
