"""`vidsr compare`: scores of several methods on every file, as tables, CSV and contact sheets."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vidsr.cli.tables import print_json, print_rows
from vidsr.errors import OutputError
from vidsr.evaluate.compare import Comparison, OnRow, Row
from vidsr.evaluate.contact_sheet import contact_sheet, write_png
from vidsr.evaluate.interpolation import compare_interpolation
from vidsr.evaluate.restoration import Damage, compare_restoration, parse_damage
from vidsr.evaluate.upscaling import compare_upscaling, default_methods
from vidsr.options.enhance import EnhanceOptions, parse_options
from vidsr.options.frame_rate import Clock
from vidsr.options.paths import list_jobs

CSV_NAME = "compare.csv"
COLUMNS = ("source", "frame", "method", "psnr_y", "ssim_y", "mse_y")


def compare(
    inputs: list[Path],
    scale: int,
    blur: str | None,
    noise: str | None,
    crf: float | None,
    models: str | None,
    crops: int,
    output: Path | None,
    json: bool,
    **options: Any,
) -> None:
    """Compare methods on every file with the ``options`` of `parse_options`, and print and write the scores."""
    parsed = parse_options(scale=scale, **options)
    restores = parsed.restorations or blur or noise or crf is not None
    damage = parse_damage(blur, noise, crf) if restores else None
    methods = tuple(models.split(",")) if models else None
    compare_files(inputs, scale, methods, output, parsed, json, damage, crops, parsed.clock)


def compare_files(
    inputs: Sequence[Path],
    scale: int,
    methods: Sequence[str] | None,
    output: Path | None,
    options: EnhanceOptions,
    as_json: bool,
    damage: Damage | None = None,
    crops: int = 1,
    clock: Clock | None = None,
) -> None:
    """Compare methods on every file named by ``inputs`` and print a table for each.

    With ``output``, write compare.csv and a contact sheet of ``crops`` crops per file to that folder. With a ``clock``
    methods interpolate, with ``damage`` they restore, else they upscale by ``scale``.

    Raises:
        VidsrError: a file cannot be read, a method is unknown, or the folder cannot be written.
    """
    with _score_file(output) as on_row:
        for job in list_jobs(inputs, None, options).jobs:
            comparison = _compare(job.source, scale, methods, options, on_row, damage, clock)
            print_comparison(comparison, as_json)
            if output is not None:
                path = output / f"{job.source.stem}.compare.{comparison.tag}.png"
                write_png(path, contact_sheet(comparison, crops))


def _compare(
    source: Path,
    scale: int,
    methods: Sequence[str] | None,
    options: EnhanceOptions,
    on_row: OnRow,
    damage: Damage | None,
    clock: Clock | None,
) -> Comparison:
    if clock is not None:
        return compare_interpolation(source, clock, methods, options, on_row)
    if damage is not None:
        return compare_restoration(source, damage, methods, options, on_row)
    return compare_upscaling(source, scale, methods or default_methods(scale), options, on_row)


@contextmanager
def _score_file(output: Path | None) -> Iterator[OnRow]:
    """A function that writes a row of compare.csv in the folder ``output``, if there is one.

    Raises:
        OutputError: the file cannot be written. Errors of the comparison itself pass through.
    """
    if output is None:
        yield lambda row: None
        return
    with _write_errors(output):
        output.mkdir(parents=True, exist_ok=True)
        file = (output / CSV_NAME).open("w", newline="")
    writer = csv.DictWriter(file, COLUMNS)

    def on_row(row: Row) -> None:
        with _write_errors(output):
            writer.writerow(row)

    try:
        with _write_errors(output):
            writer.writeheader()
        yield on_row
    finally:
        with _write_errors(output):
            file.close()


@contextmanager
def _write_errors(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror}; choose another folder") from None


def print_comparison(comparison: Comparison, as_json: bool) -> None:
    """Print the scores of every method on one clip or image."""
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
