"""Measure every row of docs/exactness.md and write it."""

import sys
import tempfile
from pathlib import Path

from tests.exactness import ROWS, Row, robustness
from tests.exactness.document import DOCUMENT, rendered

VARIANTS = 300  # damaged copies of each clip; the tests run fewer


def measured(row: Row) -> str:
    with tempfile.TemporaryDirectory() as folder:
        finding = row.measure(Path(folder))
    print(f"{'ok  ' if finding.holds else 'FAIL'} {row.name}: {finding.text}", flush=True)
    if not finding.holds:
        sys.exit(1)
    return finding.text


if __name__ == "__main__":
    robustness.VARIANTS = VARIANTS
    DOCUMENT.write_text(rendered([(row, measured(row)) for row in ROWS]))
