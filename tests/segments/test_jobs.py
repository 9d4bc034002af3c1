"""Segments in several processes: the same bytes, whichever process ends early."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.segments.kills import killed
from tests.segments.runs import FRAMES, run, source
from vidsr.errors import VidsrError
from vidsr.options.enhance import parse_options
from vidsr.options.paths import Job
from vidsr.runtime.worker import Worker
from vidsr.segments.enhance import enhance_file
from vidsr.segments.job_folder import JobFolder


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    clip, alone, output = source(tmp_path), tmp_path / "alone.mp4", tmp_path / "out.mp4"
    options: dict[str, Any] = {"codec": "libx264", "fps": "2x"}
    run(clip, alone, **options)
    frames: list[int] = []
    report = run(clip, output, on_frames=lambda done, _: frames.append(done), jobs=2, **options)
    assert output.read_bytes() == alone.read_bytes()
    assert report.frames == frames[-1] == 200


@pytest.mark.slow
def test_four_processes_write_the_bytes_of_a_run_alone_and_of_one_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    clip, output = source(folder), tmp_path / "four.mp4"
    words = ["enhance", clip.name, "--scale", "2", "--model", "fast", "--segment", "0.5s", "--codec", "libx264"]
    killed(folder, words, "out.mp4", 2, 3)  # compares it with the run alone, whole.mp4
    monkeypatch.setattr("vidsr.segments.workers.default_limit", lambda: None)  # whatever memory is free
    seen: set[int] = set()
    parsed = parse_options(scale=2, model="fast", segment="0.5s", codec="libx264", jobs=4)
    report = enhance_file(Job(clip, output), parsed, on_worker=lambda line: seen.add(line.worker))
    assert seen == {0, 1, 2, 3} and report.frames == FRAMES
    assert output.read_bytes() == (folder / "whole.mp4").read_bytes() == (folder / "out.mp4").read_bytes()


def test_the_segment_of_a_killed_process_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, alone, output = source(tmp_path), tmp_path / "alone.mkv", tmp_path / "out.mkv"
    run(clip, alone)
    call, killed = Worker.call, []

    def kill_once(self: Worker, *arguments: Any, on_event: Any) -> Any:
        if not killed:
            assert self._process is not None
            killed.append(self._process.pid)
            os.kill(self._process.pid, signal.SIGKILL)
        return call(self, *arguments, on_event=on_event)

    monkeypatch.setattr(Worker, "call", kill_once)
    run(clip, output, jobs=2)
    assert killed
    assert output.read_bytes() == alone.read_bytes()


def test_an_error_in_a_process_is_one_line(tmp_path: Path) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"

    def remove(done: int, _: int | None) -> None:
        clip.unlink(missing_ok=True)

    with pytest.raises(VidsrError, match=r"segment \d of .*clip.mkv is gone: return it"):
        run(clip, output, on_frames=remove, jobs=2)
    assert not output.exists()
    for path in JobFolder.of(output).path.glob("*.part"):
        raise AssertionError(path)


def test_a_job_whose_segments_are_all_finished_needs_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processors were shared among no processes, a division by zero."""
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    with monkeypatch.context() as patch:
        patch.setattr("vidsr.segments.enhance.assemble", None)
        with pytest.raises(TypeError):
            run(clip, output)
    monkeypatch.setattr("vidsr.segments.enhance.open_pool", None)
    run(clip, output, jobs=2)
    assert output.exists()
