"""Tables on stdout: streams of a file, networks, scores. For people, or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vidsr.bench.bench import Bench
from vidsr.cli.progress import picture
from vidsr.evaluate.compare import Comparison
from vidsr.evaluate.image_sets import ImageScores
from vidsr.kernels.resample import KERNELS
from vidsr.models import list_models
from vidsr.models.weights import WEIGHTS
from vidsr.options.restoration import CLASSICAL
from vidsr.pipeline.estimate import Estimates, Outlook
from vidsr.pipeline.verify import Verification
from vidsr.video import streams


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table; the first column is text, the others are set to the right."""
    table = Table(title=title or None, box=None, padding=(0, 2, 0, 0), title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))
    # no terminal: as wide as it needs, so that a pipe sees whole lines
    console = Console(highlight=False)
    console.print(table, width=None if console.is_terminal else 240)


def print_json(value: object) -> None:
    """``value`` as indented JSON."""
    print(json.dumps(value, indent=1, default=str))


def print_streams(file: Path, as_json: bool) -> None:
    """The streams of a clip or image."""
    found = streams(file)
    if as_json:
        print_json({"file": str(file), "streams": [stream.to_json() for stream in found]})
        return
    print(file)
    for stream in found:
        print(f"  {stream}")


def print_models(as_json: bool, folder: Path = WEIGHTS) -> None:
    """The networks with their weights, and the classical kernels."""
    rows = list_models(folder)
    if as_json:
        print_json(rows)
        return
    columns = ("model", "parameters", "kMAC/pixel", "PSNR-Y Set5", "kB", "sha256")
    print_rows(columns, [_model_cells(row) for row in rows])
    for row in rows:
        if row["note"]:
            print(f"\n{row['name']} x{row['scale']}: {row['note']}")
    print(f"\nclassical kernels: {', '.join(KERNELS)}")
    print(f"classical restoration: {', '.join(CLASSICAL)}")


def _model_cells(row: dict[str, Any]) -> tuple[object, ...]:
    set5 = json.loads(row["scores"] or "{}").get("set5", {})
    return (
        f"{row['name']} x{row['scale']} {row['domain']}",
        row["parameters"],
        f"{row['kmac_per_pixel']:.1f}",
        set5["psnr_y"] if "bicubic_psnr_y" in set5 else "",  # a restoration's is another measure
        f"{row['bytes'] / 1000:.0f}",
        row["sha256"][:12],
    )


def print_comparison(comparison: Comparison, as_json: bool) -> None:
    """The scores of every method on one clip or image."""
    if as_json:
        scores = [{**asdict(score), "fps": score.fps} for score in comparison.scores]
        print_json({"source": str(comparison.source), "scale": comparison.scale, "scores": scores})
        return
    rows = [
        (s.method, f"{s.psnr_y:.3f}", f"{s.ssim_y:.4f}", f"{s.mse_y:.2f}", f"{s.fps:.1f}") for s in comparison.scores
    ]
    info = comparison.info
    title = f"{comparison.source.name}: {info.width}x{info.height}, {comparison.change}"
    print_rows(("method", "PSNR-Y dB", "SSIM-Y", "MSE-Y", "fps"), rows, f"{title}, {comparison.frames} frames")


