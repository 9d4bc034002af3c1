"""Progress of a training run on the terminal."""

import io

import pytest
from rich.console import Console

from vidsr.train.progress import Bar, Lines


@pytest.mark.parametrize("images", [1, 7, 1022])
def test_the_progress_of_teachers_takes_at_most_ten_lines(capsys: pytest.CaptureFixture[str], images: int) -> None:
    console = Console(file=io.StringIO(), width=100)
    bar, lines = Bar(10, console), Lines()
    bar.start()
    for done in range(1, images + 1):
        bar.soft_targets(done, images)
        lines.soft_targets(done, images)
    bar.stop()
    for text in (console.file.getvalue(), capsys.readouterr().err):  # type: ignore[attr-defined]
        lines_shown = [line.split(" ", 1)[1] for line in text.splitlines()]
        assert len(lines_shown) == min(images, 10)
        assert lines_shown[-1] == f"teachers: {images} of {images} images"
