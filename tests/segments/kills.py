"""Kills of a command at random moments, each resumed, in an interpreter of its own.

    python -m tests.segments.kills JSON

The runs are forks, which must not come from a process that has used OpenMP, as one of many tests has.
"""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.process import Shot, leftovers, run_forked
from vidsr.segments.job_folder import JobFolder


def killed(folder: Path, words: list[str], output: str, kills: int, seed: int) -> list[int]:
    """Return the result of `kill_until_done`, computed in a fresh interpreter."""
    given = json.dumps([str(folder), words, output, kills, seed])
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.segments.kills", given]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    finished: list[int] = json.loads(done.stdout.splitlines()[-1])
    return finished


def kill_until_done(folder: Path, words: list[str], output: str, kills: int, seed: int) -> list[int]:
    """Kill the command at random moments and resume; return how many segments were finished after each kill."""
    rng = random.Random(seed)
    began = time.monotonic()
    whole = run_forked([*words, "-o", f"whole{Path(output).suffix}"], folder)
    assert whole.code == 0, whole.messages
    seconds = time.monotonic() - began
    done: list[int] = []
    for _ in range(kills):
        outcome = run_forked([*words, "-o", output], folder, Shot(signal.SIGKILL, rng.uniform(0, seconds)))
        if outcome.signal is None:
            assert outcome.code == 0, outcome.messages
            check(folder, output)
            for path in folder.glob(f"{output}*"):
                path.unlink()
            done.append(-1)
            continue
        finished = JobFolder.of(folder / output).count_finished()
        if done and not (folder / output).exists():  # once the output is complete, the job folder is removed
            assert finished >= done[-1], (finished, done)
        done.append(finished)
    outcome = run_forked([*words, "-o", output], folder)
    assert outcome.code == 0, outcome.messages
    check(folder, output)
    assert leftovers(folder) == []
    return done


def check(folder: Path, output: str) -> None:
    whole = folder / f"whole{Path(output).suffix}"
    assert (folder / output).read_bytes() == whole.read_bytes()
    assert not JobFolder.of(folder / output).path.exists()


if __name__ == "__main__":
    where, *rest = json.loads(sys.argv[1])
    print(json.dumps(kill_until_done(Path(where), *rest)))
