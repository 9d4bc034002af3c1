"""What the command line sets for its own process, before anything heavy is loaded.

Programs that import vidsr keep their own settings, but for `wait_briefly` where they call `vidsr.enhance`. Measured
with `enhance --scale 4` beside x264: ARCHITECTURE.md.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

# Parameters of glibc's mallopt, from malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
KEPT_FREE = 1 << 30  # bytes at the top of the heap that are not given back to the system
# Shapes of results without data, which PyTorch's compiler alone asks for: a quarter of a second of each start.
UNCOMPILED = "torch._meta_registrations"
PARALLEL = 1 << 18  # numbers that PyTorch surely adds with all threads
OBJECTS = 50_000  # new objects between two searches for cycles; Python's 700 make many while PyTorch is imported


def prepare() -> None:
    """Sets up waiting, memory and garbage collection for a process that only runs vidsr."""
    # PyTorch's workers otherwise spin while they wait, on the cores that the encoder needs
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    gc.set_threshold(OBJECTS, 20, 100)
    keep_freed_memory()


def leave(code: int) -> NoReturn:
    """Ends the process: Python would take all of PyTorch apart first, for half a second."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # who read it may be gone
            stream.flush()
    os._exit(code)


def wait_briefly() -> None:
    """Keeps PyTorch's workers from spinning, in a program that loaded it without OMP_WAIT_POLICY=PASSIVE.

    GNU's OpenMP reads that variable when it is loaded, and has no call for it. But where it has more threads than
    processors it spins briefly too, and it has workers for each thread that computes: those of the caller, who only
    writes here and whose workers sleep, make them more. Nothing changes with other OpenMP libraries, or where the
    variable is set.
    """
    import torch

    if "OMP_WAIT_POLICY" not in os.environ and torch.get_num_threads() > 1:
        torch.ones(PARALLEL).add_(1)


class Later(ModuleType):
    """Stands in for a module until something in it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import machinery looks at these
            raise AttributeError(name)
        return getattr(load(self.__name__), name)


def without_compiler() -> None:
    """Keeps PyTorch from loading what only its compiler needs, if it is not loaded; `with_compiler` takes it back."""
    if "torch" not in sys.modules:
        sys.modules[UNCOMPILED] = Later(UNCOMPILED)


def with_compiler() -> None:
    """Loads what was kept out."""
    if isinstance(sys.modules.get(UNCOMPILED), Later):
        load(UNCOMPILED)


def load(name: str) -> ModuleType:
    """The module itself, for its stand-in."""
    del sys.modules[name]
    return import_module(name)


def keep_freed_memory() -> bool:
    """Lets the next frame use the memory of the last one; whether the C library is one that can be told.

    glibc returns large planes to the system and asks for them again at every frame, and the system clears each page
    first: that costs the network up to half of its time. One heap that only grows serves all threads.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return False
    settings = ((M_ARENA_MAX, 1), (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEPT_FREE))
    return all(mallopt(parameter, value) == 1 for parameter, value in settings)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def idle_seconds() -> float | None:
    """Seconds in which the machine's processors had nothing to do, all together; None where the system does not say."""
    facts = Path("/proc/stat")
    if not facts.exists():
        return None
    _, _, _, _, idle, waiting, *_ = facts.read_text().split(maxsplit=6)
    return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")
