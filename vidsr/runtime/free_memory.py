"""Free memory of the machine, or of the container (cgroup) that this process runs in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SHARE = 0.8  # of the free memory that a run may take; the rest is for other programs and for what no estimate knows
NO_LIMIT = 1 << 60  # version 1 of cgroups writes a larger number where there is no limit


def default_limit(root: Path = Path("/")) -> int | None:
    """Return the bytes that a run may take without ``--memory``; None where the system does not tell."""
    free = free_memory(root)
    return None if free is None else int(SHARE * free)


def free_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that a program can take now; None where the system does not tell.

    It is the smallest of what the machine has available and what each cgroup of the process may still take, file cache
    that the system can drop included. ``root``: the folder of ``proc`` and ``sys``.
    """
    amounts = [*_machine(root), *_groups(root)]
    return min(amounts) if amounts else None


def _machine(root: Path) -> Iterator[int]:
    with suppress(OSError, ValueError, KeyError):
        yield _numbers(root / "proc/meminfo")["MemAvailable:"] << 10
        return
    with suppress(OSError, ValueError, AttributeError):  # not Linux: all memory of the machine
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _groups(root: Path) -> Iterator[int]:
    """Yield the free bytes of each cgroup that limits the memory of this process, from the innermost to the root."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        top = root / "sys/fs/cgroup"
        if number == "0" and not controllers:
            names = ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top, names = top / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inner = top / path.lstrip("/")
        for folder in (inner, *inner.parents):
            yield from _group(folder, *names)
            if folder == top:
                break


def _group(folder: Path, limit_file: str, usage_file: str, cache_key: str) -> Iterator[int]:
    with suppress(OSError, ValueError):  # ValueError: "max", for no limit
        limit = int((folder / limit_file).read_text())
        if limit < NO_LIMIT:
            cache = _numbers(folder / "memory.stat").get(cache_key, 0)
            yield max(0, limit - int((folder / usage_file).read_text()) + cache)


def _numbers(path: Path) -> dict[str, int]:
    """Return the first number of each line by the word before it."""
    words = (line.split() for line in path.read_text().splitlines())
    return {line[0]: int(line[1]) for line in words if len(line) > 1}
