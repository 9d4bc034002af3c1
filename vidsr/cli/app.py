"""The command line: text to options, one call, exit code. No logic, and nothing heavy imported before it is needed."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from vidsr import __version__, runtime
from vidsr.cli.options import EXAMPLES, OUTPUT, Device, Inputs, Json, Request, asks, request, with_strengths
from vidsr.errors import ExitCode, PipeClosed, VerifyError, VidsrError
from vidsr.options.enhance import parse_options, parse_reading

app = typer.Typer(
    name="vidsr",
    help="Make a clip larger, smoother and cleaner; exact in time and colour, and measured.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vidsr {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(epilog=EXAMPLES)
@asks(request)
def enhance(
    asked: Request,
    quiet: Annotated[bool, typer.Option("--quiet", help="Errors only.", rich_help_panel=OUTPUT)] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say what is decided.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Enlarge clips, images or folders, and raise their frame rate."""
    runtime.defer_torch_compiler()
    from vidsr.cli.enhance import enhance_all
    from vidsr.cli.progress import Reporter, Verbosity

    verbosity = Verbosity.QUIET if quiet else Verbosity.VERBOSE if verbose else Verbosity.NORMAL
    with Reporter(verbosity) as reporter:
        raise typer.Exit(enhance_all(asked.inputs, asked.output, asked.options, reporter))


@app.command()
@asks(request)
def plan(asked: Request, json: Json = False) -> None:
    """Say what `enhance` with the same options would do, and how long it would take, without doing it."""
    runtime.defer_torch_compiler()
    from vidsr.cli.tables import print_estimates
    from vidsr.pipeline.estimate import estimate_all

    estimates = estimate_all(asked.inputs, asked.output, asked.options)
    print_estimates(estimates, json)
    raise typer.Exit(estimates.exit_code)


@app.command()
def compare(
    inputs: Inputs,
    scale: Annotated[int, typer.Option(help="Reduce by this, then put back.")] = 4,
    fps: Annotated[str | None, typer.Option(metavar="2x", help="Compare ways to put back left-out frames.")] = None,
    deblur: Annotated[str | None, typer.Option(metavar="[0..1]", help="Compare ways to deblur instead.")] = None,
    denoise: Annotated[str | None, typer.Option(metavar="[0..1]", help="Compare ways to denoise instead.")] = None,
    restore: Annotated[str | None, typer.Option(metavar="[0..1]", help="Compare ways to restore instead.")] = None,
    blur: Annotated[str | None, typer.Option(help="To restore from: gaussian:SIGMA, disk:R, motion:LENGTH.")] = None,
    noise: Annotated[str | None, typer.Option(help="To restore from: sigma in code values.")] = None,
    crf: Annotated[float | None, typer.Option(help="To restore from: libx264 at this quality.")] = None,
    temporal_denoise: Annotated[
        bool, typer.Option("--temporal-denoise/--no-temporal-denoise", help="Average the restored along the motion.")
    ] = True,
    models: Annotated[str | None, typer.Option(metavar="A,B,...", help="Methods; default: all of them.")] = None,
    crops: Annotated[int, typer.Option(min=1, help="Places of a frame that the picture shows.")] = 1,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the CSV and the picture.")] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(metavar="auto|fp32|bf16|fp16")] = "auto",
    start: Annotated[str | None, typer.Option(metavar="TIME", help="Seconds, or 1:02.5.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames of each clip at most.")] = None,
    json: Json = False,
) -> None:
    """Reduce a clip or image, enlarge it again with each method, and measure; or damage and restore it, or leave frames
    out and put them back.
    """
    from vidsr.cli.compare import compare_files
    from vidsr.evaluate.restoration import parse_damage

    options = parse_options(
        scale=scale,
        fps=fps,
        deblur=deblur,
        denoise=denoise,
        restore=restore,
        temporal_denoise=temporal_denoise,
        device=device,
        precision=precision,
        start=start,
        frames=frames,
    )
    damage = parse_damage(blur, noise, crf) if options.restorations or blur or noise or crf is not None else None
    named = tuple(models.split(",")) if models else None
    compare_files(inputs, scale, named, output, options, json, damage, crops, options.clock)


@app.command()
def evaluate(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of sharp images.")],
    model: Annotated[str, typer.Option(help="A network; see `vidsr models`.")] = "fast",
    scale: Annotated[int, typer.Option(help="Reduce by this, then put back.")] = 4,
    domain: Annotated[str, typer.Option(metavar="clean|video", help="Which weights.")] = "clean",
    lr: Annotated[Path | None, typer.Option(help="Folder of ready LR images of the same names.")] = None,
    json: Json = False,
) -> None:
    """PSNR-Y, SSIM and MSE by the papers' protocol, against bicubic."""
    from vidsr.cli.tables import print_evaluation
    from vidsr.evaluate.image_sets import evaluate
    from vidsr.models import load_model

    print_evaluation(evaluate(load_model(model, scale, domain=domain), scale, folders, lr), json)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")] = Path("runs/train"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the folder.")] = False,
    steps: Annotated[int | None, typer.Option(help="Stop at this step; the schedule stays.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this time; the schedule stays.")] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]")] = "cpu",
    init: Annotated[str | None, typer.Option(metavar="NAME|FILE", help="Start from these weights.")] = None,
) -> None:
    """Train a network as a recipe says."""
    from vidsr.train import watch

    typer.echo(watch.train(recipe, output, resume, steps, minutes, device, init=init))


