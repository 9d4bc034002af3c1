"""docs/exactness.md: written from what was measured, and read back."""

from __future__ import annotations

from collections.abc import Iterable

from tests.exactness.table import REPO, Row

DOCUMENT = REPO / "docs" / "exactness.md"
HEAD = """# What is exact, and how exact

Written by `python -m tests.exactness`. tests/exactness/test_document.py measures every line again and fails when a
claim no longer holds or a figure has changed; of those that depend on the machine, marked with a tilde, only the claim
is tested. The measuring functions are in tests/exactness, each named after its oddity. ffprobe is the program, which
shares no code with vidsr but FFmpeg's. A few lines are measured by the test file that they name.
"""


def rendered(measured: Iterable[tuple[Row, str]]) -> str:
    """The document."""
    text, item = HEAD, ""
    for row, words in sorted(measured, key=lambda one: one[0].item):
        if row.item != item:
            item = row.item
            text += f"\n## {item}\n\n| claim | measured |\n|---|---|\n"
        text += f"{line(row, words)}\n"
    return text


def line(row: Row, words: str) -> str:
    """The row of the table."""
    where = f" ({row.tested_in})" if row.tested_in else ""
    return f"| {row.claim}{where} | {'~ ' if row.varies else ''}{words} |"
