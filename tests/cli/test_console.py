"""The console of `vidsr enhance`: a line for each file, short flags, JSON lines, hints at mistakes."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.clips import make_clip
from tests.commands import run_vidsr
from vidsr.cli.progress import Reporter, Verbosity
from vidsr.cli.run_share import RunShare
from vidsr.errors import ExitCode
from vidsr.runtime.error_boundary import Failure

QUICK = ("--scale", "2", "--model", "nearest", "--preset", "ultrafast")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("console") / "clip.mp4", frames=4, size=(64, 48))


def copied(clip: Path, folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(clip.read_bytes())


def test_success_is_one_line(clip: Path, tmp_path: Path) -> None:
    copied(clip, tmp_path, "a.mp4")
    result = run_vidsr("enhance", tmp_path / "a.mp4", *QUICK)
    (line,) = [line for line in result.stderr.splitlines() if "compiling" not in line]
    assert line.startswith("a.mp4 -> a.x2.mp4  128x96  4 frames  ") and line.endswith(" s  verified")
    assert result.stdout == ""


def test_y_replaces_n_skips_and_without_either_an_existing_output_is_an_error(clip: Path, tmp_path: Path) -> None:
    copied(clip, tmp_path, "a.mp4", "a.x2.mp4")
    assert run_vidsr("enhance", tmp_path / "a.mp4", *QUICK).returncode == ExitCode.BAD_REQUEST
    before = (tmp_path / "a.x2.mp4").read_bytes()
    skipped = run_vidsr("enhance", tmp_path / "a.mp4", *QUICK, "-n")
    assert skipped.returncode == 0 and "skipped, a.x2.mp4 exists: " in skipped.stderr
    assert (tmp_path / "a.x2.mp4").read_bytes() == before
    quiet = run_vidsr("enhance", tmp_path / "a.mp4", *QUICK, "-y", "-q")
    assert (quiet.returncode, quiet.stderr) == (0, "") and (tmp_path / "a.x2.mp4").read_bytes() != before


def test_json_prints_one_object_a_line_also_for_files_that_fail(clip: Path, tmp_path: Path) -> None:
    copied(clip, tmp_path, "a.mp4")
    (tmp_path / "bad.mp4").write_text("not a clip")
    result = run_vidsr("enhance", tmp_path / "a.mp4", tmp_path / "bad.mp4", *QUICK, "--json")
    good, bad = map(json.loads, result.stdout.splitlines())
    assert good["ok"] and good["output"].endswith("a.x2.mp4") and good["verified"] and good["frames"] == 4
    assert not bad["ok"] and "bad.mp4" in bad["error"]
    assert result.returncode == ExitCode.SOME_FAILED
    single = run_vidsr("enhance", tmp_path / "bad.mp4", *QUICK, "--json")
    assert not json.loads(single.stdout)["ok"] and single.returncode == ExitCode.BAD_REQUEST
    assert "leave out one" in run_vidsr("enhance", tmp_path / "a.mp4", "--json", "-o", "-").stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--scale", "2", "--precision", "pf16"), "did you mean fp16?"),
        (("--scale", "2", "--preset", "fsat"), "did you mean fast?"),
        (("--fps", "2x", "--interpolation", "flwo"), "did you mean flow?"),
        (("--sclae", "2"), "--scale"),
    ],
)
def test_a_misspelt_value_or_option_gets_a_suggestion(clip: Path, words: tuple[str, ...], hint: str) -> None:
    result = run_vidsr("enhance", clip, *words)
    assert result.returncode == ExitCode.BAD_REQUEST and hint in result.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("enhnce", "a.mp4"), "no such command 'enhnce'; did you mean 'enhance'?"),
        (("sharpen", "a.mp4"), "no such command 'sharpen': see "),
        (("enhance", "a.mp4", "--scale"), "option '--scale' requires an argument: see vidsr --help"),
        (("enhance", "a.mp4", "--scal", "2"), "no such option: --scal (Possible options: "),
    ],
)
def test_a_wrong_word_gives_one_line_and_no_box(words: tuple[str, ...], line: str) -> None:
    result = run_vidsr(*words)
    assert result.returncode == ExitCode.BAD_REQUEST
    assert result.stderr.startswith(f"vidsr: {line}") and result.stderr.count("\n") == 1, result.stderr


def test_a_pattern_in_quotes_is_expanded(clip: Path, tmp_path: Path) -> None:
    copied(clip, tmp_path, "a.mp4", "b.mp4", "[c].mp4")
    result = run_vidsr("enhance", tmp_path / "?.mp4", *QUICK)
    assert "2 of 2 files enhanced" in result.stderr
    assert sorted(path.name for path in tmp_path.glob("*.x2.mp4")) == ["a.x2.mp4", "b.x2.mp4"]
    assert run_vidsr("enhance", tmp_path / "[c].mp4", *QUICK).returncode == 0  # a file of that very name
    assert "no file matches" in run_vidsr("enhance", tmp_path / "*.mkv", *QUICK).stderr


def test_an_address_gets_a_hint() -> None:
    result = run_vidsr("enhance", "https://example.org/clip.mp4")
    assert result.returncode == ExitCode.BAD_REQUEST
    assert "https://example.org/clip.mp4 is an address: download it first" in result.stderr


def test_no_color_prints_no_escape_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=StringIO(), force_terminal=True, highlight=False)
    with Reporter(Verbosity.QUIET, console) as reporter:
        reporter.fail(Path("a.mp4"), Failure("broken"))
    assert "\x1b[31m" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_time_left_for_all_files_follows_their_bytes(tmp_path: Path) -> None:
    for name, size in (("small", 100), ("large", 300)):
        (tmp_path / name).write_bytes(bytes(size))
    share = RunShare([tmp_path / "small", tmp_path / "large"])
    values = []
    for number in (0, 1):
        share.update(number, 5, 10)
        values.append(share.value)
        share.end(number)
        values.append(share.value)
    assert values == [0.125, 0.25, 0.625, 1]


def test_the_time_left_is_shown_for_several_files_only(tmp_path: Path) -> None:
    (tmp_path / "clip").write_bytes(bytes(100))
    for files, shown in ((1, ""), (2, " for all files")):
        share = RunShare([tmp_path / "clip"] * files)
        assert share.left() == ""
        share.update(0, 0, 10)
        share.update(0, 5, 10)
        assert share.left().endswith(shown) and (shown or not share.left())


def test_the_shell_gets_completions_and_not_the_welcome() -> None:
    environment = {**os.environ, "_VIDSR_COMPLETE": "complete_bash", "COMP_WORDS": "vidsr enh", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['vidsr']; from vidsr.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout.strip() == "enhance", done.stderr
