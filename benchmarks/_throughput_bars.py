"""Bars of throughput, checked on the tables of benchmarks/throughput.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Table = dict[str, Any]

WHOLE = {"fast": 1.2, "balanced": 1.6, "best": 3.3}  # time relative to the ffmpeg program's bicubic, with AVX-512 VNNI
INTERPOLATION = {"flow": 3.0, "net": 0.8}  # output frames a second relative to the ffmpeg program's minterpolate
FLAT = 1.05  # peak memory of 2,000 frames relative to 200


def bars(table: Table) -> list[str]:
    """Return one line per bar whose figures exist: whether it holds, the measured value and the limit."""
    return [
        f"{'holds' if low <= value <= high else 'FAILS'}: {what} {value:.3g} "
        f"({f'at most {high:g}' if low == 0 else f'at least {low:g}'})"
        for what, value, low, high in _bars(table)
    ]


def _bars(table: Table) -> Iterator[tuple[str, float, float, float]]:
    """Yield name, value, minimum and maximum of each bar."""
    for model, rows in table.get("runs", {}).items():
        for name in (model, f"{model}, no log"):
            if model in WHOLE and name in rows:
                yield f"{name}: whole process relative to ffmpeg bicubic", rows[name]["alone_ratio"], 0, WHOLE[model]
        if "log_ratio" in rows.get(model, {}):
            yield f"{model}: with the log relative to without", rows[model]["log_ratio"], 0, 1.1
    for model, row in table.get("stages", {}).items():
        yield f"{model}: run relative to the bound of its own costs", row["efficiency"], 0.85, float("inf")
        if model == "balanced":
            yield "balanced: network relative to the matrix-product rate", row["network_share"], 0.6, float("inf")
    for engine, least in INTERPOLATION.items():
        if engine in table.get("flow", {}):
            what = f"{engine}: output frames per second relative to minterpolate"
            yield what, table["flow"][engine]["ratio"], least, float("inf")
    memory = table.get("memory", {})
    if {"200", "2000"} <= set(memory):
        yield "memory of 2,000 frames relative to 200", memory["2000"] / memory["200"], 0, FLAT
    if "3840x2160 to 7680x4320" in memory:
        yield "3840x2160 to 7680x4320, MB", memory["3840x2160 to 7680x4320"], 0, 4096
    for what, limit in (("help", 0.4), ("two frames", 3.0)):
        if what in table.get("start", {}):
            yield f"start: seconds of {what}", table["start"][what], 0, limit
    for name, row in table.get("repeats", {}).items():
        yield f"{name}: search for unchanged tiles relative to the network", row["looking"], 0, 0.01
