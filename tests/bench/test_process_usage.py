"""Measured programs: their own memory, their failures, and their end after an interrupt."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vidsr.bench.process_usage import Usage, medians, run


def test_a_program_is_charged_its_own_memory_and_not_that_of_its_parent() -> None:
    ours = np.ones(300 << 17)  # 300 MB
    small, large = (run([sys.executable, "-c", f"x = b'1' * ({size} << 20)"]).peak for size in (1, 100))
    assert len(ours) and small < 100 < large < 250


def test_a_program_that_fails_is_an_error() -> None:
    for command in (["false"], ["no-such-program"]):
        with pytest.raises(subprocess.CalledProcessError):
            run(command)


def test_an_interrupted_run_ends_its_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"

    def interrupted(process: subprocess.Popen[bytes]) -> None:
        while not mark.exists() or not mark.read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run([sys.executable, "-c", code])
    deadline = time.monotonic() + 10
    while _lives(int(mark.read_text())):
        assert time.monotonic() < deadline, "the program still runs"
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_each_figure_has_its_own_median() -> None:
    usages = [Usage(1, 30, 5, 7), Usage(3, 10, 5, 8), Usage(2, 20, 6, 9)]
    assert medians(usages) == Usage(2, 20, 5, 8)
