"""Which files are made in segments, and what a user learns about their borders."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.clips import make_clip
from tests.commands import run_vidsr
from tests.segments.runs import begun, run, source
from tests.temporal_model import temporal_file
from vidsr.errors import Notes, ignore
from vidsr.options.enhance import parse_options
from vidsr.options.paths import Job
from vidsr.segments.begun_job import BegunJob
from vidsr.segments.cut_file import cut_file
from vidsr.segments.enhance import begin, enhance_file
from vidsr.segments.job_folder import JobFolder
from vidsr.segments.source_frames import open_segment
from vidsr.stages.build import context_of

SIZE = (32, 16)


def test_the_weights_name_the_warm_up_of_a_segment(tmp_path: Path) -> None:
    clip = source(tmp_path, size=SIZE)
    for settings, frames in (({}, 28), ({"warm_up": 7}, 7)):
        model = temporal_file(tmp_path / f"warm-{frames}.safetensors", **settings)
        job = JobFolder(begun(clip, scale=2, model=str(model), fresh=True).folder).read_job()
        context = context_of(*job.plan.stages)
        assert context.before == frames
        with open_segment(job, job.cut.segments[1], context, Notes()) as opened:
            assert job.cut.segments[1].first.frame - opened.first == frames


def test_plan_and_run_tell_how_a_temporal_network_differs_at_borders(tmp_path: Path) -> None:
    clip, model = source(tmp_path, size=SIZE), temporal_file(tmp_path / "mine.safetensors")
    said = (
        "frames of mine behind the borders of segments may differ from those of --segment 0 by one or two code values"
    )
    assert [note.text for note in begun(clip, scale=2, model=str(model)).notes if said in note.text]
    assert not [note for note in begun(clip, scale=2, model="fast", fresh=True).notes if note.code == "segments_differ"]
    for segment, count in (("1s", 1), ("0", 0)):
        result = run_vidsr("plan", clip, "--scale", "2", "--model", model, "--segment", segment)
        assert result.stdout.count(said) == count


def made(folder: Path, name: str) -> Path:
    """Make a source of 25 frames or seconds, or of 19; one frame a second makes long clips cheap."""
    path = folder / name
    if path.suffix == ".y4m":
        path.write_bytes(b"YUV4MPEG2 W32 H16 F1:1 Ip A1:1 C420\n" + 25 * (b"FRAME\n" + bytes(32 * 16 * 3 // 2)))
    elif path.suffix == ".png":
        for number in range(25):
            cv2.imwrite(str(folder / f"{number:03}.png"), np.zeros((16, 32), np.uint8))
    elif name != "-":
        make_clip(path, 19 if name.startswith("short") else 25, size=SIZE, fps=1, gop=1)
    return path if name != "-" else Path(name)


def test_segments_of_a_temporal_network_are_longer_unless_the_user_names_a_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lost 10 % of their time on the frames before each segment. Plan, run and resumed run have the same ones."""
    clip = make_clip(tmp_path / "long.mkv", 100, size=SIZE, fps=1, gop=1)
    model = temporal_file(tmp_path / "mine.safetensors", warm_up=2)
    output = tmp_path / "out.mkv"

    def first_frames(**options: Any) -> list[int]:
        parsed = parse_options(scale=2, codec="ffv1", **options)
        job = begin(Job(clip, output), parsed, ignore, ignore)
        assert isinstance(job, BegunJob)
        cut = JobFolder(job.folder).read_job().cut
        assert job.segments == len(job.missing) == len(cut.segments)
        return [segment.first.frame for segment in cut.segments]

    tens = list(range(0, 100, 10))
    assert first_frames(model="nearest") == first_frames(model=str(model), segment="10s", fresh=True) == tens
    assert first_frames(model=str(model), fresh=True) == [0, 50]
    said = "segments of about 50 s instead of 10 s, as each begins 2 frames early"
    for options in ((), ("--segment", "10s")):
        assert run_vidsr("plan", clip, "--scale", "2", "--model", model, *options).stdout.count(said) == (not options)
    monkeypatch.setattr("vidsr.segments.enhance.assemble", None)  # the run ends when its segments are made
    for resumed in (False, True):
        notes = Notes()
        with pytest.raises(TypeError):
            enhance_file(Job(clip, output), parse_options(scale=2, codec="ffv1", model=str(model)), on_note=notes.add)
        assert ("resuming: 2 of 2 segments done" in notes.texts) is resumed
        assert said in notes.texts


AT_ONCE = ("short.mkv", "long.y4m", "%03d.png", "000.png", "long.avi", "-")


def test_a_clip_of_19_seconds_and_other_sources_are_made_at_once(tmp_path: Path) -> None:
    """With the default length of a segment."""
    options, output = parse_options(scale=2, model="nearest"), tmp_path / "out.mkv"
    long = made(tmp_path, "long.mkv")
    cut = cut_file(Job(long, output), options)
    assert cut is not None and len(cut.segments) == 2
    assert [cut_file(Job(made(tmp_path, name), output), options) for name in AT_ONCE] == [None] * len(AT_ONCE)
    assert cut_file(Job(long, tmp_path / "out.y4m"), options) is None, "an output of planes"


@pytest.mark.parametrize("name", AT_ONCE[:4])
def test_what_is_made_at_once_leaves_no_job_folder(tmp_path: Path, name: str) -> None:
    """Neither during the run nor after it."""
    output = tmp_path / "out" / ("out.png" if name == "000.png" else "out.mkv")
    folders: set[str] = set()

    def look(*_: Any) -> None:
        folders.update(path.name for path in output.parent.glob("?*.vidsr"))

    run(made(tmp_path, name), output, "10s", look, scale=2, model="nearest", log="none")
    look()
    assert output.exists() and folders == set()
