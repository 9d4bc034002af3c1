"""Every row of docs/exactness.md still holds."""

from pathlib import Path

import pytest

from tests.exactness import ROWS, Row, Unmeasured
from tests.exactness.document import DOCUMENT, line, rendered
from tests.exactness.table import REPO

LINES = DOCUMENT.read_text().splitlines()


SLOW = {"three_hours_at_60_fps"}
MEASURED = [
    pytest.param(row, marks=pytest.mark.slow if row.name in SLOW else (), id=row.name)
    for row in ROWS
    if not row.tested_in
]


@pytest.mark.parametrize("row", MEASURED)
def test_the_claim_holds(row: Row, tmp_path: Path) -> None:
    try:
        finding = row.measure(tmp_path)
    except Unmeasured as missing:
        pytest.skip(str(missing))
    assert finding.holds, f"{row.claim}: {finding.text}"
    if not row.varies:
        assert line(row, finding.text) in LINES, "run python -m tests.exactness"


@pytest.mark.parametrize("row", [row for row in ROWS if row.tested_in], ids=lambda row: row.name)
def test_tests_named_by_the_table_exist(row: Row) -> None:
    assert (REPO / row.tested_in).exists()


def test_the_document_has_exactly_these_rows() -> None:
    claims = [text.split(" | ")[0] for text in LINES if text.startswith("| ")]
    expected = [
        text.split(" | ")[0] for text in rendered((row, "") for row in ROWS).splitlines() if text.startswith("| ")
    ]
    assert claims == expected
