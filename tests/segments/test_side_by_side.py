"""Several files at the same time: the bytes of a run in turn, longest files first, each failure reported once."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.clips import make_clip
from tests.commands import run_vidsr
from tests.segments.runs import SEGMENTS, source
from vidsr.errors import ExitCode, OutputError
from vidsr.runtime.error_boundary import Failure, WorkerFailed
from vidsr.runtime.worker_pool import OnEvent, WorkerPool
from vidsr.segments import side_by_side, tasks
from vidsr.segments.begun_job import Need
from vidsr.segments.folder_lock import FolderLock
from vidsr.segments.job_folder import JobFolder
from vidsr.segments.tasks import BeginFile, CompleteFile, MakeSegment, Task

OPTIONS = ("--scale", "2", "--model", "nearest", "--segment", "1s", "--codec", "ffv1", "--log", "none")


class Here:
    """A worker on a thread of this process. Tasks in ``ends`` end it, once each."""

    ends: tuple[Any, ...] = ()
    done: ClassVar[list[Task]] = []

    def __init__(self) -> None:
        self.ended: list[Task] = []

    def prepare(self, on_note: Any) -> None:
        pass

    def call(self, task: Task, on_event: Any) -> Any:
        self.done.append(task)
        if isinstance(task, self.ends) and self.done.count(task) == 1:
            raise WorkerFailed(Failure("its process was killed", crashed=True))
        try:
            return tasks.perform(task, on_event)
        except Exception as error:
            raise WorkerFailed(Failure.of(error)) from None

    def close(self) -> None:
        pass


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[Here]:
    """One worker on a thread, in place of processes: the order is then certain."""
    found = [Here()]
    monkeypatch.setattr(Here, "done", [])

    @contextmanager
    def open_pool(_: Any, need: Need, seen: Path, on_event: OnEvent, *__: Any) -> Iterator[tuple[WorkerPool, str]]:
        with WorkerPool(found, on_event) as pool:
            yield pool, ""

    monkeypatch.setattr(side_by_side, "open_pool", open_pool)
    monkeypatch.setattr(side_by_side, "_estimated_need", lambda *_: Need())
    return found


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder of a long clip between two short ones."""
    (tmp_path / "in").mkdir()
    source(tmp_path / "in", "b.mkv", size=(32, 32), audio=0)
    for name in "ac":
        make_clip(tmp_path / "in" / f"{name}.mkv", 2, size=(32, 32))
    return tmp_path / "in"


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".mkv", ".part", ".vidsr")}


def test_a_folder_has_the_outputs_of_a_run_in_turn(clips: Path, workers: list[Here], tmp_path: Path) -> None:
    (clips / "d.mkv").write_bytes(b"no clip")
    turn = run_vidsr("enhance", clips, "-o", tmp_path / "turn", *OPTIONS)
    result = run_vidsr("enhance", clips, "-o", tmp_path / "out", *OPTIONS, "--jobs", "2")
    assert turn.returncode == result.returncode == ExitCode.SOME_FAILED, result.stderr
    assert outputs(tmp_path / "out") == outputs(tmp_path / "turn") and len(outputs(tmp_path / "out")) == 3
    for text in (turn.stderr, result.stderr):
        assert text.count("failed: ") == 1 and "d.mkv" in text and "3 of 4 files enhanced, 1 failed" in text
    order = [task.job.source.name for task in Here.done if isinstance(task, BeginFile)]
    assert order == ["b.mkv", "a.mkv", "c.mkv", "d.mkv"], "longest first"
    segments = [number for number, task in enumerate(Here.done) if isinstance(task, MakeSegment)]
    last = next(
        n for n, task in enumerate(Here.done) if isinstance(task, BeginFile) and task.job.source.name == "d.mkv"
    )
    assert len(segments) == SEGMENTS and max(segments) < last
    assert not list((tmp_path / "out").glob("*.mkv.vidsr"))


@pytest.mark.parametrize("kind", [BeginFile, MakeSegment, CompleteFile])
def test_a_task_of_a_worker_that_ends_is_done_again(
    clips: Path, workers: list[Here], tmp_path: Path, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Here, "ends", (kind,))
    result = run_vidsr("enhance", clips, "-o", tmp_path / "out", *OPTIONS, "--jobs", "2")
    assert result.returncode == 0, result.stderr
    assert len(outputs(tmp_path / "out")) == 3
    again = [task for task in Here.done if isinstance(task, kind)]
    assert len(again) == 2 * len({repr(task) for task in again})


def test_a_segment_that_fails_ends_its_file_only(
    clips: Path, workers: list[Here], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path, index: int, *_: Any) -> Any:
        raise OutputError(f"{folder.name} cannot be written (no space left on device): free some space")

    monkeypatch.setattr("vidsr.segments.run_segment.run_segment", fail)
    result = run_vidsr("enhance", clips, "-o", tmp_path / "out", *OPTIONS, "--jobs", "2")
    assert result.returncode == ExitCode.SOME_FAILED
    assert "b.mkv: segment 0: b.x2.mkv.vidsr cannot be written (no space" in result.stderr
    assert sorted(outputs(tmp_path / "out")) == ["a.x2.mkv", "c.x2.mkv"], "and no job folder"
    assert result.stderr.count("failed: ") == 1 and "2 of 3 files enhanced, 1 failed" in result.stderr


