"""Fuzzing of the command line: no traceback, signal, hang, leftover or changed file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiers import few_or_many

FEW = ("--inputs", "4", "--options", "--every", "960", "--kills", "1")
MANY = ("--inputs", "600", "--options", "--every", "5", "--kills", "60")


@pytest.mark.more
def test_damaged_inputs_hostile_values_and_kills_change_no_file_and_end_in_one_line() -> None:
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "tests.fuzz", *few_or_many(FEW, MANY)]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


FORK = """
import sys
from pathlib import Path
from signal import Signals
from tests.fuzz.process import Shot, run_forked
print(run_forked(["info", "nowhere.mp4"], Path(sys.argv[1]), Shot(Signals(int(sys.argv[2])), 0.0)).kind)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_fork_that_a_signal_hits_at_once_is_an_interrupted_run(tmp_path: Path, number: signal.Signals) -> None:
    """Kill 98 came before the fork had its handlers, and counted as a run that ended by a signal.

    An interpreter of its own forks: a fork of this one crashes, because other tests have started thread pools in it.
    """
    command = [sys.executable, "-c", FORK, str(tmp_path), str(int(number))]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.stdout == "interrupted\n", done.stderr
