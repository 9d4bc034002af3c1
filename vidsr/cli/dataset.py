"""`vidsr dataset`: pack images and clips into one file for training."""

from __future__ import annotations

from pathlib import Path

from vidsr.train.prepare.dataset import build, parse_kinds, parse_split


def dataset(
    paths: list[Path],
    output: Path,
    reduce: int,
    every: int,
    split: str,
    seed: int,
    kinds: str,
    compact: bool,
    overwrite: bool,
) -> None:
    """Write the file, and print what it contains and what was skipped."""
    summary = build(paths, output, parse_split(split), reduce, every, seed, parse_kinds(kinds), compact, overwrite)
    size = output.stat().st_size / 1e6
    print(f"{output}: {summary.images}, {summary.megapixels:.1f} megapixels, {size:.1f} MB")
    print(f"{len(summary.skipped)} skipped")
    for path in summary.skipped:
        print(f"skipped: {path}")