@app.command()
def dataset(
    paths: Annotated[list[Path], typer.Argument(metavar="PATHS...", help="Images, clips, folders.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The shard to write.")],
    reduce: Annotated[int, typer.Option(help="Shrink first, which removes compression noise.")] = 1,
    every: Annotated[int, typer.Option(help="Distance of the frames taken of a clip.")] = 10,
    split: Annotated[str, typer.Option(metavar="A,B,C", help="Percent for train, validation and test.")] = "80,10,10",
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    kinds: Annotated[str, typer.Option(metavar="images|clips|images,clips", help="What to take.")] = "images,clips",
    compact: Annotated[bool, typer.Option("--compact", help="JPEGs, a third of the size, to carry elsewhere.")] = False,
) -> None:
    """Prepare images and clips as one file to train on."""
    from vidsr.train.prepare.dataset import build, parse_kinds, parse_split

    summary = build(paths, output, parse_split(split), reduce, every, seed, parse_kinds(kinds), compact)
    size = output.stat().st_size / 1e6
    typer.echo(f"{output}: {summary.images}, {summary.megapixels:.1f} megapixels, {size:.1f} MB")
    typer.echo(f"{len(summary.skipped)} skipped")
    for path in summary.skipped:
        typer.echo(f"skipped: {path}")


@app.command()
def degrade(
    source: Annotated[Path, typer.Argument(metavar="CLIP")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The clip to write.")],
    blur: Annotated[str | None, typer.Option(help="gaussian:SIGMA, disk:R, motion:LENGTH, shake:LENGTH.")] = None,
    noise: Annotated[str | None, typer.Option(help="Sigma in code values, or poisson:GAIN.")] = None,
    scale: Annotated[str, typer.Option(help="For example 1/4.")] = "1",
    kernel: Annotated[str, typer.Option(help="What reduces.")] = "bicubic",
    codec: Annotated[str, typer.Option(help="FFmpeg video encoder.")] = "libx264",
    crf: Annotated[float | None, typer.Option(help="Quality; higher is worse.")] = None,
    preset: Annotated[str | None, typer.Option(help="Encoder speed.")] = None,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")] = False,
) -> None:
    """Make a clip worse in a known way: blur, reduction, noise, encoding."""
    from vidsr.degrade.clip import degrade_clip, parse_degrade

    options = parse_degrade(
        blur=blur, noise=noise, scale=scale, kernel=kernel, codec=codec, crf=crf, preset=preset, seed=seed
    )
    typer.echo(f"{output}: {degrade_clip(source, output, options, overwrite=overwrite)} frames")


@app.command()
def verify(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The clip that was enhanced.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="What was made of it.")],
    input_fps: Annotated[str | None, typer.Option(metavar="25", help="Rate of numbered pictures of IN.")] = None,
    json: Json = False,
) -> None:
    """Check that a result has its source's times, tags and streams, and that every frame decodes."""
    from vidsr.cli.tables import print_verification
    from vidsr.pipeline.verify import verify_files

    verification = verify_files(source, target, parse_reading(input_fps=input_fps))
    print_verification(verification, json)
    verification.demand()


@app.command()
def bench(
    clip: Annotated[Path, typer.Argument(help="A clip to measure with.")],
    scale: Annotated[str, typer.Option(help="Times the input's size.")] = "4",
    fps: Annotated[str | None, typer.Option(metavar="2x|60", help="Output frame rate.")] = None,
    model: Annotated[str, typer.Option(help="A network or a classical kernel.")] = "auto",
    device: Device = "auto",
    precision: Annotated[str, typer.Option(metavar="auto|fp32|bf16|fp16")] = "auto",
    codec: Annotated[str, typer.Option(help="FFmpeg video encoder, or null for none.")] = "libx264",
    frames: Annotated[int, typer.Option(help="Input frames; they are held in memory.")] = 48,
    rounds: Annotated[int, typer.Option(min=1, help="Times that all is measured, in turn.")] = 3,
    baselines: Annotated[
        bool, typer.Option("--baselines/--no-baselines", help="Measure the ffmpeg program and OpenCV too.")
    ] = True,
    json: Json = False,
) -> None:
    """Measure this machine, what each step of a run costs on it, how near it comes to its bounds, and others beside."""
    from vidsr.bench.bench import bench
    from vidsr.cli.tables import print_bench

    asked = {"scale": scale, "fps": fps, "model": model, "device": device, "precision": precision, "codec": codec}
    print_bench(bench(clip, {**asked, "frames": frames}, rounds, baselines), json)


@app.command()
def info(file: Annotated[Path, typer.Argument(help="A clip or an image.")], json: Json = False) -> None:
    """Print the streams of a file."""
    from vidsr.cli.tables import print_streams

    print_streams(file, json)


@app.command()
def models(json: Json = False) -> None:
    """List the networks and their weights, and the classical kernels."""
    from vidsr.cli.tables import print_models

    print_models(json)


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; not a KeyboardInterrupt, which Typer would answer itself."""


def run() -> NoReturn:
    """`main`, and out at once."""
    try:
        main()
    except SystemExit as done:
        runtime.exit_quickly(int(done.code or ExitCode.DONE))
    raise AssertionError("Typer always exits")


def main() -> None:
    """Run the command line and exit with a documented code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    runtime.configure_process()
    try:
        app(with_strengths(sys.argv[1:]))
    except VerifyError as error:
        sys.exit(_fail(str(error), ExitCode.BUG))
    except PipeClosed:
        sys.exit(ExitCode.PIPE_CLOSED)  # as quiet as other programs are
    except VidsrError as error:
        sys.exit(_fail(str(error), ExitCode.BAD_REQUEST))
    except Interrupted:
        sys.exit(_fail("interrupted; nothing half-written is left", ExitCode.INTERRUPTED))


def _interrupt(signum: int, frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # an impatient second one must not cut short the clearing up
    raise Interrupted


def _fail(line: str, code: ExitCode) -> ExitCode:
    print(f"vidsr: {line}", file=sys.stderr)
    return code
