"""An encoder completes its segment while the next one begins, unless memory is limited."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.segments.runs import run, source
from vidsr.segments import enhance


@pytest.mark.parametrize(("options", "overlaps"), [({}, True), ({"memory": "4G"}, False)])
def test_segments_overlap_unless_memory_is_limited_however_much_is_free(
    options: dict[str, Any], overlaps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed_behind, overlapped = enhance.completed_behind, []

    def watched(calls: Iterable[Any]) -> Iterable[Any]:
        overlapped.append(True)
        return completed_behind(calls)

    monkeypatch.setattr(enhance, "default_limit", lambda: None)  # whatever memory is free
    monkeypatch.setattr(enhance, "completed_behind", watched)
    run(source(tmp_path), tmp_path / "out.mkv", **options)
    assert bool(overlapped) == overlaps
