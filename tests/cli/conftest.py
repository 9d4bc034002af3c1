"""Fixtures that several test files of the command line share."""

from pathlib import Path

import pytest

from tests.clips import make_clip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three clips."""
    (tmp_path / "in").mkdir()
    for name in "abc":
        make_clip(tmp_path / "in" / f"{name}.mp4", frames=2, size=(64, 48))
    return tmp_path / "in"
