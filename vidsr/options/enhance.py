"""What the user asked for: text is parsed here, once, into values that cannot be wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from vidsr.errors import OptionError
from vidsr.options.codecs import Encoding
from vidsr.options.frame_rate import Clock, parse_fps
from vidsr.options.parse import decimal, parse_bytes, parse_choice, parse_time, positive_fraction, positive_int
from vidsr.options.restoration import Restoration, parse_restoration
from vidsr.options.source import ALPHAS, HWACCELS, RawFormat, Reading, parse_rate

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Interpolation = Literal["auto", "flow", "net", "superslomo", "blend", "none"]
Deinterlace = Literal["auto", "off", "force"]
Source = Literal["auto", "clean", "video"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Duplicates = Literal["keep", "smooth"]
DUPLICATES: tuple[Duplicates, ...] = get_args(Duplicates)
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
DEINTERLACE: tuple[Deinterlace, ...] = get_args(Deinterlace)
SOURCES: tuple[Source, ...] = get_args(Source)
Pipe = Literal["y4m", "raw"]
PIPES: tuple[Pipe, ...] = get_args(Pipe)
Chroma = Literal["420", "422", "444"]
CHROMAS: tuple[Chroma, ...] = get_args(Chroma)
LEAST_TILE = 32  # pixels; with smaller ones a network computes little but the overlap, for ever


@dataclass(frozen=True)
class Factor:
    """Both sides times ``value``."""

    value: Fraction

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Output width and height, at least one sample."""
        return max(1, round(width * self.value)), max(1, round(height * self.value))

    @property
    def tag(self) -> str:
        """What names it in a file name."""
        return "" if self.value == 1 else f"x{decimal(self.value)}"


@dataclass(frozen=True)
class Height:
    """A given height; the width follows, rounded to an even number."""

    value: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Output width and height."""
        return max(2, 2 * round(Fraction(width * self.value, 2 * height))), self.value

    @property
    def tag(self) -> str:
        """What names it in a file name."""
        return f"{self.value}p"


@dataclass(frozen=True)
class Size:
    """A given width and height."""

    width: int
    height: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Output width and height."""
        return self.width, self.height

    @property
    def tag(self) -> str:
        """What names it in a file name."""
        return f"{self.width}x{self.height}"


Target = Factor | Height | Size


@dataclass(frozen=True)
class EnhanceOptions:
    """Everything a run needs to know besides its files. Build one from text with `parse_options`."""

    target: Target = Factor(Fraction(1))
    clock: Clock | None = None  # None keeps every frame at its own time
    interpolation: Interpolation = "auto"
    duplicates: Duplicates = "keep"  # repeated frames: shown again, or motion smoothed over them
    slow: Fraction = Fraction(1)  # times slower
    slow_audio: bool = False  # slow the sound down too, at its pitch; else it is left out
    restorations: tuple[Restoration, ...] = ()  # in the order they run
    steady: bool = True  # average over time what was restored
    model: str = "auto"
    source: Source = "auto"  # which weights: trained on clean pictures, or on what encoders leave
    device: str = "auto"
    precision: Precision = "auto"
    batch: int | None = None  # frames per network call; None chooses by pixel budget
    tile: int | None = None  # side of a tile in input pixels; None is the whole picture
    compile: bool = False  # networks through PyTorch's compiler
    memory: int | None = None  # bytes that a run may take; None: what the machine has
    encoding: Encoding = field(default_factory=Encoding)
    reading: Reading = field(default_factory=Reading)
    pipe: Pipe = "y4m"  # what is written to the standard output
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
        if self.slow_audio and self.slow == 1:
            raise OptionError("--slow-audio goes with --slow-motion: give both, or neither")
        if self.interpolation != "auto" and not self.makes_frames:
            raise OptionError(
                f"--interpolation {self.interpolation} makes frames in between, and none are asked for: "
                "add --fps, --slow-motion or --duplicates smooth"
            )
        if self.slow < 1:
            raise OptionError(f"--slow-motion {decimal(self.slow)}x is faster: give 1x or more, such as 8x")
        if self.square_pixels and isinstance(self.target, Size):
            raise OptionError("--square-pixels chooses the width, and so does --size: use --height or --scale")
        if self.reference is not None and self.log is False:
            raise OptionError("--reference is measured in the per-frame log: leave out --log none")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise OptionError(f"--end {float(self.end)} is not after --start {float(self.start)}: give a later end")

    @property
    def makes_frames(self) -> bool:
        """Whether frames are wanted between those of the source."""
        return self.clock is not None or self.slow != 1 or self.duplicates == "smooth"


