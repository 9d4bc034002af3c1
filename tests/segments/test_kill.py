"""Kills at random moments: nothing that is finished is lost, and the resumed output is that of an undisturbed run."""

from pathlib import Path

import pytest

from tests.clips import make_clip
from tests.segments.kills import killed
from tests.segments.runs import source


@pytest.mark.parametrize("output", ["out.mp4"])
def test_five_kills(tmp_path: Path, output: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    clip = source(folder)
    words = ["enhance", clip.name, "--scale", "2", "--model", "bicubic", "--fps", "2x", "--segment", "1s"]
    killed(folder, words, output, 5, 1)


@pytest.mark.slow
def test_twenty_kills_of_a_minute(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    clip = make_clip(folder / "clip.mp4", 60 * 25, size=(96, 72), gop=50, audio=1)
    done = killed(folder, ["enhance", clip.name, "--scale", "2", "--model", "bicubic"], "out.mp4", 20, 2)
    assert max(done) >= 2
