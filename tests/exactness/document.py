"""Render docs/exactness.md from the measurements."""

from __future__ import annotations

from collections.abc import Iterable

from tests.exactness.table import REPO, Row

DOCUMENT = REPO / "docs" / "exactness.md"
HEAD = """# What is exact, and how exact

`python -m tests.exactness` writes this file. tests/exactness/test_document.py measures every row again. It fails when a
claim no longer holds or a figure has changed. A tilde marks figures that depend on the machine: there only the claim is
tested. The measurements are in tests/exactness, each named after its subject. "By ffprobe" means the ffprobe program,
which shares only FFmpeg's libraries with vidsr. Some rows are tested in the file that they name.
"""


def rendered(measured: Iterable[tuple[Row, str]]) -> str:
    """Return the document."""
    text, item = HEAD, ""
    for row, words in sorted(measured, key=lambda one: one[0].item):
        if row.item != item:
            item = row.item
            text += f"\n## {item}\n\n| claim | measured |\n|---|---|\n"
        text += f"{line(row, words)}\n"
    return text


def line(row: Row, words: str) -> str:
    """Return a row of the table."""
    where = f" ({row.tested_in})" if row.tested_in else ""
    return f"| {row.claim}{where} | {'~ ' if row.varies else ''}{words} |"
