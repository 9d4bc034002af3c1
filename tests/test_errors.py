"""Notes: one road from whatever notices something to whoever shows it."""

from vidsr.errors import Note, Notes


def test_the_listener_receives_every_note_in_order() -> None:
    heard: list[Note] = []
    notes = Notes(heard.append)
    notes.info("alpha_dropped", "left out: transparency")
    notes.extend([Note("audio_slowed", "slowed: sound")])
    notes.warn("source_truncated", "a.mkv is truncated")
    assert heard == list(notes) and len(notes) == 3
    assert [note.level for note in notes] == ["info", "info", "warning"]
    assert (
        notes.texts
        == [str(note) for note in heard]
        == ["left out: transparency", "slowed: sound", "a.mkv is truncated"]
    )


def test_an_empty_collection_is_false() -> None:
    assert not Notes()
