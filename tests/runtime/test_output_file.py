"""Output files: complete or absent, never in the place of another file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vidsr.errors import OutputError
from vidsr.runtime import output_file
from vidsr.runtime.output_file import OutputFile, rename_without_replacing, write_file
from vidsr.runtime.unfinished import is_unfinished

WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from vidsr.runtime.output_file import OutputFile
with OutputFile(Path(sys.argv[1])) as file:
    file.part.write_text("half")
    print("begun", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def start_writer(path: Path) -> subprocess.Popen[str]:
    """Start a process that writes ``path`` until it is ended."""
    process = subprocess.Popen([sys.executable, "-c", WRITE_AND_WAIT, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    return process


def test_a_file_has_its_name_once_it_is_complete(tmp_path: Path) -> None:
    with OutputFile(tmp_path / "a.mkv") as file:
        file.part.write_text("new")
        (unfinished,) = tmp_path.iterdir()
        assert is_unfinished(unfinished) and unfinished.suffix == ".mkv" and unfinished.name.startswith(".")
    assert names(tmp_path) == ["a.mkv"]
    assert (tmp_path / "a.mkv").read_text() == "new"


def test_a_file_is_stored_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[tuple[int, bool]] = []
    fsync = os.fsync

    def record(handle: int) -> None:
        stored.append((os.fstat(handle).st_ino, (tmp_path / "a.mkv").exists()))
        fsync(handle)

    monkeypatch.setattr(output_file.os, "fsync", record)
    write_file(tmp_path / "a.mkv", b"new")
    assert stored == [((tmp_path / "a.mkv").stat().st_ino, False), (tmp_path.stat().st_ino, True)]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_removes_the_file_and_the_folders_made_for_it(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), OutputFile(tmp_path / "new" / "deep" / "a.mkv", make_folders=True) as file:
        file.part.write_text("half")
        raise error
    assert names(tmp_path) == []


def test_an_existing_file_is_refused_and_replaced_only_with_overwrite(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"a\.csv exists: choose another --output, or give --overwrite"):
        OutputFile(tmp_path / "a.csv")
    assert names(tmp_path) == ["a.csv"]
    with OutputFile(tmp_path / "a.csv", overwrite=True) as file:
        file.part.write_text("new")
        assert (tmp_path / "a.csv").read_text() == "mine"
    assert (tmp_path / "a.csv").read_text() == "new"


@pytest.mark.parametrize("way", ["renameat2", "link", "reserved name"])
def test_a_file_that_appears_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def no_link(*arguments: object, **options: object) -> None:
        raise OSError(95, "Operation not supported")

    if way != "renameat2":
        monkeypatch.setattr(output_file.ctypes, "CDLL", lambda *_, **__: object())
    if way == "reserved name":
        monkeypatch.setattr(output_file.os, "link", no_link)
    with pytest.raises(OutputError, match="exists"), OutputFile(tmp_path / "a.mkv") as file:
        file.part.write_text("new")
        (tmp_path / "a.mkv").write_text("mine")
    assert names(tmp_path) == ["a.mkv"] and (tmp_path / "a.mkv").read_text() == "mine"
    write_file(tmp_path / "b.mkv", b"new")
    assert (tmp_path / "b.mkv").read_text() == "new"
    (tmp_path / "from").mkdir()
    with pytest.raises(FileExistsError):
        rename_without_replacing(tmp_path / "from", tmp_path / "b.mkv")


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_folder_or_a_pipe_is_never_replaced(tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        (tmp_path / "a.mkv").mkdir()
    else:
        os.mkfifo(tmp_path / "a.mkv")
    with pytest.raises(OutputError, match=f"is a (device or a )?{kind}"):
        OutputFile(tmp_path / "a.mkv", overwrite=True)


@pytest.mark.parametrize("exists", [True, False])
def test_d9_a_link_is_not_followed(tmp_path: Path, exists: bool) -> None:
    victim = tmp_path / "victim.txt"
    if exists:
        victim.write_text("mine")
    (tmp_path / "a.csv").symlink_to(victim)
    with pytest.raises(OutputError, match="exists"):
        OutputFile(tmp_path / "a.csv")
    write_file(tmp_path / "a.csv", b"new", overwrite=True)
    assert not (tmp_path / "a.csv").is_symlink()
    assert (victim.read_text() == "mine") if exists else not victim.exists()


def test_d4_two_runs_do_not_write_the_same_file(tmp_path: Path) -> None:
    other = start_writer(tmp_path / "a.mkv")
    try:
        with pytest.raises(OutputError, match=f"is being written by another run \\(process {other.pid}\\)"):
            OutputFile(tmp_path / "a.mkv", overwrite=True)
        with pytest.raises(OutputError, match="being written"), OutputFile(tmp_path / "b.mkv"):
            OutputFile(tmp_path / "b.mkv")
    finally:
        other.kill()
        other.wait()
        assert other.stdout is not None
        other.stdout.close()


def test_d12_the_next_run_removes_what_a_killed_run_has_left(tmp_path: Path) -> None:
    foreign = tmp_path / ".a.00000000-00000000-1-0123456789abcdef.part.mkv"  # of another machine
    foreign.touch()
    similar = tmp_path / ".a.part.mkv"  # of the user
    similar.touch()
    killed = start_writer(tmp_path / "a.mkv")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert killed.stdout is not None
    killed.stdout.close()
    assert len(names(tmp_path)) == 3
    write_file(tmp_path / "b.mkv", b"new")
    assert names(tmp_path) == sorted([foreign.name, similar.name, "b.mkv"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_d12_a_signal_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    code = f"import signal; signal.signal({int(number)}, lambda *_: exit(130))" + WRITE_AND_WAIT
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "a.mkv"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    process.send_signal(number)
    started = time.monotonic()
    assert process.wait() == 130 and time.monotonic() - started < 5
    process.stdout.close()
    assert names(tmp_path) == []


def test_d7_names_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    for name in ("n" * 251 + ".mkv", "ü" * 125 + ".mkv", "a." + "s" * 250):
        write_file(tmp_path / name, b"new")
        assert (tmp_path / name).read_text() == "new"
        (tmp_path / name).unlink()
    with pytest.raises(OutputError, match="cannot be written \\(File name too long\\)"):
        write_file(tmp_path / ("n" * 300), b"new")
    assert names(tmp_path) == []


def test_a_result_that_failed_is_kept_beside_earlier_ones(tmp_path: Path) -> None:
    for name in ("a.failed.mkv", "a.failed2.mkv"):
        with OutputFile(tmp_path / "a.mkv", overwrite=True) as file:
            file.part.write_text("wrong")
            assert file.keep_as_failed() == tmp_path / name
    assert names(tmp_path) == ["a.failed.mkv", "a.failed2.mkv"]
