"""The commands of `vidsr`: their help texts and options, from the option table and of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vidsr.options.parse import parse_int
from vidsr.options.table import ENGINE, GENERAL, OPTIONS, OUTPUT, REQUIRED, RESTORATION, Option, option


@dataclass(frozen=True)
class Command:
    """One command: its name, help text, options in the order of ``--help``, and examples."""

    name: str
    help: str
    options: tuple[Option, ...]
    examples: tuple[str, ...] = ()

    def option(self, name: str) -> Option:
        """Return the option ``name`` of this command."""
        return next(one for one in self.options if one.name == name)


EXIT_CODES = (
    "0: done; 1: a bug; 2: wrong request; 3: some files failed; "
    "4: source truncated or damaged, everything readable was processed; 5: verification failed; 130: interrupted; "
    "141: output pipe closed"
)


MOST_CROPS = 64  # of one frame on a contact sheet
MOST_REDUCTION = 64  # of the size of training images


def own(name: str, help: str, kind: Any = str, default: Any = None, group: str = GENERAL, **more: Any) -> Option:
    """Return an option that only one command has."""
    return Option(name, group, help, kind, default, own=True, **more)


def shared(name: str, **changes: Any) -> Option:
    """Return an option of the table for a command with few options, which shows them in one group."""
    return option(name, group=GENERAL, **changes)


def argument(name: str, metavar: str, help: str, many: bool = False) -> Option:
    """Return a required positional argument: a path."""
    return Option(name, GENERAL, help, Path, REQUIRED, metavar, positional=True, many=many, own=True)


def output(help: str, default: Any = REQUIRED, group: str = GENERAL, default_text: str = "") -> Option:
    """Return the option ``-o``: a path."""
    flags = ("-o", "--output")
    return Option("output", group, help, Path, default, "PATH", default_text=default_text, flags=flags, own=True)


JSON = own("json", "Print JSON.", bool, False)
INPUTS = argument("inputs", "INPUT", "Clips, images, folders, frames/%05d.png, or - for standard input.", many=True)
INPUTS_OR_LIST = replace(INPUTS, default=())
ENHANCE_OUTPUT = output(
    "File, %05d.png, - for standard output, or a folder for several inputs.", None, OUTPUT, "next to the input"
)

# fmt: off
QUIET = Option("quiet", OUTPUT, "Print errors and warnings only.", bool, False, flags=("-q", "--quiet"), own=True)
SKIP = Option("skip_existing", OUTPUT, "Skip inputs whose output exists.", bool, False,
              flags=("-n", "--skip-existing"), own=True)
SAVE_PRESET = own("save_preset", "Save the options under this name, for --preset.", metavar="NAME", group=OUTPUT)
JSON_LINES = own("json", "Print a JSON object for each file, one a line.", bool, False, OUTPUT)
FROM_FILE = own("from_file", "Text file with the path of one input a line; - for standard input.", Path, None, OUTPUT,
                metavar="PATH")
FAIL_FAST = own("fail_fast", "Stop at the first file that fails.", bool, False, OUTPUT)
DRY_RUN = own("dry_run", "Print what would be done, as vidsr plan does; write nothing.", bool, False, OUTPUT)
WATCH = own("watch", "Go on: enhance files as they arrive in the folders, once they are complete.", bool, False, OUTPUT)
VERBOSE = Option("verbose", OUTPUT, "Print all notes, a table for each file, and tracebacks.", bool, False,
                 flags=("-v", "--verbose"), own=True)
LOG_FILE = Option("log_file", OUTPUT, "File for all notes and errors, with tracebacks.", Path, None, "PATH", own=True)

COMMANDS: tuple[Command, ...] = (
    Command(
        "enhance",
        "Upscale, restore and interpolate clips, images or folders.",
        (
            INPUTS_OR_LIST, ENHANCE_OUTPUT, *OPTIONS, SAVE_PRESET, FROM_FILE, FAIL_FAST, DRY_RUN, WATCH, SKIP,
            QUIET, VERBOSE, JSON_LINES, LOG_FILE,
        ),
        (
            "vidsr enhance clip.mp4 --scale 4 --fps 2x",
            "vidsr enhance holiday/ --height 1080 --codec libx265 -o enhanced/",
            "vidsr enhance clip.mp4 --deblur auto --restore 0.7 --height 1080",
            "vidsr enhance clip.mkv --size 1920x1080 --model bicubic --start 1:02.5 --frames 100",
            "vidsr enhance frames/%05d.png --input-fps 24 --scale 2 -o larger/%05d.png",
            "ffmpeg -i clip.mp4 -f yuv4mpegpipe - | vidsr enhance - --scale 2 -o - | ffmpeg -i - larger.mkv",
        ),
    ),
    Command(
        "plan",
        "Print what enhance would do with the same options, with an estimate of time and size; write nothing.",
        (INPUTS, ENHANCE_OUTPUT, *OPTIONS, JSON),
        ("vidsr plan clip.mp4 --scale 4 --fps 2x",),
    ),
    Command(
        "compare",
        "Compare methods on your own clips and images: downscale and upscale them, or drop frames and interpolate "
        "them (--fps), or degrade and restore them (--deblur, --denoise, --restore).",
        (
            INPUTS,
            option("scale", help="Factor to downscale and upscale by.", kind=int, default=4, metavar="N", python=int,
                   parse=parse_int),
            option("fps", help="Compare interpolation: drop frames, then interpolate at this rate.", metavar="2x"),
            option("deblur", help="Compare deblurring at this strength, 0 to 1.", metavar="N"),
            option("denoise", help="Compare denoising at this strength, 0 to 1.", metavar="N"),
            option("restore", help="Compare artefact removal at this strength, 0 to 1.", metavar="N"),
            own("blur", "Blur to restore from: gaussian:SIGMA, disk:RADIUS or motion:LENGTH.", metavar="KIND:N",
                group=RESTORATION),
            own("noise", "Noise to restore from: sigma in 8-bit codes.", metavar="SIGMA", group=RESTORATION),
            own("crf", "Compression to restore from: quality of libx264.", float, metavar="N", group=RESTORATION),
            option("temporal_denoise"),
            own("models", "Methods to compare.", metavar="A,B,...", python=str | Sequence[str], default_text="all",
                group=ENGINE),
            option("device"),
            option("precision"),
            option("start"),
            option("frames", help="Maximum number of frames of each clip."),
            output("Folder for compare.csv and the contact sheets.", None, OUTPUT),
            own("overwrite", "Replace existing files of that folder.", bool, False),
            own("crops", "Crops per frame on the contact sheet.", int, 1, metavar="N", minimum=1, maximum=MOST_CROPS,
                group=OUTPUT),
            JSON,
        ),
        ("vidsr compare clip.mp4 --models bicubic,fast,balanced -o scores/",
         "vidsr compare clip.mp4 --fps 2x",
         "vidsr compare photo.png --deblur 1 --blur gaussian:1.6"),
    ),
    Command(
        "evaluate",
        "Measure PSNR-Y, SSIM and MSE of a network on folders of images by the papers' protocol, against bicubic.",
        (
            argument("folders", "DIR", "Folders of HR images.", many=True),
            own("model", "A network; see vidsr models.", default="fast", metavar="NAME"),
            own("scale", "Factor to downscale and upscale by.", int, 4, metavar="N"),
            shared("domain", help="Weights for clean or for compressed clips.", kind=Literal["clean", "compressed"],
                   default="clean", old_name=""),
            own("lr", "Folder of LR images with the same names.", Path, metavar="DIR"),
            JSON,
        ),
    ),
    Command(
        "train",
        "Train a network from a recipe.",
        (
            argument("recipe", "RECIPE.toml", "The recipe: data, network and schedule."),
            output("Folder of the run.", Path("runs/train")),
            own("resume", "Continue the run in that folder.", bool, False),
            own("steps", "Stop at this step; the schedule stays the same.", int, metavar="N"),
            own("minutes", "Stop after this time; the schedule stays the same.", float, metavar="N"),
            own("device", "Device for the network.", default="cpu", metavar="auto|cpu|cuda[:N]|xpu|mps"),
            own("init", "Start from these weights.", metavar="NAME|FILE"),
        ),
    ),
    Command(
        "dataset",
        "Pack images and clips into one file for training.",
        (
            argument("paths", "PATH", "Images, clips, folders.", many=True),
            output("The file to write."),
            own("reduce", "Downscale by this factor first, which removes compression noise.", int, 1, metavar="N",
                minimum=1, maximum=MOST_REDUCTION),
            own("every", "Take every Nth frame of a clip.", int, 10, metavar="N", minimum=1),
            own("split", "Percentages for training, validation and test.", default="80,10,10", metavar="A,B,C"),
            own("seed", "Seed of the split.", int, 0, metavar="N", minimum=0),
            own("kinds", "Kinds of files to use.", default="images,clips", metavar="images|clips|images,clips"),
            own("compact", "Store JPEGs: a third of the size.", bool, False),
            shared("overwrite"),
        ),
    ),
    Command(
        "degrade",
        "Degrade a clip: blur, downscale, add noise, encode.",
        (
            argument("source", "CLIP", "The clip to degrade."),
            output("The clip to write."),
            own("blur", "gaussian:SIGMA, disk:RADIUS, motion:LENGTH or shake:LENGTH.", metavar="KIND:N"),
            own("noise", "Sigma in 8-bit codes, or poisson:GAIN.", metavar="SIGMA"),
            own("scale", "Factor, for example 1/4.", default="1", metavar="FACTOR"),
            own("kernel", "Kernel that downscales.", default="bicubic", metavar="NAME"),
            shared("codec", help="Format, such as h264 or av1, or FFmpeg encoder.", default="libx264", metavar="NAME"),
            shared("crf", help="Quality; higher is worse.", default_text=""),
            own("preset", "Encoder speed.", metavar="NAME"),
            own("seed", "Seed of the noise.", int, 0, metavar="N", minimum=0),
            shared("overwrite"),
        ),
    ),
    Command(
        "verify",
        "Check times, tags and streams of an output against its source, and decode every frame.",
        (
            argument("source", "SOURCE", "The clip that was enhanced."),
            argument("target", "OUTPUT", "Its output."),
            shared("input_fps", help="Frame rate if the source is an image sequence."),
            shared("fps", help="The --fps of the run, if its report is no longer in .vidsr, next to the output."),
            shared("slow_motion", help="Its --slow-motion."),
            shared("start", help="Its --start."),
            shared("end", help="Its --end."),
            shared("frames", help="Its --frames."),
            shared("video_track", help="Its --video-track.", default_text=""),
            JSON,
        ),
        ("vidsr verify clip.mp4 clip.x2.mp4", "vidsr verify clip.mp4 smooth.mp4 --fps 2x"),
    ),
    Command(
        "bench",
        "Measure this machine, the cost of each step of a run, its share of the roofline, and baselines.",
        (
            argument("clip", "CLIP", "A clip to measure with."),
            shared("scale", default="4"),
            shared("fps"),
            shared("model"),
            shared("device"),
            shared("precision"),
            shared("codec"),
            shared("frames", help="Number of source frames; memory holds them all.", default=48),
            own("rounds", "Repetitions of every measurement, in turn.", int, 3, metavar="N", minimum=1),
            own("baselines", "Measure the ffmpeg program and OpenCV too (default).", bool, True, old_name="beside"),
            JSON,
        ),
    ),
    Command("info", "Print the streams of a file.", (argument("file", "FILE", "A clip or an image."), JSON)),
    Command(
        "models",
        "List the networks with their weights, and the classical kernels; or verify the checksums of all weights.",
        (
            Option("action", GENERAL, "Compare the checksums of all installed weights instead.", Literal["verify"],
                   positional=True, own=True),
            JSON,
        ),
        ("vidsr models", "vidsr models verify"),
    ),
)
# fmt: on

BY_NAME = {command.name: command for command in COMMANDS}
