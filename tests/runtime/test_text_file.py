"""Text files that the user names: a device that never ends is no list and no recipe."""

from pathlib import Path

import pytest

from tests.commands import run_vidsr
from vidsr.errors import ExitCode
from vidsr.runtime import text_file


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
@pytest.mark.parametrize(
    "words", [("enhance", "--from-file", "/dev/full", "--scale", "2"), ("train", "/dev/full", "-o", "new")]
)
def test_a_text_file_without_an_end_is_one_line(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """`--from-file /dev/full` read zeros until the memory was full."""
    monkeypatch.setattr(text_file, "MOST_BYTES", 1000)
    result = run_vidsr(*words)
    assert result.returncode == ExitCode.BAD_REQUEST, result.stderr
    assert "File too large" in result.stderr and "Traceback" not in result.stderr


def test_a_text_file_of_the_longest_size_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "list.txt").write_text("a.mp4\nö.mp4\n")
    monkeypatch.setattr(text_file, "MOST_BYTES", len("a.mp4\nö.mp4\n".encode()))
    assert text_file.read_text(tmp_path / "list.txt") == "a.mp4\nö.mp4\n"