def print_bench(result: Bench, as_json: bool) -> None:
    """Peaks of the machine, the cost of each step, the bound that follows, and what the run reached."""
    if as_json:
        print_json(result.to_json())
        return
    products = ", ".join(f"{name} {value:.0f}" for name, value in result.peaks.gflops.items())
    print(f"{result.machine}, {result.cores} cores, {result.compute}")
    print(f"matrix product, GFLOP/s: {products}; memory copy {result.peaks.copy_gbs:.1f} GB/s")
    print(f"{', '.join(result.plan)}: {result.frames} frames")
    print_rows(("step", "core-ms per frame"), [(name, f"{1000 * cost:.2f}") for name, cost in result.costs.items()])
    others = "" if result.left > 0.98 else f" of the {result.left:.0%} of the machine that others left"
    print(
        f"bound {result.bound:.1f} fps (most in {result.bottleneck}), reached {result.fps:.1f}: "
        f"{result.efficiency:.0%}{others}"
    )
    if result.network_gflops is not None and result.of_peak is not None:
        print(f"network: {result.network_gflops:.0f} GFLOP/s, {result.of_peak:.0%} of the matrix product's rate")
        print(f"with the network at that rate: bound {result.physical:.1f} fps, {result.of_physical:.0%} of it reached")
    if result.memory is not None:
        print(f"memory: at most {result.memory:.0f} MB")
    if result.programs:
        print_rows(("whole program", "seconds", "core-s", "MB", "vidsr takes"), _program_rows(result))
    if result.resizes:
        rows = [(name, f"{1000 * cost:.2f}") for name, cost in result.resizes.items()]
        print_rows(("resize alone", "core-ms per frame"), rows)


def _program_rows(result: Bench) -> Iterator[tuple[object, ...]]:
    for name, row in result.programs.items():
        seconds = f"{row.usage.alone:.2f}"
        yield name, seconds, f"{row.usage.cpu:.2f}", f"{row.usage.peak:.0f}", f"{row.ours:.2f} times as long"


def print_verification(verification: Verification, as_json: bool) -> None:
    """Each thing that was compared, and whether it held."""
    if as_json:
        print_json(verification.to_json())
        return
    for check in verification.checks:
        print(f"{'ok  ' if check.ok else 'DIFF'} {check}")


def print_evaluation(rows: Sequence[ImageScores], as_json: bool) -> None:
    """PSNR-Y, SSIM and MSE of every picture beside bicubic's, and the means."""
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    columns = ("picture", "PSNR-Y dB", "bicubic", "SSIM", "bicubic", "MSE", "bicubic")
    print_rows(
        columns,
        [
            (
                f"{row.folder}/{row.image}",
                f"{row.psnr_y:.2f}",
                f"{row.bicubic_psnr_y:.2f}",
                f"{row.ssim:.4f}",
                f"{row.bicubic_ssim:.4f}",
                f"{row.mse:.2f}",
                f"{row.bicubic_mse:.2f}",
            )
            for row in rows
        ],
    )


def print_estimates(estimates: Estimates, as_json: bool) -> None:
    """What would become of each file, and what the whole run would take."""
    if as_json:
        print_json(estimates.to_json())
        return
    for file in estimates.files:
        print(f"{file.source} -> {file.target}")
        for name, value in _outlook_rows(file):
            print(f"  {name:<8} {value}")
    for path, why in estimates.failed:
        print(f"{path}: would fail: {why}")
    for path in estimates.unopened:
        print(f"{path}: not opened, estimated by its size")
    memory = "" if estimates.memory is None else f", {_megabytes(estimates.memory)} of memory"
    print(
        f"about {duration(estimates.seconds)}, {_megabytes(estimates.bytes)} on disk "
        f"({_megabytes(estimates.free)} are free){memory}; nothing was written"
    )


def _outlook_rows(file: Outlook) -> list[tuple[str, str]]:
    rows = [
        ("picture", f"{picture(file.input)} -> {picture(file.output)}"),
        ("stages", ", ".join(file.stages) or "none"),
    ]
    rows += [("copied", stream) for stream in file.kept]
    rows += [("note", note.text) for note in file.notes]
    rows += [("problem", file.problem)] if file.problem else []
    frames = f"{file.output.frames} frames, " if file.output.frames else ""
    rows.append(("about", f"{frames}{duration(file.seconds)}, {_megabytes(file.bytes)} ({file.basis})"))
    return rows


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.3g} MB" if size < 1e9 else f"{size / 1e9:.3g} GB"


def duration(seconds: float) -> str:
    """Seconds in words of at most two parts: 8.1 s, 12 min 5 s, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
