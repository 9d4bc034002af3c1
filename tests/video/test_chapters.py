"""Chapters that MP4 holds in its own way: without gaps, each with a title."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.clips import make_clip
from vidsr import enhance, verify
from vidsr.errors import Notes
from vidsr.video.chapters import Chapter, read_chapters, without_gaps

Times = list[tuple[int, int, str | None]]  # of chapters: start and end in milliseconds, title
CASES: dict[str, tuple[Times, Times]] = {  # of the source, of MP4
    "one after the other": ([(0, 80, "A"), (80, 160, "B")], [(0, 80, "A"), (80, 160, "B")]),
    "the first one late": ([(80, 160, "B")], [(0, 80, ""), (80, 160, "B")]),
    "a gap": ([(0, 40, "A"), (80, 160, "B")], [(0, 40, "A"), (40, 80, ""), (80, 160, "B")]),
    "no title": ([(0, 80, None), (80, 120, None)], [(0, 80, ""), (80, 120, "")]),
    "an overlap": ([(0, 120, "A"), (80, 160, "B")], [(0, 80, "A"), (80, 160, "B")]),
    "one within another": ([(0, 160, "Part"), (0, 80, "A"), (80, 160, "B")], [(0, 80, "A"), (80, 160, "B")]),
    "a tick between": ([(0, 80, "A"), (81, 160, "B")], [(0, 80, "A"), (81, 160, "B")]),
}


def times(chapters: list[Chapter]) -> Times:
    return [(round(one.start * 1000), round(one.end * 1000), one.title) for one in chapters]


def clip_with(folder: Path, chapters: Times) -> Path:
    """A clip of five frames, a fifth of a second, with these chapters."""
    plain, path = make_clip(folder / "plain.mkv", frames=5, size=(64, 48)), folder / "a.mkv"
    with av.open(str(plain)) as old, av.open(str(path), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        data: list[Any] = [
            {"id": number, "start": start, "end": end, "time_base": Fraction(1, 1000),
             "metadata": {} if title is None else {"title": title}}
            for number, (start, end, title) in enumerate(chapters, 1)
        ]  # fmt: skip
        new.set_chapters(data)
        for packet in old.demux():
            if packet.size:
                packet.stream = copy
                new.mux(packet)
    return path


@pytest.mark.parametrize("case", CASES)
def test_chapters_of_matroska_become_those_of_mp4(case: str) -> None:
    source, expected = CASES[case]
    chapters = [Chapter(Fraction(a, 1000), Fraction(b, 1000), {"title": t} if t else {}, 1) for a, b, t in source]
    assert times(without_gaps(chapters)) == expected


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("case", ["the first one late", "a gap", "no title", "one within another"])
def test_an_output_with_unusual_chapters_is_verified(tmp_path: Path, case: str, suffix: str) -> None:
    """MP4 has no gaps between chapters and forgot those without a title: a sound clip failed its verification."""
    source, expected = CASES[case]
    clip, output, notes = clip_with(tmp_path, source), tmp_path / f"b{suffix}", Notes()
    report = enhance(clip, output, scale=1, preset="ultrafast", log=False, on_note=notes.add)
    assert report.verification is not None and report.verification.ok
    assert verify(clip, output).ok
    with av.open(str(output)) as opened:
        found = times(read_chapters(opened))
    assert found == (expected if suffix != ".mkv" else [(start, end, title or "") for start, end, title in source])
    left_out = [note.text for note in notes if note.code == "chapters_left_out"]
    assert bool(left_out) == (case == "one within another" and suffix != ".mkv")
    assert all("'Part', which begin with another one" in text for text in left_out)


def test_a_moved_chapter_is_a_difference_between_gaps_too(tmp_path: Path) -> None:
    clip = clip_with(tmp_path, CASES["a gap"][0])
    enhance(clip, tmp_path / "b.mp4", scale=1, preset="ultrafast", log=False)
    (tmp_path / "other").mkdir()
    other = clip_with(tmp_path / "other", [(0, 40, "A"), (100, 160, "B")])
    assert [check.name for check in verify(other, tmp_path / "b.mp4").failures] == ["chapter times"]
