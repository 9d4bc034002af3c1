"""Worker processes: values come back, and a crash or a killed parent leaves nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from vidsr.runtime.error_boundary import WorkerFailed
from vidsr.runtime.output_file import OutputFile
from vidsr.runtime.worker import Worker

FUNCTIONS = "tests.worker_functions"
END_SECONDS = 20  # far more than a process takes to end, as the machine may be busy


def test_results_and_events_come_back_in_order() -> None:
    events: list[Any] = []
    with Worker(f"{FUNCTIONS}:double") as worker:
        assert [worker.call(number, on_event=events.append) for number in (1, 2)] == [2, 4]
    assert events == [("begins", 1), Path("ends"), ("begins", 2), Path("ends")]


def test_an_exception_comes_back_as_a_line_and_a_traceback() -> None:
    with Worker(f"{FUNCTIONS}:fail") as worker:
        with pytest.raises(WorkerFailed) as expected:
            worker.call(True)
        with pytest.raises(WorkerFailed) as unexpected:
            worker.call(False)
    assert (expected.value.failure.line, expected.value.failure.trace) == ("a.mp4 is empty: name a clip", "")
    assert unexpected.value.failure.line.startswith("unexpected IndexError")
    assert "worker_functions.py" in unexpected.value.failure.trace


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("read no memory", r"its process crashed \(SIGSEGV\)"),
        ("abort", r"its process crashed \(SIGABRT\)"),
        ("exit", r"its process crashed \(exit code 7\)"),
        ("kill", "its process was killed, as when the memory runs out"),
    ],
)
def test_a_crash_is_one_line_and_the_next_call_has_a_fresh_process(how: str, line: str) -> None:
    with Worker(f"{FUNCTIONS}:end") as worker:
        first = worker.call("return")
        with pytest.raises(WorkerFailed, match=line) as crash:
            worker.call(how)
        assert worker.call("return") not in (first, os.getpid())
    assert ("worker_functions.py" in crash.value.failure.trace) is (how in ("read no memory", "abort"))


SIGNALLED_IMPORT = """
import signal
import sys
from pathlib import Path

def import_something():
    signal.raise_signal(signal.SIGTERM)
    Path(__file__).with_name("imported").touch()
"""
OF_ITS_MODULE = """
import_something()
"""
OF_PYTORCH = """
from vidsr.segments.tasks import perform

class Finder:
    def find_spec(name, *_):
        if name == "torch":
            import_something()
            raise ImportError

sys.meta_path.insert(0, Finder)
"""


@pytest.mark.parametrize("begin", [OF_ITS_MODULE, OF_PYTORCH], ids=["its module", "PyTorch"])
def test_a_signal_in_an_import_of_a_worker_counts_after_the_import(tmp_path: Path, begin: str) -> None:
    """An exception inside an import of PyTorch aborts the process, and the line said that a library had crashed."""
    (tmp_path / "signalled.py").write_text(SIGNALLED_IMPORT + begin)
    environment = {"PYTHONPATH": str(tmp_path)}
    with Worker("signalled:perform", environment) as worker, pytest.raises(WorkerFailed, match="exit code 130"):
        worker.call(None)
    assert (tmp_path / "imported").exists()


def test_the_current_folder_is_not_searched_for_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Worker(f"{FUNCTIONS}:search_path") as worker:
        assert not {"", ".", str(tmp_path)} & set(worker.call())


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} is alive")


def start_caller(function: str, target: Path) -> tuple["subprocess.Popen[str]", int]:
    """Start a program whose worker calls ``function`` of `FUNCTIONS`; return it and the worker's process."""
    script = (
        "from pathlib import Path\nfrom vidsr.runtime import interrupt\nfrom vidsr.runtime.worker import Worker\n"
        "def work():\n"
        f"    with Worker('{FUNCTIONS}:{function}') as worker:\n"
        f"        worker.call(Path({str(target)!r}), on_event=lambda pid: print(pid, flush=True))\n"
        "interrupt.run_guarded(work)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_worker_ends_with_its_parent_and_removes_its_unfinished_file(tmp_path: Path, sent: signal.Signals) -> None:
    process, worker = start_caller("wait_with_a_file", tmp_path / "a.mp4")
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(sent)
    _, messages = process.communicate(timeout=END_SECONDS)
    wait_for_end(worker)
    assert list(tmp_path.iterdir()) == []
    if sent != signal.SIGKILL:
        assert process.returncode == 130
        assert messages == "vidsr: interrupted; 3 of 9 segments are finished\n"


def test_an_output_whose_batch_was_killed_can_be_written_at_once(tmp_path: Path) -> None:
    """Until the worker had unwound, for two seconds, a new run was refused: "being written by another run"."""
    process, worker = start_caller("hang_with_a_file", tmp_path / "a.mp4")
    try:
        with process:  # not `communicate`: the worker holds the pipes open
            process.kill()
            process.wait(END_SECONDS)
        deadline = time.monotonic() + END_SECONDS
        while list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        with OutputFile(tmp_path / "a.mp4"):
            os.kill(worker, 0)  # it still unwinds
    finally:
        os.kill(worker, signal.SIGKILL)
