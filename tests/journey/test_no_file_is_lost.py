"""Nothing in a folder changes that was not named: runs among files whose names a run could take."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.clips import make_clip
from tests.commands import run_vidsr
from tests.tiers import few_or_many, slow
from vidsr import enhance
from vidsr.errors import ExitCode, VidsrError
from vidsr.pipeline import run
from vidsr.pipeline.verify import Check, Verification
from vidsr.runtime.unfinished import is_unfinished
from vidsr.video import ExpectedContents

FAST = ("--scale", "2", "--model", "bicubic", "--device", "cpu")
OF_THE_USER = (
    *("holiday.part.mp4", ".holiday.part.mp4", "holiday.failed.mp4", "l.csv", "l.csv.part", "compare.csv"),
    *(
        "q.mp4.report.json",
        "r.mp4.frames.csv",
        "old.mp4",
        ".vidsr/mine.txt",
        "%05d.part/00007.png",
        "seq/00001.png",
        "ds.safetensors",
    ),
    *("c.x2.mp4.txt", "notes.txt"),
)


def side_files(output: str) -> str:
    """Return the pattern of an output and its hidden log and report."""
    return rf"{re.escape(output)}|\.vidsr/{re.escape(output)}\.(frames\.csv|report\.json)"


# words of a command, and patterns of the files that it may make or change
RUNS: tuple[tuple[Sequence[str], str], ...] = (
    (("enhance", "c.mp4", *FAST, "-o", "holiday.mp4"), side_files("holiday.mp4")),
    (("enhance", "c.mp4", *FAST, "-o", "h2.mp4", "--start", "100"), ""),
    (("enhance", "c.mp4", *FAST, "-o", "q.mp4", "--report", "q.mp4.report.json"), ""),
    (("enhance", "c.mp4", *FAST, "-o", "r.mp4", "--log", "r.mp4.frames.csv", "--report", "notes.txt"), ""),
    (("enhance", "c.mp4", *FAST, "-o", "r2.mp4", "--log", "r.mp4.frames.csv"), ""),
    (("enhance", "c.mp4", *FAST, "-o", "r3.mp4", "--log", ".vidsr/r3.mp4.report.json"), ""),
    (("enhance", "c.mp4", *FAST, "-o", "old.mp4"), ""),
    (("enhance", "c.mp4", *FAST, "-o", "old.mp4", "--overwrite"), side_files("old.mp4")),
    (("enhance", "c.mp4", *FAST, "-o", "link.mp4"), ""),
    (("enhance", "c.mp4", *FAST, "-o", "c.mp4", "--overwrite"), ""),
    (("enhance", "clip.part.mp4", *FAST, "-o", "clip.mp4"), side_files("clip.mp4")),
    (("enhance", "z.mp4.report.json", *FAST, "-o", "z.mp4", "--report", "z.mp4.report.json", "--overwrite"), ""),
    (("enhance", "y.mp4.frames.csv", *FAST, "-o", "y.mp4", "--log", "y.mp4.frames.csv", "--overwrite"), ""),
    (("enhance", "c.mp4", *FAST, "-o", "%05d.png"), r"0000\d\.png|" + side_files("%05d.png")),
    (("enhance", "c.mp4", *FAST, "-o", "seq/%05d.png"), ""),
    (("enhance", "c.mp4", *FAST, "-o", "new/%05d.png"), r"new(/.*)?"),
    (("enhance", "c.mp4", *FAST, "-o", "c.y4m"), side_files("c.y4m")),
    (("enhance", "c.mp4", "b.mp4", *FAST, "-o", "out"), r"out(/.*)?"),
    (("enhance", "c.mp4", "d/c.mp4", *FAST, "-o", "same", "--overwrite"), ""),
    (("enhance", "photo.png", *FAST, "-o", "photo2.png"), r"photo2\.png"),
    (("enhance", "photo.png", *FAST, "-o", "notes.txt"), ""),
    (("enhance", ".", *FAST), ""),
    (("degrade", "c.mp4", "--scale", "1/2", "-o", "dg.mp4"), r"dg\.mp4"),
    (("degrade", "clip.part.mp4", "--scale", "1/2", "-o", "clip.mp4"), r"clip\.mp4"),
    (("degrade", "c.mp4", "--scale", "1/2", "-o", "old.mp4"), ""),
    (("dataset", "photo.png", "-o", "ds.safetensors", "--split", "100,0,0"), ""),
    (("dataset", "photo.png", "-o", "photo.png", "--split", "100,0,0", "--overwrite"), ""),
    (("dataset", "photo.png", "-o", "ds2.safetensors", "--split", "100,0,0"), r"ds2\.safetensors"),
    (("compare", "c.mp4", "--scale", "2", "--models", "bicubic", "-o", "."), ""),
    (("compare", "c.mp4", "--scale", "2", "--models", "bicubic", "-o", "cmp"), r"cmp(/.*)?"),
    (("verify", "c.mp4", "old.mp4"), ""),
    (("info", "c.mp4"), ""),
)


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of every file, link and folder below ``folder``."""
    found = {}
    for path in folder.rglob("*"):
        data = str(path.readlink()).encode() if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(folder))] = sha256(data).hexdigest()
    return found


def crowd(folder: Path) -> None:
    """Fill ``folder`` with clips, and with files of the user whose names a run could take."""
    make_clip(folder / "c.mp4", frames=3)
    (folder / "d").mkdir()
    for name in ("b.mp4", "d/c.mp4", "clip.part.mp4", "z.mp4.report.json", "y.mp4.frames.csv"):
        (folder / name).write_bytes((folder / "c.mp4").read_bytes())
    cv2.imwrite(str(folder / "photo.png"), np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    for name in OF_THE_USER:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"precious {name}")
    (folder / "link.mp4").symlink_to("notes.txt")


