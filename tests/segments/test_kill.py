"""Kills at random moments: nothing that is finished is lost, and the resumed output is that of an undisturbed run."""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.clips import make_clip
from tests.fuzz.process import Shot, leftovers, run_forked
from tests.segments.runs import source
from vidsr.segments.job_folder import JobFolder


def kill_until_done(folder: Path, words: list[str], output: str, kills: int, seed: int) -> list[int]:
    """Kill the command at random moments and resume; return how many segments were finished after each kill."""
    rng = random.Random(seed)
    began = time.monotonic()
    assert run_forked([*words, "-o", f"whole{Path(output).suffix}"], folder).code == 0
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
        finished = len(list(JobFolder.of(folder / output).path.glob("[0-9]*.json")))
        if done and done[-1] >= 0:
            assert finished >= done[-1]
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


@pytest.mark.parametrize("output", ["out.mp4"])
def test_five_kills(tmp_path: Path, output: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    clip = source(folder)
    words = ["enhance", clip.name, "--scale", "2", "--model", "bicubic", "--fps", "2x", "--segment", "1s"]
    kill_until_done(folder, words, output, 5, 1)


@pytest.mark.slow
def test_twenty_kills_of_a_minute(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    clip = make_clip(folder / "clip.mp4", 60 * 25, size=(96, 72), gop=50, audio=1)
    done = kill_until_done(folder, ["enhance", clip.name, "--scale", "2", "--model", "bicubic"], "out.mp4", 20, 2)
    assert max(done) >= 2