def parse_target(scale: str | None, height: int | None, size: str | None) -> Target:
    """The size asked for; at most one of the three may be given.

    Raises:
        OptionError: two are given, or one is not a positive number.
    """
    given = [name for name, value in (("--scale", scale), ("--height", height), ("--size", size)) if value is not None]
    if len(given) > 1:
        raise OptionError(f"{' and '.join(given)} both set the output size: give one of them")
    if height is not None:
        return Height(positive_int(height, "--height"))
    if size is not None:
        match = re.fullmatch(r"(\d+)[xX×](\d+)", size.strip())
        if match is None:
            raise OptionError(f"--size {size!r} is not a size: write it as 1920x1080")
        return Size(positive_int(match[1], "--size"), positive_int(match[2], "--size"))
    return Factor(positive_fraction(scale if scale is not None else "1", "--scale"))


def parse_options(
    *,
    scale: str | int | float | Fraction | None = None,
    height: int | None = None,
    size: str | None = None,
    fps: str | int | Fraction | None = None,
    interpolation: str = "auto",
    duplicates: str = "keep",
    slow_motion: str | int | None = None,
    slow_audio: bool = False,
    deblur: str | float | bool | None = None,
    denoise: str | float | bool | None = None,
    restore: str | float | bool | None = None,
    deblur_model: str = "auto",
    denoise_model: str = "auto",
    restore_model: str = "auto",
    steady: bool = True,
    model: str = "auto",
    source: str = "auto",
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
    fps_in: str | int | Fraction | None = None,
    raw: str | None = None,
    alpha: str = "refuse",
    hwaccel: str = "none",
    pipe: str = "y4m",
    chroma: str = "auto",
) -> EnhanceOptions:
    """Options from what a person writes on the command line or in a Python call.

    Raises:
        OptionError: a value is unknown, contradicts another, or nothing is asked for.
    """
    asked = (scale, height, size, fps, slow_motion, deblur, denoise, restore)
    if not square_pixels and duplicates == "keep" and all(value is None for value in asked):
        raise OptionError(
            "nothing to do: ask for a size (--scale 4, --height 1080, --size 1920x1080), a rate (--fps 2x), "
            "--slow-motion 8x, --duplicates smooth, or --deblur, --denoise or --restore"
        )
    restorations = (
        parse_restoration("restore", restore, restore_model),
        parse_restoration("denoise", denoise, denoise_model),
        parse_restoration("deblur", deblur, deblur_model),
    )
    return EnhanceOptions(
        target=parse_target(None if scale is None else str(scale), height, size),
        clock=None if fps is None else parse_fps(str(fps)),
        interpolation=parse_choice(interpolation, INTERPOLATIONS, "--interpolation"),
        duplicates=parse_choice(duplicates, DUPLICATES, "--duplicates"),
        slow=Fraction(1) if slow_motion is None else parse_slow_motion(str(slow_motion)),
        slow_audio=slow_audio,
        restorations=tuple(wanted for wanted in restorations if wanted is not None),
        steady=steady,
        model=model,
        source=parse_choice(source, SOURCES, "--source"),
        device=device,
        precision=parse_choice(precision, PRECISIONS, "--precision"),
        batch=None if batch is None else positive_int(batch, "--batch"),
        tile=None if tile is None else positive_int(tile, "--tile", LEAST_TILE),
        compile=compile,
        memory=None if memory is None else parse_bytes(str(memory), "--memory"),
        encoding=Encoding.parse(codec, crf=crf, preset=preset, options=encoder_options or ()),
        reading=parse_reading(fps_in, raw, alpha, hwaccel),
        pipe=parse_choice(pipe, PIPES, "--pipe"),
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


def parse_reading(
    fps_in: str | int | Fraction | None = None, raw: str | None = None, alpha: str = "refuse", hwaccel: str = "none"
) -> Reading:
    """How to read a source, from what a person writes.

    Raises:
        OptionError: a value is none of those that are known.
    """
    return Reading(
        rate=None if fps_in is None else parse_rate(str(fps_in), "--fps-in"),
        raw=None if raw is None else RawFormat.parse(raw),
        alpha=parse_choice(alpha, ALPHAS, "--alpha"),
        hwaccel=parse_choice(hwaccel, HWACCELS, "--hwaccel"),
    )


def parse_slow_motion(text: str) -> Fraction:
    """How many times slower: 8x, 8 or 2.5x."""
    return positive_fraction(text.strip().rstrip("xX×"), "--slow-motion")


def _parse_log(log: str | Path | bool | None) -> Path | bool:
    if log is None or isinstance(log, bool):
        return log is not False
    return False if str(log) == "none" else Path(log)
