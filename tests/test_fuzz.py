"""Fuzzing of the command line: no traceback, signal, hang, leftover or changed file."""

import os
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
