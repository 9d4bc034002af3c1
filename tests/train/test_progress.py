"""What a run says on the terminal."""

import io

import pytest
from rich.console import Console

from vidsr.train.progress import Bar, Lines


@pytest.mark.parametrize("pictures", [1, 7, 1022])
def test_teachers_say_how_far_they_are_in_at_most_ten_lines(capsys: pytest.CaptureFixture[str], pictures: int) -> None:
    console = Console(file=io.StringIO(), width=100)
    bar, lines = Bar(10, console), Lines()
    bar.start()
    for done in range(1, pictures + 1):
        bar.taught(done, pictures)
        lines.taught(done, pictures)
    bar.stop()
    for said in (console.file.getvalue(), capsys.readouterr().err):  # type: ignore[attr-defined]
        told = [line.split(" ", 1)[1] for line in said.splitlines()]
        assert len(told) == min(pictures, 10)
        assert told[-1] == f"teachers: {pictures} of {pictures} pictures"