def test_fail_fast_keeps_finished_segments(
    clips: Path, workers: list[Here], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidsr.segments.run_segment import run_segment

    def fail_in_the_second(folder: Path, index: int, *more: Any) -> Any:
        if index == 1:
            raise OutputError("no space left")
        return run_segment(folder, index, *more)

    monkeypatch.setattr("vidsr.segments.run_segment.run_segment", fail_in_the_second)
    command = ("enhance", clips, "-o", tmp_path / "out", *OPTIONS, "--jobs", "2")
    result = run_vidsr(*command, "--fail-fast")
    assert result.returncode == ExitCode.SOME_FAILED
    left = 3 - 1 - result.stderr.count("verified")
    assert f"files left: {left}" in result.stderr and f"{2 - left} of 3 files enhanced, 1 failed" in result.stderr
    assert [path.name for path in (tmp_path / "out" / "b.x2.mkv.vidsr").glob("*.json")][:1]
    monkeypatch.undo()
    again = run_vidsr("enhance", clips, "-o", tmp_path / "out", *OPTIONS)
    assert again.returncode == 0
    # the other worker may have finished the third segment by the time the second failed
    assert any(f"resuming: {done} of {SEGMENTS} segments done" in again.stderr for done in (1, 2))


def test_a_file_in_use_by_another_run_fails_alone(clips: Path, workers: list[Here], tmp_path: Path) -> None:
    folder = JobFolder.of(tmp_path / "out" / "b.x2.mkv").path
    with FolderLock(folder):
        result = run_vidsr("enhance", clips, "-o", tmp_path / "out", *OPTIONS, "--jobs", "2")
    assert result.returncode == ExitCode.SOME_FAILED
    assert "b.x2.mkv.vidsr is in use by process" in result.stderr and "2 of 3 files enhanced" in result.stderr


def test_a_plan_that_another_run_changed_is_refused(
    clips: Path, workers: list[Here], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Changing(FolderLock):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            (folder / "plan.json").write_text("another")

    monkeypatch.setattr("vidsr.segments.begun_job.FolderLock", Changing)
    result = run_vidsr("enhance", clips, "-o", tmp_path / "out", *OPTIONS, "--jobs", "2")
    assert "b.x2.mkv.vidsr was changed by another run: give the same command again" in result.stderr
    assert sorted(outputs(tmp_path / "out")) == ["a.x2.mkv", "c.x2.mkv"]


def test_notes_name_their_file_as_those_of_several_files_mix(
    clips: Path, workers: list[Here], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("enhance", clips, "-o", tmp_path / "out", *OPTIONS, "--jobs", "2")
    with monkeypatch.context() as patch:
        patch.setattr("vidsr.segments.enhance.assemble", None)
        run_vidsr(*command)
    make_clip(clips / "d.mkv", 2, size=(32, 32))
    again = run_vidsr(*command)
    assert again.returncode == 0, again.stderr
    assert f"b.mkv: resuming: {SEGMENTS} of {SEGMENTS} segments done" in again.stderr.splitlines()


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_and_keeps_their_segments(tmp_path: Path) -> None:
    source(tmp_path, "in.mkv", size=(320, 240))
    words = ["enhance", "in.mkv", "-o", "out.mkv", *OPTIONS, "--fps", "3x"]
    whole = subprocess.run([sys.executable, "-m", "vidsr", *words[:3], "whole.mkv", *words[4:]], cwd=tmp_path)
    assert whole.returncode == 0
    process = subprocess.Popen([sys.executable, "-m", "vidsr", *words, "--jobs", "2"], cwd=tmp_path)
    folder = JobFolder.of(tmp_path / "out.mkv").path
    while process.poll() is None and not any(folder.glob("[0-9]*.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait() == ExitCode.INTERRUPTED
    assert any(folder.glob("[0-9]*.json"))
    assert subprocess.run([sys.executable, "-m", "vidsr", *words], cwd=tmp_path).returncode == 0
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


@pytest.mark.slow
def test_a_folder_in_processes(clips: Path, tmp_path: Path) -> None:
    (clips / "d.mkv").write_bytes(b"no clip")
    turn = run_vidsr("enhance", clips, "-o", tmp_path / "turn", *OPTIONS)
    result = run_vidsr("enhance", clips, "-o", tmp_path / "out", *OPTIONS, "--jobs", "3")
    assert turn.returncode == result.returncode == ExitCode.SOME_FAILED, result.stderr
    assert outputs(tmp_path / "out") == outputs(tmp_path / "turn")
