"""The command line: exit codes, a one-line error for each mistake, and what every command prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.clips import make_clip
from tests.commands import run_vidsr
from vidsr.errors import ExitCode


def subprocess_vidsr(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as its users do; the other tests run it in this process."""
    command = [sys.executable, "-m", "vidsr", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def fails(*arguments: str | Path) -> str:
    """Return the error of a wrong request."""
    result = run_vidsr(*arguments)
    assert result.returncode == ExitCode.BAD_REQUEST, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "a clip.mp4"
    make_clip(path, frames=6, size=(64, 48), fps=24)
    return path


def test_help_shows_groups_of_options_and_examples() -> None:
    result = run_vidsr("enhance", "--help")
    assert result.returncode == 0
    assert result.stdout.count("vidsr enhance ") >= 3
    for group in ("Size", "Frame rate", "Model and device", "Encoding", "Source", "Output"):
        assert f"─ {group} ─" in result.stdout


def test_version() -> None:
    from vidsr import __version__

    assert run_vidsr("--version").stdout.strip() == f"vidsr {__version__}"


def test_verbose_enhance_prints_a_summary(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    result = subprocess_vidsr("enhance", clip, "-o", target, "--scale", "2", "--model", "bicubic", "-v")
    assert result.returncode == ExitCode.DONE, result.stderr
    assert target.exists()
    lines = (tmp_path / ".vidsr" / "out.mp4.frames.csv").read_text().splitlines()
    assert len(lines) == 7
    for word in ("128x96", "bicubic", "bottleneck", "psnr_y_consistency"):
        assert word in result.stderr


def test_quiet_prints_nothing(clip: Path, tmp_path: Path) -> None:
    result = subprocess_vidsr(
        "enhance", clip, "-o", tmp_path / "out.mp4", "--scale", "2", "--model", "nearest", "--quiet"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_process_returns_the_exit_code_of_a_wrong_request(clip: Path) -> None:
    result = subprocess_vidsr("enhance", clip, "--scale", "0")
    assert (result.returncode, result.stdout) == (ExitCode.BAD_REQUEST, "")
    assert result.stderr == "vidsr: --scale 0 is not positive: give a number above 0\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--scale", "0"), "--scale 0 is not positive"),
        (("--scale", "2", "--model", "no_such"), "no_such"),
        (("--scale", "2", "--device", "tpu"), "--device 'tpu'"),
        (("--scale", "2", "--codec", "no_such"), "no_such"),
        (("--fps", "0"), "0"),
        (("--no-such-option",), "no such option: --no-such-option"),
    ],
)
def test_a_wrong_request_gives_a_one_line_error(clip: Path, arguments: tuple[str, ...], line: str) -> None:
    assert line in fails("enhance", clip, *arguments)


def test_a_folder_with_one_bad_clip_enhances_the_others_and_reports_it(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "good.mp4").write_bytes(clip.read_bytes())
    (folder / "bad.mp4").write_text("not a clip")
    (folder / "notes.txt").write_text("notes")
    result = subprocess_vidsr("enhance", folder, "-o", tmp_path / "out", "--scale", "2", "--model", "bilinear")
    assert result.returncode == ExitCode.SOME_FAILED
    assert (tmp_path / "out" / "deep" / "good.x2.mp4").exists()
    assert "notes.txt" in result.stderr
    assert "failed" in result.stderr and "bad.mp4" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_assumed_colour_of_untagged_clips_is_noted_once_in_a_run(clip: Path, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.mp4").write_bytes(clip.read_bytes())
    result = run_vidsr("enhance", tmp_path, "-o", tmp_path / "out", "--scale", "1", "--preset", "ultrafast", "-v")
    assert result.stderr.count("no colour tags: assuming BT.601") == 1, result.stderr


def test_info_prints_the_streams(clip: Path) -> None:
    assert "64x48" in run_vidsr("info", clip).stdout
    assert json.loads(run_vidsr("info", clip, "--json").stdout)


def test_models_lists_the_weights() -> None:
    assert "fast" in run_vidsr("models").stdout
    listed = json.loads(run_vidsr("models", "--json").stdout)
    assert all(len(row["sha256"]) == 64 for row in listed)
    (community,) = (row for row in listed if row["name"] == "x4plus")
    assert (community["licence"], community["scale"]) == ("BSD-3-Clause", 4)


def test_models_verifies_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run_vidsr("models", "verify")
    assert result.returncode == 0 and "weights files have the checksums" in result.stdout
    assert all(file["ok"] for file in json.loads(run_vidsr("models", "verify", "--json").stdout))
    monkeypatch.setattr("vidsr.models.weight_files.sha256", lambda path: "0" * 64)
    result = run_vidsr("models", "verify")
    assert result.returncode == ExitCode.VERIFY_FAILED
    assert "fast-clean-x2.safetensors: differs" in result.stdout and "install them again" in result.stderr
    assert run_vidsr("models", "check").returncode == ExitCode.BAD_REQUEST


def test_verify_passes_an_output_of_its_source_and_fails_another(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    assert run_vidsr("enhance", clip, "-o", target, "--scale", "2", "--model", "nearest").returncode == 0
    record = json.loads((tmp_path / ".vidsr" / "out.mp4.report.json").read_text())
    assert record["verification"]["ok"] and record["frames"] == 6
    assert run_vidsr("verify", clip, target).returncode == 0
    other = make_clip(tmp_path / "other.mp4", frames=6, size=(64, 48), fps=12)
    result = run_vidsr("verify", other, target)
    assert result.returncode == ExitCode.VERIFY_FAILED == 5
    assert "differs from its plan" in result.stderr and "Traceback" not in result.stderr


def test_degrade_dataset_and_evaluate(clip: Path, tmp_path: Path) -> None:
    import cv2
    import numpy as np

    assert (
        "6 frames" in run_vidsr("degrade", clip, "-o", tmp_path / "worse.mp4", "--scale", "1/2", "--noise", "2").stdout
    )
    (tmp_path / "images").mkdir()
    smooth = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8), (0, 0), 2)
    for i in range(10):
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), smooth)
    assert "megapixels" in run_vidsr("dataset", tmp_path / "images", "-o", tmp_path / "shard.safetensors").stdout
    scored = run_vidsr("evaluate", tmp_path / "images", "--model", "fast", "--scale", "2")
    assert "images/mean" in scored.stdout, scored.stderr


