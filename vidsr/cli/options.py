"""What `enhance` and `plan` are asked on the command line, declared once, and the words that other commands share."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from vidsr.options.enhance import EnhanceOptions, parse_options

SIZE, RATE, REPAIR, ENGINE = "Size", "Frame rate", "Restoration", "Model and device"
ENCODING, RANGE, OUTPUT = "Encoding", "Source", "Output"

EXAMPLES = """Examples:

    vidsr enhance clip.mp4 --scale 4 --fps 2x

    vidsr enhance holiday/ --height 1080 --codec libx265 -o enhanced/

    vidsr enhance clip.mp4 --deblur auto --restore 0.7 --height 1080

    vidsr enhance clip.mkv --size 1920x1080 --model bicubic --start 1:02.5 --frames 100

    vidsr enhance frames/%05d.png --input-fps 24 --scale 2 -o larger/%05d.png

    ffmpeg -i clip.mp4 -f yuv4mpegpipe - | vidsr enhance - --scale 2 -o - | ffmpeg -i - larger.mkv
"""

DIALS = ("--deblur", "--denoise", "--restore")  # full strength where no number follows

Inputs = Annotated[
    list[Path],
    typer.Argument(
        metavar="INPUT...", help="Clips, images, folders, frames/%05d.png, or - for a pipe.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Device = Annotated[
    str,
    typer.Option(metavar="auto|cpu|cuda[:N,...]", help="Where networks run; cuda: all GPUs.", rich_help_panel=ENGINE),
]


class Request(NamedTuple):
    """Files, and what to do with them."""

    inputs: list[Path]
    output: Path | None
    options: EnhanceOptions


def asks(request: Callable[..., Request]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command that begins with the options of ``request``, declared there once, and takes what becomes of them."""

    def joined(command: Callable[..., None]) -> Callable[..., None]:
        asked = signature(request, eval_str=True).parameters
        _, *own = signature(command, eval_str=True).parameters.values()

        def called(**given: Any) -> None:
            command(request(**{name: given.pop(name) for name in asked}), **given)

        called.__name__, called.__doc__ = command.__name__, command.__doc__
        called.__signature__ = Signature([*asked.values(), *own])  # type: ignore[attr-defined]  # what Typer reads
        return called

    return joined


