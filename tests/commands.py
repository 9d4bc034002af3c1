"""The command line, run within the test process."""

import io
import signal
import sys
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from vidsr.cli.app import main


class Result(NamedTuple):
    """What a command returned and printed."""

    returncode: int
    stdout: str
    stderr: str


def run_vidsr(*words: str | Path) -> Result:
    """Run `vidsr` with ``words`` through `main`, without the settings that hold for a whole process."""
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    code: object = None
    with ExitStack() as stack:
        for change in ("configure_process", "defer_torch_compiler"):
            stack.enter_context(patch(f"vidsr.runtime.process.{change}"))
        stack.enter_context(patch.object(sys, "argv", ["vidsr", *map(str, words)]))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        try:
            main()
        except SystemExit as done:
            code = done.code
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return Result(int(code or 0), out.getvalue(), err.getvalue())  # type: ignore[call-overload]
