"""Functions that tests run in a worker process."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidsr.errors import InputError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import Job, output_path
from vidsr.pipeline.summary import FileSummary
from vidsr.runtime import interrupt
from vidsr.runtime.output_file import OutputFile

Emit = Callable[[Any], object]


def double(number: int, emit: Emit) -> int:
    emit(("begins", number))
    emit(Path("ends"))
    return 2 * number


def fail(expected: bool, emit: Emit) -> None:
    if expected:
        raise InputError("a.mp4 is empty: name a clip")
    raise IndexError("list index out of range")


def end(how: str, emit: Emit) -> int:
    if how == "read no memory":
        ctypes.string_at(8)
    if how == "abort":
        os.abort()
    if how == "exit":
        os._exit(7)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def wait_with_a_file(path: Path, emit: Emit) -> None:
    interrupt.set_line("3 of 9 segments are finished")
    with OutputFile(path):
        emit(os.getpid())
        time.sleep(60)


def hang_with_a_file(path: Path, emit: Emit) -> None:
    """Stay in a library with an unfinished file, where no signal reaches, and unwind slowly."""
    interrupt.EXIT_SECONDS = 60
    signal.pthread_sigmask(signal.SIG_BLOCK, interrupt.SIGNALS)
    with OutputFile(path):
        emit(os.getpid())
        ctypes.CDLL(None).sleep(60)


def stop_with_a_file(job: Job, options: EnhanceOptions, emit: Emit) -> None:
    """Stop, as a process does that gets no processor time, with an unfinished file."""
    with OutputFile(output_path(job, options)):
        emit("stopped")
        os.kill(os.getpid(), signal.SIGSTOP)


def search_path(emit: Emit) -> list[str]:
    return sys.path


def enhance_or_abort(job: Job, options: EnhanceOptions, emit: Emit) -> FileSummary:
    """Enhance a clip, but abort while b.mp4 is being written."""
    if job.source.name == "b.mp4":
        with OutputFile(output_path(job, options)):
            os.abort()
    from vidsr.segments.listed_file import enhance_listed_file  # imports PyTorch, which other functions do not need

    return enhance_listed_file(job, options, emit)
