"""`vidsr compare`: scores of several methods on every file, as tables, CSV and contact sheets."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vidsr.api import compare_file
from vidsr.cli.tables import print_json, print_rows
from vidsr.errors import ExitCode, InputError, PipeClosed
from vidsr.evaluate.compare import Comparison, OnRow, Row
from vidsr.evaluate.contact_sheet import contact_sheet, write_png
from vidsr.options.enhance import EnhanceOptions, parse_options
from vidsr.options.output_names import refuse_inputs
from vidsr.options.paths import list_jobs
from vidsr.runtime import interrupt
from vidsr.runtime.error_boundary import as_vidsr_error, one_line
from vidsr.runtime.output_file import OutputFile

CSV_NAME = "compare.csv"
REMEDY = "choose another folder"
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
    overwrite: bool,
    json: bool,
    **options: Any,
) -> ExitCode:
    """Compare methods on every file of ``inputs`` with the ``options`` of `parse_options`, and print a table for each.

    With ``output``, write compare.csv and a contact sheet of ``crops`` crops per file to that folder. Of several files,
    those that fail are reported and the others go on.

    Raises:
        VidsrError: the only file cannot be compared, or the folder cannot be written.
    """
    parsed = parse_options(scale=scale, **options)
    if output is not None:
        refuse_inputs([output / CSV_NAME], inputs)
    named, failed = distinct_stems(inputs, parsed), 0
    with score_file(output, overwrite) as on_row:
        for source, stem in named:
            try:
                comparison = compare_file(source, scale, models, parsed, blur, noise, crf, on_row)
                print_comparison(comparison, json)
                if output is not None:
                    path = output / f"{stem}.compare.{comparison.tag}.png"
                    refuse_inputs([path], inputs)
                    write_png(path, contact_sheet(comparison, crops), overwrite)
            except Exception as error:
                interrupt.check()
                known = as_vidsr_error(error, source) or error
                if len(named) == 1 or isinstance(known, PipeClosed):
                    raise
                print(f"failed: {source}: {one_line(known)}", file=sys.stderr)
                failed += 1
        if failed == len(named):
            raise InputError(f"none of the {failed} files could be compared: see the lines above")
    return ExitCode.SOME_FAILED if failed else ExitCode.DONE


def distinct_stems(inputs: list[Path], options: EnhanceOptions) -> list[tuple[Path, str]]:
    """Return every file of ``inputs`` and the beginning of its contact sheet's name, which differs from the others.

    Raises:
        VidsrError: an input does not exist.
    """
    sources = [job.source for job in list_jobs(inputs, None, options).jobs]
    stems = Counter(source.stem for source in sources)
    named = Counter(source.name for source in sources)
    distinct = []
    for number, source in enumerate(sources, 1):
        clash = f"{number}.{source.name}" if named[source.name] > 1 else source.name
        distinct.append((source, source.stem if stems[source.stem] == 1 else clash))
    return distinct


@contextmanager
def score_file(output: Path | None, overwrite: bool) -> Iterator[OnRow]:
    """Yield a function that writes a row of compare.csv in the folder ``output``, if there is one.

    Raises:
        OutputError: the file exists and ``overwrite`` is not set, or it cannot be written.
    """
    if output is None:
        yield lambda row: None
        return
    with OutputFile(output / CSV_NAME, overwrite, make_folders=True, remedy=REMEDY) as file:
        with file.named_errors():
            rows = file.part.open("w", newline="")
        writer = csv.DictWriter(rows, COLUMNS)

        def on_row(row: Row) -> None:
            with file.named_errors():
                writer.writerow(row)

        try:
            with file.named_errors():
                writer.writeheader()
            yield on_row
        finally:
            with file.named_errors():
                rows.close()


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