def request(
    inputs: Inputs,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File, %05d.png, - for a pipe, or folder for several. Default: beside the input.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(metavar="1|2|3|4|N", help="Times the input's size; any positive number.", rich_help_panel=SIZE),
    ] = None,
    height: Annotated[int | None, typer.Option(help="Output height; the width follows.", rich_help_panel=SIZE)] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="Output size, e.g. 1920x1080.", rich_help_panel=SIZE)
    ] = None,
    square_pixels: Annotated[
        bool,
        typer.Option("--square-pixels", help="Resize an anamorphic picture to square pixels.", rich_help_panel=SIZE),
    ] = False,
    fps: Annotated[
        str | None,
        typer.Option(metavar="2x|60|60000/1001", help="Output frame rate, interpolated.", rich_help_panel=RATE),
    ] = None,
    interpolation: Annotated[
        str,
        typer.Option(
            metavar="auto|flow|net|superslomo|blend|none", help="How frames in between are made.", rich_help_panel=RATE
        ),
    ] = "auto",
    repeats: Annotated[
        str,
        typer.Option(metavar="keep|interpolate", help="Repeated frames: as they are, or moving.", rich_help_panel=RATE),
    ] = "keep",
    slow_motion: Annotated[
        str | None, typer.Option(metavar="8x", help="Times slower; sound is left out.", rich_help_panel=RATE)
    ] = None,
    slow_audio: Annotated[
        bool, typer.Option("--slow-audio", help="Keep the sound, slowed at its pitch.", rich_help_panel=RATE)
    ] = False,
    deblur: Annotated[
        str | None,
        typer.Option(metavar="[0..1|auto]", help="Sharpen what is blurred; auto: if it is.", rich_help_panel=REPAIR),
    ] = None,
    denoise: Annotated[
        str | None,
        typer.Option(metavar="[0..1|auto]", help="Take out noise; auto: if there is.", rich_help_panel=REPAIR),
    ] = None,
    restore: Annotated[
        str | None,
        typer.Option(
            metavar="[0..1|auto]", help="Take out what compression left; auto: if it shows.", rich_help_panel=REPAIR
        ),
    ] = None,
    deblur_model: Annotated[
        str, typer.Option(help="A network, unsharp, wiener[:SIGMA], richardson-lucy.", rich_help_panel=REPAIR)
    ] = "auto",
    denoise_model: Annotated[
        str, typer.Option(help="A network, bilateral[:SIGMA], nlm.", rich_help_panel=REPAIR)
    ] = "auto",
    restore_model: Annotated[str, typer.Option(help="A network.", rich_help_panel=REPAIR)] = "auto",
    temporal_denoise: Annotated[
        bool,
        typer.Option(
            "--temporal-denoise/--no-temporal-denoise",
            help="Average the restored along the motion.",
            rich_help_panel=REPAIR,
        ),
    ] = True,
    model: Annotated[
        str,
        typer.Option(
            help="A network or a classical kernel; see `vidsr models`. NAME+: eight poses averaged.",
            rich_help_panel=ENGINE,
        ),
    ] = "auto",
    domain: Annotated[
        str,
        typer.Option(
            metavar="auto|clean|compressed", help="Weights for clean or compressed clips.", rich_help_panel=ENGINE
        ),
    ] = "auto",
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option(metavar="auto|fp32|bf16|fp16", help="Number format of the network.", rich_help_panel=ENGINE)
    ] = "auto",
    batch: Annotated[int | None, typer.Option(help="Frames per network call.", rich_help_panel=ENGINE)] = None,
    tile: Annotated[
        int | None,
        typer.Option(help="Side of a tile in input pixels, 32 or more, where memory is short.", rich_help_panel=ENGINE),
    ] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Compile the network first: for long runs.", rich_help_panel=ENGINE)
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(metavar="4G|800M", help="What the run may take of memory at most.", rich_help_panel=ENGINE),
    ] = None,
    codec: Annotated[str, typer.Option(help="FFmpeg video encoder.", rich_help_panel=ENCODING)] = "libx264",
    crf: Annotated[
        float | None, typer.Option(help="Quality; lower is better.  [default: 18]", rich_help_panel=ENCODING)
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Encoder speed.  [default: medium]", rich_help_panel=ENCODING)
    ] = None,
    encoder_options: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder-option", metavar="KEY=VALUE", help="Passed to the encoder; repeatable.", rich_help_panel=ENCODING
        ),
    ] = None,
    chroma: Annotated[
        str,
        typer.Option(
            metavar="auto|420|422|444",
            help="Colour samples of the result; auto: as they are.",
            rich_help_panel=ENCODING,
        ),
    ] = "auto",
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Seconds, or 1:02.5.", rich_help_panel=RANGE)
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Seconds, or 1:02.5.", rich_help_panel=RANGE)] = None,
    frames: Annotated[int | None, typer.Option(help="Input frames at most.", rich_help_panel=RANGE)] = None,
    log: Annotated[
        str | None,
        typer.Option(metavar="PATH|none", help="Per-frame CSV.  [default: OUTPUT.frames.csv]", rich_help_panel=OUTPUT),
    ] = None,
    input_fps: Annotated[
        str | None,
        typer.Option(metavar="25|24000/1001", help="Rate of numbered pictures.  [default: 25]", rich_help_panel=RANGE),
    ] = None,
    raw: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE:FORMAT:RATE", help="Raw video, e.g. 480x270:yuv420p:24000/1001.", rich_help_panel=RANGE
        ),
    ] = None,
    alpha: Annotated[
        str, typer.Option(metavar="refuse|drop", help="What becomes of transparency.", rich_help_panel=RANGE)
    ] = "refuse",
    hwaccel: Annotated[
        str, typer.Option(metavar="none|cuda", help="What decodes: cuda is NVIDIA's NVDEC.", rich_help_panel=RANGE)
    ] = "none",
    stdout_format: Annotated[
        str, typer.Option(metavar="y4m|raw", help="What -o - writes to the standard output.", rich_help_panel=OUTPUT)
    ] = "y4m",
    deinterlace: Annotated[
        str, typer.Option(metavar="auto|off|force", help="Make interlaced clips progressive.", rich_help_panel=RANGE)
    ] = "auto",
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Check the finished file.", rich_help_panel=OUTPUT)
    ] = True,
    reference: Annotated[
        Path | None, typer.Option(help="True high resolution to measure against.", rich_help_panel=OUTPUT)
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing output.", rich_help_panel=OUTPUT)
    ] = False,
) -> Request:
    """What `enhance` and `plan` are asked: files, and what to do with them."""
    given: dict[str, Any] = dict(locals())  # every option goes by the name that `parse_options` knows it by
    return Request(given.pop("inputs"), given.pop("output"), parse_options(**given))


def with_strengths(words: list[str]) -> list[str]:
    """``words`` of a command line with full strength said where it is left out: Typer knows no optional values."""
    result = []
    for word, following in zip(words, [*words[1:], ""], strict=True):
        bare = word in DIALS and following != "auto" and not following.replace(".", "", 1).isdigit()
        result += [word, "1"] if bare else [word]
    return result
