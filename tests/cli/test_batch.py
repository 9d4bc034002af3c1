"""A run over several files: a file that fails, for whatever reason, does not stop the others."""

from pathlib import Path
from typing import Any

import pytest

from tests.clips import make_clip
from tests.commands import run_vidsr
from vidsr.cli import batch
from vidsr.errors import ExitCode
from vidsr.options.enhance import parse_options
from vidsr.options.paths import Job
from vidsr.runtime.worker import Worker
from vidsr.segments.enhance import enhance_file

ARGUMENTS = ("--scale", "2", "--model", "nearest", "--preset", "ultrafast")


def fail_on_b(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def enhance_or_fail(job: Any, *arguments: Any) -> Any:
        if job.source.name == "b.mp4":
            raise error
        return enhance_file(job, *arguments)

    monkeypatch.setattr("vidsr.segments.listed_file.enhance_file", enhance_or_fail)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (IndexError("list index out of range"), "b.mp4: unexpected IndexError in listed_file.py:"),
        (RuntimeError("can't allocate memory: you tried to allocate 588000000 bytes"), "b.mp4 needs more memory"),
        (PermissionError(13, "Permission denied", "nox/b.mp4"), "nox/b.mp4 cannot be used (permission denied)"),
    ],
)
def test_a_file_that_fails_unexpectedly_does_not_end_the_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    fail_on_b(monkeypatch, error)
    result = run_vidsr("enhance", folder, "-o", folder.parent / "out", *ARGUMENTS)
    assert result.returncode == ExitCode.SOME_FAILED
    assert line in result.stderr and "2 of 3 files enhanced, 1 failed" in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in (folder.parent / "out").glob("*.mp4")) == ["a.x2.mp4", "c.x2.mp4"]


def test_the_table_of_a_batch_counts_every_file_once(folder: Path) -> None:
    (folder / "b.mp4").write_bytes((folder / "b.mp4").read_bytes()[:-900])
    (folder / "d.mp4").write_text("no clip")
    (folder / "e.txt").write_text("notes")
    run_vidsr("enhance", folder / "a.mp4", "-o", folder.parent / "out/", *ARGUMENTS)
    result = run_vidsr("enhance", folder, "-o", folder.parent / "out", *ARGUMENTS)
    rows = [line.split() for line in result.stderr.splitlines()]
    counts = {row[0]: row[1] for row in rows if len(row) > 1 and row[1].isdigit()}
    assert rows.count(["result", "files", "frames", "time"]) == 1
    assert ["already", "done", "1"] in rows
    assert counts["enhanced"] == counts["skipped"] == "1" and counts["failed"] == "2"
    assert run_vidsr("enhance", folder, "-o", folder.parent / "out", *ARGUMENTS, "-q").stderr.count("result") == 0


@pytest.mark.parametrize("flag", ["-v", "--verbose"])
def test_verbose_prints_the_traceback_of_a_file_that_fails_unexpectedly(
    folder: Path, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    fail_on_b(monkeypatch, IndexError("list index out of range"))
    result = run_vidsr("enhance", folder, "-o", folder.parent / "out", *ARGUMENTS, flag)
    assert result.returncode == ExitCode.SOME_FAILED
    assert "Traceback" in result.stderr and "enhance_or_fail" in result.stderr
    single = run_vidsr("enhance", folder / "b.mp4", *ARGUMENTS, flag)
    assert single.returncode == ExitCode.BUG and "Traceback" in single.stderr
    assert single.stderr.splitlines()[-1].startswith("vidsr: unexpected IndexError")


def test_an_unexpected_exception_of_the_only_file_is_one_line_and_exit_code_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on_b(monkeypatch, IndexError("list index out of range"))
    result = run_vidsr("enhance", folder / "b.mp4", *ARGUMENTS)
    assert result.returncode == ExitCode.BUG
    assert "Traceback" not in result.stderr and "VIDSR_TRACEBACK=1" in result.stderr


def test_a_plan_over_several_files_goes_on_after_an_unexpected_exception(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(job: Any, *arguments: Any) -> Any:
        raise IndexError("list index out of range")

    monkeypatch.setattr("vidsr.pipeline.estimate._planned", fail)
    result = run_vidsr("plan", folder, *ARGUMENTS)
    assert result.returncode == ExitCode.SOME_FAILED, result.stderr
    assert result.stdout.count("would fail: unexpected IndexError") == 3


@pytest.mark.parametrize("command", ["info", "enhance", "plan"])
def test_a_file_name_that_is_too_long_is_one_line(tmp_path: Path, command: str) -> None:
    options = () if command == "info" else ARGUMENTS
    result = run_vidsr(command, tmp_path / ("n" * 300 + ".mp4"), *options)
    assert result.returncode == ExitCode.BAD_REQUEST
    assert "cannot be used (file name too long): give it a shorter name" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("enhance", "a.mp4", "-o", "LONG", *ARGUMENTS),
        ("enhance", "a.mp4", "--log", "LONG", *ARGUMENTS),
        ("enhance", "a.mp4", "--reference", "LONG", *ARGUMENTS),
        ("verify", "a.mp4", "LONG"),
        ("degrade", "a.mp4", "-o", "LONG"),
        ("compare", "a.mp4", "-o", "LONG"),
        ("dataset", "a.mp4", "-o", "LONG"),
    ],
)
def test_d7_a_long_name_of_any_other_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    result = run_vidsr(*(word.replace("LONG", "n" * 300 + ".mp4") for word in words))
    assert result.returncode == ExitCode.BAD_REQUEST
    assert "ile name too long" in result.stderr and result.stderr.count("\n") == 1, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_file_name_that_is_too_long_once_the_tag_is_added_is_one_line(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / f"{'n' * 251}.mp4", frames=1, size=(64, 48))
    result = run_vidsr("enhance", clip, *ARGUMENTS)
    assert result.returncode == ExitCode.BAD_REQUEST, result.stderr
    assert "file name too long" in result.stderr and "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == [clip]


