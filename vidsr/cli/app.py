"""The command line of vidsr: every command of `vidsr.options.commands`, and exit codes for errors.

The command NAME is the function NAME of the module `vidsr.cli.NAME`. That module is imported when the command runs, so
that ``--help`` loads none of PyTorch, NumPy, OpenCV, PyAV and Numba.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from vidsr import __version__
from vidsr.cli.signatures import expand_bare_options, with_options
from vidsr.errors import ExitCode, PipeClosed, VerifyError, VidsrError
from vidsr.options.commands import COMMANDS, EXIT_CODES, Command
from vidsr.options.names import check_codec, check_device, check_model
from vidsr.options.paths import check_inputs, expand_patterns
from vidsr.runtime import interrupt, process
from vidsr.runtime.error_boundary import machine_errors, one_line

TRACEBACK = "VIDSR_TRACEBACK"  # environment variable that shows where an unexpected exception comes from
COMPLETION = "_VIDSR_COMPLETE"  # set by the shell that asks for the completions of a line
WELCOME = f"""vidsr {__version__} makes video clips larger, smoother and cleaner.

  vidsr enhance clip.mp4      twice the size, restored as far as the clip needs it
  vidsr plan clip.mp4         what enhance would do, and how long it takes
  vidsr compare clip.mp4      measure each method on your own clip
  vidsr verify a.mp4 b.mp4    check an output against its source
  vidsr models                networks and kernels

Example: vidsr enhance holiday/ --height 1080p --fps 60 -o better/
All commands: vidsr --help; all options: vidsr enhance --help"""
RUNS_NETWORKS = ("enhance", "plan")  # and these need PyTorch's compiler only on request
CHECKS = {"model": check_model, "device": check_device, "codec": check_codec}  # of option values, before PyTorch

app = typer.Typer(
    name="vidsr",
    help="Enhance video: super-resolution, restoration and frame interpolation with exact times and colours.",
    no_args_is_help=True,
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


def _add(command: Command) -> None:
    """Add ``command`` to the app."""
    lines = ["", "Examples:", *(f"    {example}" for example in command.examples)] if command.examples else []
    lines += [f"Exit codes: {EXIT_CODES}."] if command.name == "enhance" else []

    @app.command(command.name, help=command.help, epilog="\n\n".join(lines) or None)
    @with_options(command)
    def run_command(**values: Any) -> None:
        with machine_errors():  # here, as Typer has its own way with an OSError
            values |= {name: expand_patterns(values[name]) for name in PATTERN_ARGUMENTS & values.keys()}
            _check_names(command, values)
            if command.name in RUNS_NETWORKS:
                process.defer_torch_compiler()
            with interrupt.postponed():
                function = getattr(import_module(f"vidsr.cli.{command.name}"), command.name)
            code = function(**values) or ExitCode.DONE
            process.flush_stdout()
        raise typer.Exit(code)


# the name of a recipe may be that of a shipped one
PATTERN_ARGUMENTS = {"inputs", "paths"}
FILE_ARGUMENTS = {one.name for command in COMMANDS for one in command.options if one.positional} - {"recipe", "action"}


def _check_names(command: Command, values: dict[str, Any]) -> None:
    """Refuse missing files and unknown names before anything large is imported, which takes seconds."""
    for option in command.options:
        value = values[option.name]
        if option.name in FILE_ARGUMENTS:
            check_inputs(value if option.many else [value])
        elif option.name in CHECKS and (option.name != "model" or command.name in RUNS_NETWORKS):
            CHECKS[option.name](value)


for _command in COMMANDS:
    _add(_command)


def run() -> NoReturn:
    """Run `main` and end the process without Python's teardown; a signal ends it too."""
    interrupt.run_guarded(_run)


def _run() -> NoReturn:
    try:
        main()
    except SystemExit as done:
        interrupt.check()
        process.exit_quickly(int(done.code or ExitCode.DONE))
    raise AssertionError("main() always exits")


def main() -> None:
    """Run the command line and exit with a documented code."""
    process.configure_process()
    if not sys.argv[1:] and COMPLETION not in os.environ:
        print(WELCOME)
        sys.exit(ExitCode.DONE)
    try:
        code = app(expand_bare_options(sys.argv[1:]), standalone_mode=False)  # else Typer draws a box around its errors
    except TyperException as error:
        code = _fail(_in_one_line(error), ExitCode.BAD_REQUEST)
    except Exception as error:
        interrupt.check()
        code = _report(error)
    sys.exit(code)


def _in_one_line(error: TyperException) -> str:
    """Return what Typer found wrong with the command line, and a near name or where to look."""
    text = " ".join(error.format_message().split()).replace(". Did you mean", "; did you mean").rstrip(".")
    context = getattr(error, "ctx", None)
    way_out = "" if text[-1] in "?)" else f": see {context.command_path if context else 'vidsr'} --help"
    return f"{text[0].lower()}{text[1:]}{way_out}"


def _report(error: Exception) -> ExitCode:
    """Print the error that ended the command, and return the exit code."""
    if isinstance(error, PipeClosed):
        return ExitCode.PIPE_CLOSED  # silently, as other programs end
    if isinstance(error, VidsrError):
        return _fail(str(error), ExitCode.VERIFY_FAILED if isinstance(error, VerifyError) else ExitCode.BAD_REQUEST)
    if os.environ.get(TRACEBACK):
        raise error
    return _fail(f"{one_line(error)}; {TRACEBACK}=1 prints the traceback", ExitCode.BUG)


def _fail(line: str, code: ExitCode) -> ExitCode:
    print(f"vidsr: {line}", file=sys.stderr)
    return code
