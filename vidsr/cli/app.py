"""The command line of vidsr: every command of `vidsr.options.commands`, and exit codes for errors.

The command NAME is the function NAME of the module `vidsr.cli.NAME`. That module is imported when the command runs, so
that ``--help`` loads none of PyTorch, NumPy, OpenCV, PyAV and Numba.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from vidsr import __version__
from vidsr.cli.signatures import expand_bare_options, with_options
from vidsr.errors import ExitCode, PipeClosed, VerifyError, VidsrError
from vidsr.options.commands import COMMANDS, EXIT_CODES, Command
from vidsr.runtime import process
from vidsr.runtime.error_boundary import machine_errors, one_line

TRACEBACK = "VIDSR_TRACEBACK"  # environment variable that shows where an unexpected exception comes from
RUNS_NETWORKS = ("enhance", "plan")  # and these need PyTorch's compiler only on request

app = typer.Typer(
    name="vidsr",
    help="Enhance video: super-resolution, restoration and frame interpolation with exact times and colours.",
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


def _add(command: Command) -> None:
    """Add ``command`` to the app."""
    lines = ["", "Examples:", *(f"    {example}" for example in command.examples)] if command.examples else []
    lines += [f"Exit codes: {EXIT_CODES}."] if command.name == "enhance" else []

    @app.command(command.name, help=command.help, epilog="\n\n".join(lines) or None)
    @with_options(command)
    def run_command(**values: Any) -> None:
        with machine_errors():  # here, as Typer has its own way with an OSError
            if command.name in RUNS_NETWORKS:
                process.defer_torch_compiler()
            function = getattr(import_module(f"vidsr.cli.{command.name}"), command.name)
            code = function(**values) or ExitCode.DONE
            process.flush_stdout()
        raise typer.Exit(code)


for _command in COMMANDS:
    _add(_command)


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM. Not a KeyboardInterrupt, which Typer would handle itself."""


def run() -> NoReturn:
    """Run `main` and end the process without Python's teardown."""
    try:
        main()
    except SystemExit as done:
        process.exit_quickly(int(done.code or ExitCode.DONE))
    raise AssertionError("Typer always exits")


def main() -> None:
    """Run the command line and exit with a documented code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    process.configure_process()
    try:
        app(expand_bare_options(sys.argv[1:]))
    except VerifyError as error:
        sys.exit(_fail(str(error), ExitCode.BUG))
    except PipeClosed:
        sys.exit(ExitCode.PIPE_CLOSED)  # silently, as other programs end
    except VidsrError as error:
        sys.exit(_fail(str(error), ExitCode.BAD_REQUEST))
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        sys.exit(_fail(f"{one_line(error)}; {TRACEBACK}=1 prints the traceback", ExitCode.BUG))
    except Interrupted:
        sys.exit(_fail("interrupted; no unfinished file is left", ExitCode.INTERRUPTED))


def _interrupt(signum: int, frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a second signal must not cut the cleanup short
    raise Interrupted


def _fail(line: str, code: ExitCode) -> ExitCode:
    print(f"vidsr: {line}", file=sys.stderr)
    return code
