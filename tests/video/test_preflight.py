"""Notes before a run on streams and tags that the output cannot hold."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.clips import make_clip
from tests.video.test_stream_copy import copy, packets
from vidsr.errors import OutputError
from vidsr.video import SlowMotion, carried_streams, lost_streams, streams


def test_free_tags_displaced_by_a_cover_in_mp4_are_noted(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=2, metadata={"unusual": "kept"}, cover=True)
    (line,) = lost_streams(source, tmp_path / "b.mp4")
    assert line.text == "left out: tags UNUSUAL (.mp4 cannot hold them together with a cover)"
    target = copy(source, tmp_path / "b.mp4")
    assert packets(target, 1)[0][1] == packets(source, 1)[0][1]
    assert lost_streams(source, tmp_path / "b.mkv") == []


def test_streams_that_mp4_cannot_hold_are_noted_before_the_run(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=30, subtitles="ass", font=b"font")
    lines = lost_streams(source, tmp_path / "b.mp4")
    assert len(lines) == 2
    assert all(".mkv can" in line.text for line in lines)
    assert "ass" in lines[0].text
    assert "test.ttf" in lines[1].text
    assert [s.type for s in streams(copy(source, tmp_path / "b.mp4"))] == ["video"]


def test_note_on_subtitles_that_only_mp4_holds_names_mp4(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=30, subtitles="mov_text")
    (line,) = lost_streams(source, tmp_path / "b.mkv")
    assert ".mp4 can" in line.text


def test_titles_that_mov_cannot_hold_are_noted(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", audio=True)
    (note,) = lost_streams(source, tmp_path / "b.mov")
    assert note.text == "left out: tags title of #1 (.mov cannot hold them)"
    assert lost_streams(source, tmp_path / "b.mp4") == []


def test_an_unknown_container_is_one_clear_error(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=1)
    with pytest.raises(OutputError, match=r"b\.xyz names no output container"):
        lost_streams(source, tmp_path / "b.xyz")


def test_notes_on_audio_match_the_output(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=3, audio=1, font=b"letters")
    slow = SlowMotion(Fraction(2), audio=True)

    def carried_and_lost(target: Path) -> list[list[str]]:
        functions = (carried_streams, lost_streams)
        return [[str(line) for line in function(source, target, slow=slow)] for function in functions]

    carried, lost = carried_and_lost(tmp_path / "b.mkv")
    assert ["attachment" in line for line in carried] == [True]
    assert ["slowed down and encoded again" in line for line in lost] == [True]
    carried, lost = carried_and_lost(tmp_path / "b.mp4")
    assert not carried and any("cannot hold it" in line and "attachment" in line for line in lost)
    carried, lost = carried_and_lost(tmp_path / "%05d.png")
    assert not carried and not any("slowed" in line for line in lost)
    assert any("cannot hold it" in line and "audio" in line for line in lost)