def test_a_file_that_crashes_its_process_does_not_end_the_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interlaced clip whose pixel format changed ended the whole batch by SIGABRT."""
    monkeypatch.setattr("vidsr.runtime.process.is_configured", lambda: True)
    monkeypatch.setattr("vidsr.cli.batch.FUNCTION", "tests.worker_functions:enhance_or_abort")
    log = folder.parent / "run.log"
    result = run_vidsr("enhance", folder, "-o", folder.parent / "out", *ARGUMENTS, "-v", "--log-file", log)
    assert result.returncode == ExitCode.SOME_FAILED
    assert "b.mp4: its process crashed (SIGABRT): a library failed on this file, please report it" in result.stderr
    assert "2 of 3 files enhanced, 1 failed" in result.stderr
    assert "enhance_or_abort" in result.stderr and "enhance_or_abort" in log.read_text()
    names = sorted(path.name for path in (folder.parent / "out").iterdir() if path.name != ".vidsr")
    assert names == ["a.x2.mp4", "c.x2.mp4"], "and no unfinished file"


def test_an_interrupted_batch_leaves_no_file_of_a_worker_that_is_too_slow_to_remove_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the worker was killed before it had removed its files."""
    monkeypatch.setattr("vidsr.runtime.worker.EXIT_SECONDS", 0.05)
    jobs = [Job(folder / name, None) for name in ("a.mp4", "b.mp4")]
    options = parse_options(scale=2, model="bicubic")

    def interrupt(event: object) -> None:
        assert len(list(folder.iterdir())) == 4
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        batch._cleaned_up(jobs, options),
        Worker("tests.worker_functions:stop_with_a_file") as worker,
    ):
        worker.call(jobs[0], options, on_event=interrupt)
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "b.mp4", "c.mp4"]


def test_a_batch_in_a_worker_says_the_same_as_one_in_the_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "b.mp4").write_bytes(b"")
    here = run_vidsr("enhance", folder, "-o", folder.parent / "here", *ARGUMENTS, "--quiet")
    monkeypatch.setattr("vidsr.runtime.process.is_configured", lambda: True)
    there = run_vidsr("enhance", folder, "-o", folder.parent / "there", *ARGUMENTS, "--quiet")
    assert here == there and here.returncode == ExitCode.SOME_FAILED
    for path in (folder.parent / "here").glob("*.mp4"):
        assert path.read_bytes() == (folder.parent / "there" / path.name).read_bytes()


def test_the_log_file_has_all_notes_and_tracebacks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_on_b(monkeypatch, IndexError("list index out of range"))
    log = folder.parent / "run.log"
    arguments = (*ARGUMENTS, "--quiet", "--log-file", log)
    result = run_vidsr("enhance", folder, "-o", folder.parent / "out", *arguments)
    text = log.read_text()
    assert "Traceback" not in result.stderr and "Traceback" in text and "enhance_or_fail" in text
    assert "[2/3]" in text and "info: clip has no colour tags" in text
    assert "2 of 3 files enhanced, 1 failed" in text and "a.mp4 -> " in text
    single = run_vidsr("enhance", folder / "b.mp4", *ARGUMENTS, "--overwrite", "--log-file", log)
    assert single.returncode == ExitCode.BUG and "Traceback" not in single.stderr
    assert "Traceback" in log.read_text() and "[2/3]" not in log.read_text()


def test_the_log_file_replaces_nothing_without_overwrite_and_no_input_at_all(folder: Path) -> None:
    (folder.parent / "mine.txt").write_text("mine")
    taken = run_vidsr("enhance", folder, *ARGUMENTS, "--log-file", folder.parent / "mine.txt")
    assert taken.returncode == ExitCode.BAD_REQUEST
    assert "mine.txt exists: choose another --log-file, or give --overwrite" in taken.stderr
    before = (folder / "a.mp4").read_bytes()
    same = run_vidsr("enhance", folder, *ARGUMENTS, "--log-file", folder / "a.mp4", "--overwrite")
    assert same.returncode == ExitCode.BAD_REQUEST and "is an input of this run" in same.stderr
    assert (folder / "a.mp4").read_bytes() == before and (folder.parent / "mine.txt").read_text() == "mine"
    assert len(list(folder.iterdir())) == 3
