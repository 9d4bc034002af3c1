"""Time functions in turn, so that the load of other processes affects all of them alike."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from vidsr.runtime.process import processors


def interleaved(
    functions: dict[str, Callable[[], object]], repeats: int = 40, warm_up: int = 3
) -> dict[str, list[float]]:
    """Return the seconds of every call, functions in turn (A B A B), without the first ``warm_up`` rounds."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(warm_up + repeats):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(seconds: list[float], base: list[float]) -> float:
    """Return the median ratio of ``seconds`` to ``base``, round by round."""
    return statistics.median(a / b for a, b in zip(seconds, base, strict=True))


def machine() -> str:
    """Return the processor, how many of its cores this process may use, and the operating system."""
    return f"{_processor()}, {processors()} processors, {platform.system()}"


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
