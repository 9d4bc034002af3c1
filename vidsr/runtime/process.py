"""Process settings of the command line: OpenMP waiting, C memory, garbage collection, deferred imports.

A program that imports vidsr keeps its own settings. Only `stop_openmp_spinning` runs there, from `vidsr.enhance`.
ARCHITECTURE.md has the measurements (`enhance --scale 4` with x264).
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from vidsr.errors import OutputError, PipeClosed
from vidsr.runtime import interrupt

# Parameters of glibc's mallopt, from malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8
TRIM_BYTES = 1 << 30  # free bytes at the top of the heap that stay with the process
LARGE_BLOCK, LARGE_BLOCKS = 16 << 20, 1 << 16  # bytes, more than a layer of a network at 480x270 takes; most at a time
# Result shapes without data, used by PyTorch's compiler only. Importing it costs a quarter of a second at each start.
COMPILER_MODULE = "torch._meta_registrations"
PARALLEL_ELEMENTS = 1 << 18  # a tensor of this size is added by all of PyTorch's threads
GC_OBJECTS = 50_000  # new objects between two collections; with Python's 700, importing PyTorch triggers many

_is_configured = False


def configure_process() -> None:
    """Set OpenMP waiting, garbage collection and C memory for a process that only runs vidsr.

    Call it before anything heavy is imported.
    """
    global _is_configured
    _is_configured = True
    # otherwise idle PyTorch workers spin on the cores that the encoder needs
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    gc.set_threshold(GC_OBJECTS, 20, 100)
    keep_freed_memory()
    open_standard_streams()


def is_configured() -> bool:
    """Whether this process only runs vidsr: the command line, and not a program that imports vidsr."""
    return _is_configured


def open_standard_streams() -> None:
    """Make the standard streams safe to print to.

    Where one was closed (``>&-``), the null device takes its place. Otherwise the first file that is opened would get
    its number, and a message of a C library would go into that file. `sys.stdout` stays None in this case. A file name
    that the encoding of the terminal cannot express is printed with escapes.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush_stdout() -> None:
    """Write out what was printed.

    Raises:
        OutputError: the standard output cannot take it, as on a full disk.
        PipeClosed: its reader ended.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise PipeClosed("the reader of the standard output ended: let it read to the end") from None
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise OutputError(f"the standard output cannot be written ({reason}): check where it goes") from None


def exit_quickly(code: int) -> NoReturn:
    """Run exit handlers, flush the standard streams and end the process without Python's teardown.

    The teardown of PyTorch takes half a second.
    """
    interrupt.run_exit_handlers()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the reader may have closed the pipe
            if stream is not None:  # closed, as by >&-
                stream.flush()
    os._exit(code)


def stop_openmp_spinning() -> None:
    """Keep idle PyTorch workers from spinning where the program did not set OMP_WAIT_POLICY=PASSIVE.

    GNU OpenMP reads that variable when it loads and has no call for it. But it also spins only briefly when it has more
    threads than processors, and it starts workers for each thread that computes. One parallel operation on the calling
    thread adds such workers. They sleep afterwards, because the calling thread only writes the output. Other OpenMP
    libraries, and programs that set the variable, are not affected.
    """
    import torch

    if "OMP_WAIT_POLICY" not in os.environ and torch.get_num_threads() > 1:
        torch.ones(PARALLEL_ELEMENTS).add_(1)


class DeferredModule(ModuleType):
    """A placeholder that imports the real module at the first attribute access."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # read by the import machinery
            raise AttributeError(name)
        return getattr(_import_deferred(self.__name__), name)


def defer_torch_compiler() -> None:
    """Keep ``import torch`` from importing what only its compiler needs; `load_torch_compiler` undoes this.

    Does nothing if PyTorch is already imported.
    """
    if "torch" not in sys.modules:
        sys.modules[COMPILER_MODULE] = DeferredModule(COMPILER_MODULE)


def load_torch_compiler() -> None:
    """Import the modules that `defer_torch_compiler` kept out."""
    if isinstance(sys.modules.get(COMPILER_MODULE), DeferredModule):
        _import_deferred(COMPILER_MODULE)


def _import_deferred(name: str) -> ModuleType:
    """Replace the placeholder of ``name`` by the module itself."""
    del sys.modules[name]
    return import_module(name)


def keep_freed_memory(is_limited: bool = False) -> bool:
    """Let each frame reuse the memory of the previous one; where memory ``is_limited``, in blocks below 16 MB only.

    Returns whether the C library supports it; glibc does.

    By default glibc returns large planes to the system and requests them again for every frame, and the system clears
    each page first. That costs the network up to half of its time. Here one heap that only grows serves all threads.
    Between planes of 7680x4320 it has gaps of up to 1.8 GB in all, so a run with a limit returns large planes.
    """
    library = ctypes.CDLL(None) if os.name == "posix" else None
    if library is None or not hasattr(library, "mallopt"):
        return False
    if is_limited:
        library.malloc_trim(0)  # what was freed before the limit was known
    settings = {
        M_ARENA_MAX: 1,
        M_MMAP_MAX: LARGE_BLOCKS if is_limited else 0,
        M_MMAP_THRESHOLD: LARGE_BLOCK,
        M_TRIM_THRESHOLD: TRIM_BYTES,
    }
    return all(library.mallopt(parameter, value) == 1 for parameter, value in settings.items())


@contextmanager
def keep_scheduling() -> Iterator[None]:
    """Give all threads of this process the scheduling of the caller when the block ends, those that it started too.

    SVT-AV1, run as root, makes its threads and the one that opens it real-time: other programs would hardly run.
    """
    if not hasattr(os, "sched_setscheduler"):  # not Linux
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in Path("/proc/self/task").iterdir():
            with suppress(OSError):  # it has ended
                os.sched_setscheduler(int(thread.name), policy, parameters)


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def idle_seconds() -> float | None:
    """Return the idle time of all processors since boot, summed, in seconds; None without /proc/stat."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    _, _, _, _, idle, waiting, *_ = stat.read_text().split(maxsplit=6)
    return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")
