"""Bars of restoration, checked on the tables of benchmarks/restoration.py."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

TEMPORAL = ", temporal"  # follows the name of a network in rows measured after temporal denoising
Row = dict[str, float]
Tables = dict[str, dict[str, Row]]


def bars(tables: Tables) -> list[str]:
    """Return one line per bar whose figures exist: whether it holds, the measured value and the limit."""
    return [
        f"{'holds' if value >= limit else 'FAILS'}: {what} {value:+.2f} (at least {limit:g})"
        for what, value, limit in _bars(tables)
    ]


def _bars(tables: Tables) -> Iterator[tuple[str, float, float]]:
    yield from _gaussian(tables.get("gaussian", {}))
    yield from _motion(tables.get("motion", {}))
    yield from _compressed(tables.get("compressed", {}))
    yield from _noise(tables.get("noise", {}))
    yield from _sharp(tables.get("sharp", {}))
    yield from _auto(tables.get("auto", {}))
    for name in {"deblur-fast"} & set(tables.get("speed", {}).get("fps", {})):
        yield f"frames per second of {name} at 480x270", tables["speed"]["fps"][name], 60


def _gaussian(rows: dict[str, Row]) -> Iterator[tuple[str, float, float]]:
    for sigma, row in rows.items():
        for name in ("deblur", "deblur-fast"):
            if name in row:
                limit = 0.5 if sigma == "1.6" else 0.0
                yield (
                    f"sigma {sigma}, noise 2: {name} over Wiener with the true sigma, dB",
                    row[name] - row["wiener"],
                    limit,
                )
        if "autoencoder" in row:
            yield f"sigma {sigma}, noise 2: autoencoder over the input, dB", row["autoencoder"] - row["input"], 0.0


def _motion(rows: dict[str, Row]) -> Iterator[tuple[str, float, float]]:
    for length, row in rows.items():
        for name in ("deblur", "deblur-fast"):
            if name in row:
                yield f"motion {length} px, noise 1: {name} over the input, dB", row[name] - row["input"], 2.0


def _compressed(rows: dict[str, Row]) -> Iterator[tuple[str, float, float]]:
    for name in ("restore", "restore-fast"):
        for crf in sorted({label.split()[0] for label in rows}):
            gains = [
                row[name + TEMPORAL] for label, row in rows.items() if label.startswith(crf) and name + TEMPORAL in row
            ]
            if gains:
                yield f"CRF {crf}: {name}{TEMPORAL}, mean gain, dB", float(np.mean(gains)), 0.3
                yield f"CRF {crf}: {name}{TEMPORAL}, gain on the worst clip, dB", min(gains), -0.05


def _noise(rows: dict[str, Row]) -> Iterator[tuple[str, float, float]]:
    for sigma, row in rows.items():
        if sigma != "seconds" and "denoise" in row:
            yield f"noise {sigma}: denoise over bilateral, dB", row["denoise"] - row["bilateral"], 1.0
            yield f"noise {sigma}: denoise over non-local means, dB", row["denoise"] - row["nlm"], 0.0
    seconds = rows.get("seconds", {})
    if "denoise" in seconds:
        yield "time of non-local means relative to denoise", seconds["nlm"] / seconds["denoise"], 10.0


def _sharp(rows: dict[str, Row]) -> Iterator[tuple[str, float, float]]:
    for name in next(iter(rows.values()), {}):
        worst = min(rows, key=lambda clip: rows[clip][name])
        yield f"sharp clips through {name}, worst clip ({worst}), dB", rows[worst][name], 40.0


def _auto(rows: dict[str, Row]) -> Iterator[tuple[str, float, float]]:
    sharp = [row for label, row in rows.items() if label.startswith("sharp ")]
    if sharp:
        untouched = [not any(row[task] for task in ("restore", "denoise", "deblur")) for row in sharp]
        yield "share of sharp clips that auto leaves unchanged", float(np.mean(untouched)), 1.0
