"""`vidsr bench`: speed of the machine, of each step, and of baselines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidsr.bench import bench as benchmark
from vidsr.bench.bench import Bench
from vidsr.cli.tables import print_json, print_rows


def bench(clip: Path, rounds: int, baselines: bool, json: bool, **options: Any) -> None:
    """Measure a run on ``clip`` with the ``options`` of `parse_options`, and print the figures."""
    print_bench(benchmark.bench(clip, options, rounds, baselines), json)


def print_bench(result: Bench, as_json: bool) -> None:
    """Print hardware limits, cost of each step, bound, and speed of the run."""
    if as_json:
        print_json(result.to_json())
        return
    products = ", ".join(f"{name} {value:.0f}" for name, value in result.limits.gflops.items())
    if "int8" not in result.limits.gflops and result.compute.startswith("cpu"):
        products += ", int8 not without VNNI or AMX"
    print(f"{result.machine}, {result.cores} cores, {result.compute}")
    print(f"matrix product, GFLOP/s: {products}; memory copy {result.limits.copy_gbs:.1f} GB/s")
    print(f"{', '.join(result.plan)}: {result.frames} frames")
    print_rows(("step", "core-ms per frame"), [(name, f"{1000 * cost:.2f}") for name, cost in result.costs.items()])
    alone = result.machine_share > 0.98
    others = "" if alone else f" of the {result.machine_share:.0%} of the machine that other processes left"
    print(
        f"bound {result.bound:.1f} fps (most in {result.bottleneck}), reached {result.fps:.1f}: "
        f"{result.efficiency:.0%}{others}"
    )
    if result.network_gflops is not None and result.network_share is not None:
        print(f"network: {result.network_gflops:.0f} GFLOP/s, {result.network_share:.0%} of the matrix-product rate")
        print(
            f"roofline, with the network at that rate: {result.roofline:.1f} fps, {result.roofline_share:.0%} reached"
        )
    if result.memory is not None:
        print(f"memory: at most {result.memory:.0f} MB")
    if result.programs:
        print_rows(("whole program", "seconds", "core-s", "MB", "vidsr relative to it"), _program_rows(result))
    if result.resizes:
        rows = [(name, f"{1000 * cost:.2f}") for name, cost in result.resizes.items()]
        print_rows(("resize alone", "core-ms per frame"), rows)


def _program_rows(result: Bench) -> Iterator[tuple[object, ...]]:
    for name, row in result.programs.items():
        seconds = f"{row.usage.alone:.2f}"
        yield name, seconds, f"{row.usage.cpu:.2f}", f"{row.usage.peak:.0f}", f"{row.ratio:.2f}"
