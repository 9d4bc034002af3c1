"""What a program takes from its start to its end: time, processors, memory."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from vidsr.runtime import idle_seconds, processors

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Usage:
    """What one process cost."""

    wall: float  # seconds
    cpu: float  # core-seconds
    idle: float  # core-seconds in which the machine had nothing to do meanwhile
    peak: float  # resident MB

    @property
    def alone(self) -> float:
        """Seconds it would have taken without other processes."""
        return (self.cpu + self.idle) / processors()


# Until a process has become another program its size is that of its parent, and counts: so a small one starts them all.
STARTER = """
import os, sys, time
begun = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(pid, 0)
print(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(status != 0)
"""


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> Usage:
    """Runs ``command`` to its end, with more ``environment``; its output is thrown away.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    idle = idle_seconds() or 0.0
    starter = [sys.executable, "-I", "-S", "-c", STARTER, *command]
    surroundings = {**os.environ, **(environment or {})}
    with subprocess.Popen(
        starter,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    ) as process:
        try:
            said, _ = process.communicate()
        except BaseException:  # Ctrl-C: the program ends with the one that started it
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    wall, cpu, largest = map(float, said.split())
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(wall, cpu, (idle_seconds() or 0.0) - idle, largest * unit / MEBIBYTE)


def medians(usages: Sequence[Usage]) -> Usage:
    """Each figure's median."""
    return Usage(*(statistics.median(column) for column in zip(*map(astuple, usages), strict=True)))
