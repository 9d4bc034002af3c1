"""Standard streams that are closed, full, or of another encoding: the same exit codes, one line, no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.clips import make_clip
from tests.commands import run_vidsr
from tests.tiers import slow
from vidsr.errors import ExitCode

ENHANCE = "enhance a.mp4 --scale 2 --model nearest --preset ultrafast -o b.mkv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a clip."""
    make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    return tmp_path


def shell(folder: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``command`` in bash, where ``vidsr`` is the command line, and return the exit code of vidsr."""
    setting = " ".join(f"{name}={value}" for name, value in environment.items())
    script = f'vidsr() {{ {setting} {sys.executable} -m vidsr "$@"; }}\n{command}\nexit "${{PIPESTATUS[0]}}"'
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("closed", [slow(">&-"), slow("2>&-"), slow("<&-"), ">&- 2>&- <&-"])
def test_success_is_exit_code_0_when_a_standard_stream_is_closed(folder: Path, closed: str) -> None:
    done = shell(folder, f"vidsr {ENHANCE} {closed}")
    assert done.returncode == ExitCode.DONE, done.stderr
    assert shell(folder, f"vidsr verify a.mp4 b.mkv {closed}").returncode == ExitCode.DONE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
@pytest.mark.parametrize("command", ["info a.mp4 --json", "info a.mp4", "models"])
def test_a_full_standard_output_is_one_line(folder: Path, command: str) -> None:
    done = shell(folder, f"vidsr {command} >/dev/full")
    assert done.returncode == ExitCode.BAD_REQUEST
    assert "(no space left on device)" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["models", "models --json", "info a.mp4"])
def test_a_reader_that_ends_early_gives_exit_code_141(folder: Path, command: str) -> None:
    done = shell(folder, f"vidsr {command} | true")  # true reads nothing and is gone long before vidsr prints
    assert (done.returncode, done.stderr) == (ExitCode.PIPE_CLOSED, "")


@pytest.mark.parametrize(("command", "stream"), [("- -o b.mkv <&-", "input"), ("a.mp4 -o - >&-", "output")])
def test_a_closed_stream_that_the_run_needs_is_one_line(folder: Path, command: str, stream: str) -> None:
    done = shell(folder, f"vidsr enhance --scale 2 --model nearest {command}")
    assert done.returncode == ExitCode.BAD_REQUEST
    assert f"- is the standard {stream}, which is closed" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8:strict", slow("ascii:strict")])
def test_a_name_that_is_no_text_can_be_printed_in_a_strict_locale(folder: Path, encoding: str) -> None:
    (folder / "a.mp4").rename(folder / b"caf\xe9 \xc3\xa9.mp4".decode(errors="surrogateescape"))
    done = shell(folder, "vidsr info *.mp4; vidsr plan *.mp4 --scale 2 --model nearest", PYTHONIOENCODING=encoding)
    assert done.returncode == ExitCode.DONE, done.stderr
    assert done.stdout.count("caf\\udce9") >= 2


def test_training_into_a_read_only_folder_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", "read-only/run")

    monkeypatch.setattr("vidsr.train.watch.train", refuse)
    done = run_vidsr("train", folder / "recipe.toml", "-o", "read-only/run")
    assert done.returncode == ExitCode.BAD_REQUEST
    assert done.stderr == "vidsr: read-only/run cannot be used (permission denied): check its permissions\n"
