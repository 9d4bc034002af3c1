"""Names of models without PyTorch: the same as those of the weights and kernels."""

import subprocess
import sys
from pathlib import Path

import pytest

from vidsr.errors import ExitCode, ModelError
from vidsr.kernels import resample
from vidsr.models.weight_files import list_weights
from vidsr.options.names import KERNELS, check_model

NO_TORCH = "import sys; sys.modules['torch'] = None; from vidsr.cli.app import run; run()"


def test_every_network_and_kernel_is_known() -> None:
    assert tuple(resample.KERNELS) == KERNELS
    for entry in list_weights():
        if entry.domain == "clean":
            check_model(entry.name)
            check_model(f"{entry.name}+")
    check_model("auto")


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"no model is called 'no_such': choose auto, .*balanced.*lanczos"):
        check_model("no_such")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("enhance", "nowhere.mp4", "--scale", "2"), "nowhere.mp4 does not exist: check the path"),
        (("plan", "nowhere.mp4", "--scale", "2"), "nowhere.mp4 does not exist: check the path"),
        (("info", "nowhere.mp4"), "nowhere.mp4 does not exist: check the path"),
        (("verify", "nowhere.mp4", "b.mp4"), "nowhere.mp4 does not exist: check the path"),
        (("compare", "nowhere.mp4"), "nowhere.mp4 does not exist: check the path"),
        (("degrade", "nowhere.mp4", "-o", "b.mp4"), "nowhere.mp4 does not exist: check the path"),
        (("enhance", "a.mp4", "--scale", "2", "--model", "no_such"), "no model is called 'no_such'"),
        (("enhance", "a.mp4", "--scale", "2", "--codec", "no_such"), "--codec no_such is not in this FFmpeg build"),
        (("enhance", "a.mp4", "--scale", "2", "--codec", "x\udcff"), "is not in this FFmpeg build"),
        (("degrade", "a.mp4", "-o", "b.mp4", "--codec", "aac"), "--codec aac encodes audio: name a video encoder"),
        (("enhance", "a.mp4", "--scale", "2", "--device", "gpu"), "--device 'gpu' is unknown: choose auto, cpu, cuda"),
        (("compare", "a.mp4", "--device", "cuda:0,tpu"), "--device 'cuda:0,tpu' is unknown"),
        (("plan", "a.mp4", "--scale", "0"), "not positive"),
        (("enhance", "a.mp4", "--scale", "0"), "--scale 0 is not positive"),
    ],
)
def test_missing_files_and_wrong_names_are_reported_without_pytorch(
    tmp_path: Path, words: tuple[str, ...], line: str
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not opened")
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == ExitCode.BAD_REQUEST, done.stderr
    assert line in done.stderr
