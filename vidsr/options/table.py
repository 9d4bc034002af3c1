"""The table of options: each option of `vidsr enhance` once, with its parser, default, help and group.

It determines the command line (`vidsr.cli.signatures`), `parse_options`, the signatures in `vidsr.api` and
docs/options.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from vidsr.errors import OptionError
from vidsr.options.choices import (
    Alpha,
    ChromaFrom,
    Deinterlace,
    Domain,
    Fit,
    Hwaccel,
    Interpolation,
    OutputChroma,
    Precision,
    Repeats,
    StdoutFormat,
)
from vidsr.options.frame_rate import parse_fps, parse_rate, parse_slow_motion
from vidsr.options.output_size import parse_factor, parse_height, parse_size
from vidsr.options.parse import (
    parse_bytes,
    parse_choice,
    parse_int,
    parse_jobs,
    parse_pixels,
    parse_segment,
    parse_share,
    parse_time,
    shortened,
)
from vidsr.options.source import MAX_PIXELS, RawFormat

REQUIRED = ...  # the default of an option without one

SIZE, RATE, RESTORATION, ENGINE = "Size", "Frame rate", "Restoration", "Model and device"
ENCODING, SOURCE, OUTPUT, GENERAL = "Encoding", "Source", "Output", "Options"

MIN_TILE = 32  # pixels; in smaller tiles a network computes little but the halo

Parser = Callable[[Any, str], Any]  # (value as given, flag for the error message) -> parsed value


@dataclass(frozen=True)
class Option:
    """One option: what the command line, the Python functions and the documentation need to know about it."""

    name: str  # keyword in Python; on the command line --name, with dashes
    group: str
    help: str
    kind: Any = str  # what the command line reads: str, int, float, bool, Path, or a Literal of the accepted words
    default: Any = None
    metavar: str = ""
    python: Any = None  # type in a Python call where that accepts more than the command line; None is ``kind``
    parse: Parser | None = None  # None: check the words of a Literal, and leave other values as they are
    default_text: str = ""  # shown as the default where ``default`` is None and the value is known
    flags: tuple[str, ...] = ()  # spellings on the command line that do not follow from the name
    many: bool = False  # may be given several times
    positional: bool = False  # an argument without a flag
    negative: bool = False  # a flag without a default, which may be switched on or off
    minimum: int | None = None
    maximum: int | None = None
    bare: str = ""  # value of the flag alone, without a value behind it
    own: bool = False  # of one command only, and unknown to `parse_options`
    old_name: str = ""  # name before version 0.2, accepted with a note
    old_words: Mapping[str, str] = field(default_factory=dict)  # values before version 0.2, and their successors

    @property
    def flag(self) -> str:
        """The spelling that messages and documents use."""
        return self.flags[-1] if self.flags else f"--{self.name.replace('_', '-')}"

    @property
    def choices(self) -> tuple[str, ...]:
        """The accepted words; none where any value may be given."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def values(self) -> str:
        """The metavar: the accepted words, or what stands for the value."""
        return self.metavar or "|".join(self.choices)

    @property
    def hint(self) -> Any:
        """The type of the keyword in a Python call."""
        hint = self.python or self.kind
        return hint | None if self.default is None and type(None) not in get_args(hint) else hint

    def parsed(self, value: Any) -> Any:
        """Return the parsed ``value``; None stays None.

        Raises:
            OptionError: the value is not accepted.
        """
        value = self.old_words.get(value, value) if isinstance(value, str) else value
        if value is None:
            return None
        try:
            if self.parse is not None:
                return self.parse(value, self.flag)
            if self.choices:
                return parse_choice(value, self.choices, self.flag)
            return self._of_kind(value)
        except (TypeError, ValueError, AttributeError, OverflowError):  # in a Python call: of a type not in the hints
            text = shortened(repr(value))
            raise OptionError(f"{self.flag} {text} cannot be used: give {self.values or 'text'}") from None

    def _of_kind(self, value: Any) -> Any:
        """Return a value that has no parser, as the type that the command line would give."""
        if self.many:
            return [value] if isinstance(value, str) else list(value)
        if self.kind is float:
            return float(value)
        if self.kind is str and self.python is None and not isinstance(value, str):
            raise TypeError
        return value


