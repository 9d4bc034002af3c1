"""Measures every line of docs/exactness.md and writes it."""

import sys
import tempfile
from pathlib import Path

from tests.exactness import ROWS, Row, in_form
from tests.exactness.document import DOCUMENT, rendered

VARIANTS = 300  # of each clip in the fuzzer; the test runs fewer


def measured(row: Row) -> str:
    with tempfile.TemporaryDirectory() as folder:
        finding = row.measure(Path(folder))
    print(f"{'ok  ' if finding.holds else 'FAIL'} {row.name}: {finding.text}", flush=True)
    if not finding.holds:
        sys.exit(1)
    return finding.text


if __name__ == "__main__":
    in_form.VARIANTS = VARIANTS
    DOCUMENT.write_text(rendered([(row, measured(row)) for row in ROWS]))