def test_nothing_in_a_crowded_folder_changes_that_was_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "crowded"
    folder.mkdir()
    crowd(folder)
    monkeypatch.chdir(folder)
    rng = random.Random(24)
    for words, named in rng.sample(RUNS, few_or_many(6, len(RUNS))):
        before = contents(folder)
        done = run_vidsr(*words)
        after = contents(folder)
        assert done.returncode != ExitCode.BUG and "Traceback" not in done.stderr, (words, done.stderr)
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        assert {name for name in changed if not (named and re.fullmatch(named, name))} == set(), (words, done.stderr)
        assert not [name for name in after if is_unfinished(Path(name))]


def failed_check(expected: ExpectedContents) -> Verification:
    return Verification(expected.path, (Check("frames", "3", "2", False),))


def test_d11_a_result_that_fails_the_verification_gives_exit_code_5_and_never_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=3)
    (tmp_path / "o.mp4").write_text("old and good")
    monkeypatch.setattr(run, "verify", failed_check)
    done = run_vidsr("enhance", clip, *FAST, "-o", tmp_path / "o.mp4", "--overwrite")
    assert done.returncode == ExitCode.VERIFY_FAILED, done.stderr
    assert "frames: expected 3, found 2" in done.stderr and "kept as o.failed.mp4" in done.stderr
    assert (tmp_path / "o.mp4").read_text() == "old and good"
    assert '"failure": "' in (tmp_path / ".vidsr/o.failed.mp4.report.json").read_text()
    assert set(contents(tmp_path)) == {"c.mp4", "o.mp4", "o.failed.mp4", ".vidsr", ".vidsr/o.failed.mp4.report.json"}


def test_d11_images_that_fail_the_verification_are_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=2)
    monkeypatch.setattr(run, "verify", failed_check)
    run_vidsr("enhance", clip, *FAST, "-o", tmp_path / "s" / "%05d.png")
    names = {path.name for path in (tmp_path / "s").iterdir()}
    assert names == {"%05d.failed"}
    assert set(contents(tmp_path / "s" / "%05d.failed")) == {
        *("00001.png", "00002.png", ".vidsr", ".vidsr/%05d.png.report.json")
    }


@pytest.mark.parametrize("fate", ["cut", "gone", "replaced"])
def test_d11_a_clip_whose_source_changes_during_the_run_never_has_its_name(tmp_path: Path, fate: str) -> None:
    """A recording that was truncated meanwhile left 72 of 1000 frames under the name of the output."""
    source = make_clip(tmp_path / "c.mp4", frames=30, size=(64, 48), audio=1)
    other = make_clip(tmp_path / "other.mp4", frames=9, size=(64, 48), audio=1)

    def change(done: int, _: int | None) -> None:
        if fate == "cut":
            os.truncate(source, 5000)
        elif fate == "gone":
            source.unlink(missing_ok=True)
        elif other.exists():
            other.replace(source)

    with pytest.raises(VidsrError, match=r"kept as o\.failed\.mkv"):
        enhance(source, tmp_path / "o.mkv", scale=2, model="nearest", on_frames=change)
    assert not (tmp_path / "o.mkv").exists() and (tmp_path / ".vidsr" / "o.failed.mkv.report.json").exists()


def test_d11_a_folder_in_the_place_of_the_report_is_seen_before_the_work(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=3)
    (tmp_path / ".vidsr" / "o.mp4.report.json").mkdir(parents=True)
    done = run_vidsr("enhance", clip, *FAST, "-o", tmp_path / "o.mp4")
    assert done.returncode == ExitCode.BAD_REQUEST and "o.mp4.report.json is a folder" in done.stderr
    assert set(contents(tmp_path)) == {"c.mp4", ".vidsr", ".vidsr/o.mp4.report.json"}


def test_d4_the_second_of_two_runs_with_one_output_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=200, size=(320, 240))
    words = [sys.executable, "-m", "vidsr", "enhance", clip, *FAST, "-o", tmp_path / "o.mp4", "--overwrite"]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2]) as first:
        while first.poll() is None and not any(map(is_unfinished, tmp_path.iterdir())):
            time.sleep(0.01)
        second = run_vidsr("enhance", clip, "--scale", "3", *FAST[2:], "-o", tmp_path / "o.mp4", "--overwrite")
    assert second.returncode == ExitCode.BAD_REQUEST and "is being written by another run" in second.stderr
    assert first.returncode == 0 and not any(map(is_unfinished, tmp_path.iterdir()))


@pytest.mark.parametrize(
    ("target", "number"),
    [
        ("o.mp4", signal.SIGKILL),
        ("s/%05d.png", signal.SIGTERM),
        slow("o.mp4", signal.SIGTERM),
        slow("s/%05d.png", signal.SIGKILL),
    ],
)
def test_d12_the_run_after_an_interrupted_one_finds_a_clean_folder(
    tmp_path: Path, target: str, number: signal.Signals
) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=200, size=(320, 240))
    folder = (tmp_path / target).parent
    words = [sys.executable, "-m", "vidsr", "enhance", clip, *FAST, "-o", tmp_path / target]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2]) as first:
        while first.poll() is None and not (folder.is_dir() and any(map(is_unfinished, folder.iterdir()))):
            time.sleep(0.01)
        first.send_signal(number)
    if number == signal.SIGTERM:
        assert first.returncode == ExitCode.INTERRUPTED
        assert set(contents(tmp_path)) == {"c.mp4"}
    else:
        assert any(map(is_unfinished, folder.iterdir()))
    done = run_vidsr("enhance", clip, *FAST, "--frames", "2", "-o", tmp_path / target)
    assert done.returncode == 0, done.stderr
    assert not any(map(is_unfinished, folder.iterdir()))