def test_compare_prints_every_method(clip: Path) -> None:
    result = run_vidsr("compare", clip, "--scale", "2", "--models", "bicubic,fast", "--frames", "2")
    assert "bicubic" in result.stdout and "fast" in result.stdout, result.stderr


@pytest.mark.slow
def test_bench_names_the_bottleneck(clip: Path) -> None:
    options = ("--scale", "2", "--model", "bicubic", "--rounds", "1", "--no-baselines", "--json")
    measured = json.loads(run_vidsr("bench", clip, *options).stdout)
    assert measured["bottleneck"] in measured["costs"] and measured["memory"] > 0
    assert measured["bound"] > 0 and measured["limits"]["gflops"]["fp32"] > 0


def test_evaluate_reads_given_lr_images_and_prints_json(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder, side in (("hr", 40), ("lr", 10)):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    done = run_vidsr("evaluate", tmp_path / "hr", "--model", "fast", "--scale", "4", "--lr", tmp_path / "lr", "--json")
    rows = json.loads(done.stdout)
    assert [row["image"] for row in rows] == ["a.png", "mean"]
    assert {"psnr_y", "ssim", "mse", "bicubic_psnr_y"} <= rows[0].keys()


def test_vidsr_alone_shows_five_commands_and_an_example() -> None:
    result = run_vidsr()
    assert result.returncode == 0
    assert result.stdout.count("\n  vidsr ") == 5 and "Example: vidsr enhance " in result.stdout


def test_enhance_of_the_current_folder_writes_next_to_it(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path / "in")
    result = run_vidsr("enhance", ".", "--scale", "2", "--model", "nearest", "--preset", "ultrafast")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "in.x2" / "a.x2.mp4").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("enhance", "", "-o", "out", "--scale", "2"),
        ("enhance", "a.mp4", "-o", "", "--scale", "2"),
        ("plan", "", "--scale", "2"),
        ("compare", ""),
        ("compare", "a.png", "--deblur", ""),
        ("info", ""),
        ("enhance", "a.mp4", "--output=", "--scale", "2"),
    ],
)
def test_an_empty_word_is_refused_and_not_taken_for_the_current_folder(words: tuple[str, ...]) -> None:
    result = run_vidsr(*words)
    assert result.returncode == ExitCode.BAD_REQUEST
    assert "is empty: give it a value, or check the variable that it comes from" in result.stderr


def test_an_unreadable_subfolder_counts_as_a_failure(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in" / "secret").mkdir(parents=True)
    (tmp_path / "in" / "a.mp4").write_bytes(clip.read_bytes())
    scandir = os.scandir

    def refuse(path: str | Path) -> object:
        if Path(path).name == "secret":  # root may read every folder
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    options = ("--scale", "2", "--model", "nearest", "--preset", "ultrafast")
    result = run_vidsr("enhance", tmp_path / "in", "-o", tmp_path / "out", *options)
    assert result.returncode == ExitCode.SOME_FAILED
    assert "secret: cannot be read (permission denied)" in result.stderr.replace("\n", "")
    assert "1 of 2 files enhanced, 1 failed" in result.stderr


def test_a_still_image_in_a_clip_container_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.avif").write_bytes(b"\0\0\0\x1cftypavif" + bytes(200))
    line = fails("enhance", tmp_path / "photo.avif", "--scale", "2")
    assert "photo.avif is a still image (AVIF), which vidsr does not read: convert it to PNG" in line


@pytest.mark.parametrize("value", ["strong", "50%", "0,5"])
def test_a_wrong_strength_names_the_option_and_the_accepted_values(clip: Path, value: str) -> None:
    line = fails("enhance", clip, "--deblur", value)
    assert f"--deblur '{value}' is not a strength: write a number from 0 to 1, or auto" in line