def _text(parse: Parser) -> Parser:
    """Return ``parse`` for values that are given as text or as numbers."""
    return lambda value, flag: parse(str(value), flag)


def _parse_chroma(value: str, flag: str) -> OutputChroma | None:
    return None if value == "auto" else parse_choice(value, get_args(OutputChroma), flag)


def _parse_side_file(value: str | Path | bool, flag: str) -> Path | bool:
    if isinstance(value, bool):
        return value
    return False if str(value) == "none" else Path(value)


def _parse_tile(value: int | str, flag: str) -> int:
    return parse_int(value, flag, MIN_TILE)


NUMBER = str | int | float | Fraction
STRENGTH = str | float | bool

# fmt: off
OPTIONS: tuple[Option, ...] = (
    Option("scale", SIZE, "Factor for width and height, any positive number.",
           metavar="2|2x|1.5|N", python=NUMBER, parse=_text(parse_factor)),
    Option("height", SIZE, "Output height; the width keeps the aspect ratio.",
           metavar="1080|1080p|4k", python=str | int, parse=parse_height),
    Option("size", SIZE, "Output width and height, for example 1920x1080.", metavar="WIDTHxHEIGHT",
           python=str | tuple[int, int], parse=parse_size),
    Option("fit", SIZE, "A clip of another aspect ratio than --size: stretch it, pad it with black, or crop it.",
           kind=Fit, default="stretch"),
    Option("square_pixels", SIZE, "Resize an anamorphic clip to square pixels.", kind=bool, default=False),
    Option("fps", RATE, "Output frame rate: a factor or frames per second; new frames are interpolated.",
           metavar="2x|60|60000/1001", python=NUMBER, parse=_text(parse_fps)),
    Option("interpolation", RATE, "Method that makes interpolated frames.", kind=Interpolation, default="auto"),
    Option("interpolation_model", RATE, "RIFE network 4.0 to 4.6: flownet.pkl, or ncnn's .bin.", metavar="FILE"),
    Option("repeats", RATE, "Repeated frames: keep them, or interpolate over them.",
           kind=Repeats, default="keep", old_name="duplicates", old_words={"smooth": "interpolate"}),
    Option("slow_motion", RATE, "Slow down by this factor; leaves out the audio.",
           metavar="8x", python=NUMBER, parse=_text(parse_slow_motion)),
    Option("slow_audio", RATE, "Keep the audio in slow motion, at its pitch.", kind=bool, default=False),
    Option("clean", RESTORATION, "Restore, denoise and deblur as far as the clip needs it.", kind=bool,
           python=bool, default_text="on if no size, rate or restoration is given", negative=True),
    Option("deblur", RESTORATION, "Deblurring strength, 0 to 1; auto: only if the clip is blurred.",
           metavar="N|auto", python=STRENGTH, bare="1"),
    Option("denoise", RESTORATION, "Denoising strength, 0 to 1; auto: only if the clip is noisy.",
           metavar="N|auto", python=STRENGTH, bare="1"),
    Option("restore", RESTORATION, "Strength of artefact removal, 0 to 1; auto: only if compression is visible.",
           metavar="N|auto", python=STRENGTH, bare="1"),
    Option("deblur_model", RESTORATION, "A network, or unsharp, wiener or richardson-lucy; wiener:1.6 sets the sigma.",
           default="auto", metavar="NAME"),
    Option("denoise_model", RESTORATION, "A network, or bilateral or nlm; nlm:8 sets the sigma.",
           default="auto", metavar="NAME"),
    Option("restore_model", RESTORATION, "A network.", default="auto", metavar="NAME"),
    Option("temporal_denoise", RESTORATION, "Average restored frames along the motion (default).",
           kind=bool, default=True, old_name="steady"),
    Option("model", ENGINE, "A network, a model file or a kernel (see vidsr models); NAME+ is a self-ensemble.",
           default="auto", metavar="NAME"),
    Option("temporal", ENGINE, "With --model auto, take a network that uses earlier frames too, where there is one.",
           kind=bool, python=bool, default_text="on if the machine has time for it", negative=True),
    Option("domain", ENGINE, "Weights for clean or for compressed clips.",
           kind=Domain, default="auto", old_name="source", old_words={"video": "compressed"}),
    Option("chroma_from", ENGINE, "Chroma: guided by the network's luma, by the bicubic kernel, or by a model on RGB.",
           kind=ChromaFrom, default="guided"),
    Option("strength", ENGINE, "Share of what the network changes against the bicubic kernel, 0 to 1.",
           metavar="N", default=1.0, python=str | float, parse=_text(parse_share)),
    Option("device", ENGINE, "Device for the networks; cuda: all NVIDIA or AMD GPUs, xpu: Intel, mps: Apple.",
           default="auto", metavar="auto|cpu|cuda[:N,...]|xpu|mps"),
    Option("precision", ENGINE, "Number format of the networks.", kind=Precision, default="auto"),
    Option("batch", ENGINE, "Frames per network call.", kind=int, metavar="FRAMES", parse=parse_int),
    Option("tile", ENGINE, f"Side of a tile in source pixels, {MIN_TILE} or more, to save memory.",
           kind=int, metavar="PIXELS", parse=_parse_tile),
    Option("compile", ENGINE, "Compile the network first; pays off in long runs.", kind=bool, default=False),
    Option("memory", ENGINE, "Memory limit for the run.",
           metavar="4G|800M", python=str | int, parse=_text(parse_bytes), default_text="80 % of the free memory"),
    Option("codec", ENCODING, "Format, or FFmpeg encoder; auto: one that plays everywhere; null: none.", default="auto",
           metavar="auto|h264|h265|hevc|av1|vp9|prores|NAME"),
    Option("crf", ENCODING, "Quality; lower is better and larger.", kind=float, metavar="N", default_text="18"),
    Option("encoder_preset", ENCODING, "Encoder speed.", metavar="NAME", default_text="medium"),
    Option("preset", OUTPUT, "Options for tape, dvd, phone, web-video, anime, screen or old-film, or your own.",
           metavar="NAME|FILE.toml"),
    Option("encoder_options", ENCODING, "Option for the encoder; repeatable.",
           metavar="KEY=VALUE", flags=("--encoder-option",), many=True, python=Iterable[str]),
    Option("chroma", ENCODING, "Chroma format of the output; auto: the source's.",
           kind=Literal["auto", "420", "422", "444"], default="auto", parse=_parse_chroma),
    Option("start", SOURCE, "Start time: seconds, or 1:02.5.",
           metavar="TIME", python=str | int | float, parse=_text(parse_time)),
    Option("end", SOURCE, "End time: seconds, or 1:02.5.",
           metavar="TIME", python=str | int | float, parse=_text(parse_time)),
    Option("frames", SOURCE, "Maximum number of source frames.", kind=int, metavar="N", parse=parse_int),
    Option("input_fps", SOURCE, "Frame rate of an image sequence.", metavar="25|24000/1001", python=NUMBER,
           parse=_text(parse_rate), default_text="25", old_name="fps_in"),
    Option("raw", SOURCE, "Format of raw video, for example 480x270:yuv420p:24000/1001.",
           metavar="SIZE:FORMAT:RATE", parse=RawFormat.parse),
    Option("video_track", SOURCE, "Number of the video track to enhance, from 1; the others are copied.",
           kind=int, metavar="N", parse=parse_int, default_text="the players' choice"),
    Option("alpha", SOURCE, "Transparency: keep it in .webm, .png and .webp (auto), leave it out, or refuse it.",
           kind=Alpha, default="auto"),
    Option("max_pixels", SOURCE, "Refuse a source of more pixels; its header is read first.", metavar="500M",
           python=str | int, parse=_text(parse_pixels), default_text=f"{MAX_PIXELS // 10**6}M"),
    Option("hwaccel", SOURCE, "Hardware decoder; cuda is NVIDIA's NVDEC.", kind=Hwaccel, default="none"),
    Option("deinterlace", SOURCE, "Interlaced clips: a frame for each field (auto), or for both; force: all clips.",
           kind=Deinterlace, default="auto"),
    Option("log", OUTPUT, "Per-frame CSV file, or a folder for OUTPUT.frames.csv, or none.", metavar="PATH|none",
           python=str | Path | bool, parse=_parse_side_file, default_text=".vidsr/OUTPUT.frames.csv"),
    Option("report", OUTPUT, "Copy of the report, or a folder for OUTPUT.report.json.",
           metavar="PATH|none", python=str | Path | bool, parse=_parse_side_file),
    Option("stdout_format", OUTPUT, "Format on the standard output (-o -).",
           kind=StdoutFormat, default="y4m", old_name="pipe"),
    Option("verify", OUTPUT, "Verify the finished file against the plan (default).", kind=bool, default=True),
    Option("reference", OUTPUT, "True high-resolution clip to measure the output against.",
           kind=Path, metavar="PATH", python=str | Path, parse=lambda value, flag: Path(value)),
    Option("overwrite", OUTPUT, "Replace an existing output.", kind=bool, default=False, flags=("-y", "--overwrite")),
    Option("segment", OUTPUT, "Length of segments that an interrupted run keeps; auto: 10 s or more; 0: whole clip.",
           metavar="auto|10s|0", python=NUMBER, default="auto", parse=_text(parse_segment)),
    Option("jobs", ENGINE, "Processes that work on clips and their segments; auto: one per GPU, or per 8 processors.",
           metavar="N|auto", python=int | str, default="1", parse=_text(parse_jobs)),
    Option("ray", ENGINE, "Ray cluster that works on clips and their segments; auto: this machine.",
           metavar="auto|ADDRESS"),
    Option("cpus_per_worker", ENGINE, "Processors for each worker of the Ray cluster.", kind=int, metavar="N",
           parse=parse_int, default=8),
    Option("fresh", OUTPUT, "Discard the segments of an interrupted run.", kind=bool, default=False),
)
# fmt: on

