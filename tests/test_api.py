"""The Python functions: what `import vidsr` offers, and that each does its work."""

from fractions import Fraction
from pathlib import Path

import pytest

import vidsr
from tests.clips import make_clip
from vidsr.errors import Note


def test_the_package_offers_its_functions_and_nothing_else() -> None:
    names = {"VidsrError", "compare", "enhance", "load_model", "verify"}
    assert names <= set(dir(vidsr)) and set(vidsr.__all__) == names | {"__version__"}
    with pytest.raises(AttributeError, match="has no attribute 'upscale'"):
        vidsr.upscale  # noqa: B018


def test_enhance_reports_progress_and_notes_and_verify_checks_the_output(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=3, size=(64, 48))
    frames: list[tuple[int, int | None]] = []
    notes: list[Note] = []
    report = vidsr.enhance(
        source,
        tmp_path / "b.mkv",
        scale=Fraction(3, 2),
        model="nearest",
        preset="ultrafast",
        on_frames=lambda written, expected: frames.append((written, expected)),
        on_note=notes.append,
    )
    assert (report.frames, report.output.width, report.output.height) == (3, 96, 72)
    assert frames[-1] == (3, 3)
    assert "color_assumed" in {note.code for note in notes}
    assert vidsr.verify(source, str(tmp_path / "b.mkv")).ok
    other = make_clip(tmp_path / "other.mp4", frames=3, size=(64, 48), fps=12)
    assert not vidsr.verify(other, tmp_path / "b.mkv").ok


def test_compare_returns_the_scores_of_every_method(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    comparison = vidsr.compare(source, scale=2, models=["nearest", "bicubic"], device="cpu")
    assert [score.method for score in comparison.scores] == ["nearest", "bicubic"]
    restored = vidsr.compare(source, deblur=1, blur="gaussian:1.2", models="wiener", device="cpu")
    assert "wiener" in {score.method for score in restored.scores}


def test_load_model_knows_the_domains_by_the_names_of_the_option() -> None:
    assert vidsr.load_model("balanced", 4, domain="compressed").path.name == "balanced-video-x4.safetensors"
    assert vidsr.load_model("balanced", 4).path.name == "balanced-clean-x4.safetensors"
    with pytest.raises(vidsr.VidsrError, match="no_such"):
        vidsr.load_model("no_such", 4)
