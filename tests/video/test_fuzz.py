"""Damaged clips: each run ends in time with a verified output or one clear error, and leaves no partial file."""

from pathlib import Path

import pytest

from tests.fuzz.calls import outcome, whole_clips
from tests.tiers import few_or_many


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return whole_clips(tmp_path_factory.mktemp("whole"))


@pytest.mark.more
@pytest.mark.parametrize("number", range(11))
def test_damaged_clip_succeeds_or_fails_with_one_clear_error(clips: list[Path], tmp_path: Path, number: int) -> None:
    for seed in range(few_or_many(10, 300)):
        outcome(clips[number], tmp_path, number, seed, verify=True)