OLD_ARGUMENTS = {"target": "output"}  # of the functions in vidsr.api, apart from options

BY_NAME = {option.name: option for option in OPTIONS}


def option(name: str, **changes: Any) -> Option:
    """Return the option ``name`` of the table, with ``changes`` for a command that differs."""
    return replace(BY_NAME[name], **changes)


def parse_values(given: Mapping[str, Any], options: Iterable[Option] = OPTIONS) -> dict[str, Any]:
    """Return the parsed value of every option by name; an option that is not ``given``, or None, has its default.

    Raises:
        OptionError: a value is not accepted.
        TypeError: there is no option of that name.
    """
    given = current_names(given, options)
    values = {one.name: one.parsed(one.default if given.get(one.name) is None else given[one.name]) for one in options}
    if unknown := ", ".join(given.keys() - values.keys()):
        raise TypeError(f"unknown option {unknown}: see docs/options.md")
    return values


def current_names(given: Mapping[str, Any], options: Iterable[Option] = OPTIONS, level: int = 4) -> dict[str, Any]:
    """Return ``given`` with old names of options replaced, each with a DeprecationWarning ``level`` calls up."""
    renamed = OLD_ARGUMENTS | {one.old_name: one.name for one in options if one.old_name}
    for old in renamed.keys() & given.keys():
        warnings.warn(f"{old}= is now called {renamed[old]}=", DeprecationWarning, stacklevel=level)
    return {renamed.get(name, name): value for name, value in given.items()}
