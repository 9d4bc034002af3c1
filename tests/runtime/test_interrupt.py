"""Ctrl-C and SIGTERM: the process ends soon at any moment, and an error that comes of the signal is none."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.clips import make_clip
from vidsr.errors import ExitCode

END_SECONDS = 20  # far more than a run takes to end, as the machine may be busy
LINE = "vidsr: interrupted; no unfinished file is left\n"
NEAREST = ("--scale", "2", "--model", "nearest", "--preset", "ultrafast")


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vidsr", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def assert_interrupted(process: subprocess.Popen[str]) -> None:
    _, messages = process.communicate(timeout=END_SECONDS)
    assert process.returncode == ExitCode.INTERRUPTED, messages
    assert messages.endswith(LINE) and "Traceback" not in messages


def run_guarded(code: str, *sent: float, argument: Path | str = "") -> tuple[int, str, float]:
    """Run ``code`` under the guard in a process of its own, with SIGINT after each of the given seconds.

    Returns the exit code, stderr, and the seconds from the first signal to the end.
    """
    script = f"from vidsr.runtime import interrupt\ndef work():\n{code}\ninterrupt.run_guarded(work)"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(argument)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    first = time.monotonic()
    for seconds in sent:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=END_SECONDS)
    return process.returncode, messages, time.monotonic() - first


TURNED_INTO_AN_ERROR = """
    import time
    try:
        print("ready", flush=True)
        time.sleep(60)
    except BaseException:
        raise AttributeError("module 'numpy' has no attribute 'matrix'")
"""
DROPPED = """
    import time
    while True:
        try:
            print("ready", flush=True)
            time.sleep(60)
        except BaseException:
            pass
"""
SLOW_CLEANUP = """
    import atexit, os, time
    atexit.register(lambda: os.write(2, b'cleaned up\\n'))
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        time.sleep(60)
"""
POSTPONED = """
    import os, time
    with interrupt.postponed():
        print("ready", flush=True)
        time.sleep(0.5)
        os.write(2, b'imported\\n')
    os.write(2, b'went on\\n')
"""
BLOCKING_EXIT_HANDLER = SLOW_CLEANUP.replace("os.write(2, b'cleaned up\\n')", "time.sleep(60)")
IN_A_DESTRUCTOR = """
    import threading, time
    class Slow:
        def __del__(self):  # Python may not hear of a signal that comes just before the sleep begins
            threading.Timer(0.2, lambda: print("ready", flush=True)).start()
            time.sleep(60)
    interrupt.EXIT_SECONDS = 60
    Slow()
    time.sleep(60)
"""
SLOW_EXIT_HANDLER_OF_A_LIBRARY = """
    import atexit, sys, time
    from pathlib import Path
    from vidsr.runtime.output_file import OutputFile
    atexit.register(time.sleep, 60)
    with OutputFile(Path(sys.argv[1])):
        print("ready", flush=True)
        while True:
            try:
                time.sleep(60)
            except BaseException:
                pass
"""
IN_AN_EXIT_HANDLER = """
    import atexit, time
    from vidsr.runtime.process import exit_quickly
    atexit.register(lambda: (print('ready', flush=True), time.sleep(0.5)))
    exit_quickly(0)
"""


def test_an_interrupt_of_a_finished_run_does_not_disturb_its_exit_handlers() -> None:
    assert run_guarded(IN_AN_EXIT_HANDLER, 0.0)[:2] == (ExitCode.DONE, "")


def test_an_interrupt_that_a_library_turns_into_an_error_is_an_interrupt() -> None:
    assert run_guarded(TURNED_INTO_AN_ERROR, 0.0)[:2] == (ExitCode.INTERRUPTED, LINE)


def test_an_interrupt_in_a_destructor_which_drops_exceptions_ends_the_run() -> None:
    """Python printed "Exception ignored in" with a traceback, and the run went on until it was ended by force."""
    assert run_guarded(IN_A_DESTRUCTOR, 0.0)[:2] == (ExitCode.INTERRUPTED, LINE)


def test_unfinished_files_are_removed_before_slow_exit_handlers_of_libraries(tmp_path: Path) -> None:
    code, messages, _ = run_guarded(SLOW_EXIT_HANDLER_OF_A_LIBRARY, 0.0, 0.1, argument=tmp_path / "a.mp4")
    assert code == ExitCode.INTERRUPTED, messages
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [DROPPED, SLOW_CLEANUP, BLOCKING_EXIT_HANDLER])
def test_a_process_that_does_not_end_by_itself_is_ended(code: str) -> None:
    assert run_guarded(code, 0.0)[0] == ExitCode.INTERRUPTED


def test_exit_handlers_run_when_the_cleanup_takes_too_long() -> None:
    assert run_guarded(SLOW_CLEANUP, 0.0)[1] == "cleaned up\n" + LINE


def test_a_signal_while_pytorch_is_imported_counts_after_the_import() -> None:
    """Raised inside it, the exception met C++ and aborted the process."""
    assert run_guarded(POSTPONED, 0.1)[:2] == (ExitCode.INTERRUPTED, "imported\n" + LINE)


def test_a_second_ctrl_c_ends_the_process_at_once() -> None:
    patient = "    interrupt.EXIT_SECONDS = 60\n" + SLOW_CLEANUP
    assert run_guarded(patient, 0.0, 0.3)[:2] == (ExitCode.INTERRUPTED, "cleaned up\n" + LINE)


@pytest.mark.parametrize("delay", [0.3, 0.6, 1.2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_imports_is_an_interrupt(tmp_path: Path, delay: float, number: signal.Signals) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    process = start("compare", clip, "--models", "nearest,bicubic,lanczos")
    time.sleep(delay)
    process.send_signal(number)
    _, messages = process.communicate(timeout=END_SECONDS)
    # before the first line of vidsr, the signal has Python's or the system's effect
    assert process.returncode == ExitCode.INTERRUPTED or "__main__.py" not in messages, messages
    assert process.returncode in (ExitCode.INTERRUPTED, -number, 1)
    assert process.returncode != ExitCode.INTERRUPTED or "Traceback" not in messages


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_waits_for_a_named_pipe_to_be_opened_can_be_interrupted(
    tmp_path: Path, number: signal.Signals
) -> None:
    os.mkfifo(tmp_path / "q.mp4")
    process = start("enhance", tmp_path / "q.mp4", *NEAREST, "--verbose")
    assert process.stderr is not None
    assert "q.mp4" in process.stderr.readline()
    time.sleep(1.0)  # it waits now
    process.send_signal(number)
    assert_interrupted(process)


def test_an_interrupt_ends_the_whole_batch_and_not_one_file(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    make_clip(tmp_path / "c.mp4", frames=2, size=(64, 48))
    os.mkfifo(tmp_path / "b.mp4")
    process = start("enhance", *(tmp_path / f"{name}.mp4" for name in "abc"), *NEAREST, "--verbose")
    assert process.stderr is not None
    while "[2/3]" not in process.stderr.readline():
        pass
    time.sleep(1.0)  # it waits for b.mp4 now
    process.send_signal(signal.SIGTERM)
    assert_interrupted(process)
    assert not (tmp_path / "c.x2.mp4").exists()
