"""Time, processor time and memory of a program from its start to its end."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from vidsr.runtime.process import idle_seconds, processors

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Usage:
    """Time, processor time and memory of one process."""

    wall: float  # seconds
    cpu: float  # core-seconds
    idle: float  # core-seconds in which the machine was idle during the run
    peak: float  # resident MB

    @property
    def alone(self) -> float:
        """Seconds that the process would take on a machine without other processes."""
        return (self.cpu + self.idle) / processors()


# Before exec a process counts the memory of its parent as its own, so a small process starts the measured ones.
STARTER = """
import os, sys, time
begun = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(pid, 0)
print(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(status != 0)
"""


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> Usage:
    """Run ``command`` with additional ``environment``; discard its output.

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    idle = idle_seconds() or 0.0
    starter = [sys.executable, "-I", "-S", "-c", STARTER, *command]
    variables = {**os.environ, **(environment or {})}
    with subprocess.Popen(
        starter,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    ) as process:
        try:
            report, _ = process.communicate()
        except BaseException:  # after Ctrl-C the program must end too
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    wall, cpu, largest = map(float, report.split())
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(wall, cpu, (idle_seconds() or 0.0) - idle, largest * unit / MEBIBYTE)


def medians(usages: Sequence[Usage]) -> Usage:
    """Return the median of each figure."""
    return Usage(*(statistics.median(column) for column in zip(*map(astuple, usages), strict=True)))
