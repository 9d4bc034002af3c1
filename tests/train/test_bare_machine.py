"""Training runs where nothing but PyTorch, NumPy and safetensors is installed, as on a rented GPU machine."""

import subprocess
import sys
from pathlib import Path

from tests.train.test_loop import one_thread, shard, write_recipe

__all__ = ["one_thread", "shard"]  # fixtures

BARE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"av", "cv2", "numba", "rich", "typer", "matplotlib", "tensorboard", "torchvision"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import vidsr.models
from vidsr.train.__main__ import main
sys.argv = ["vidsr.train", *sys.argv[1:]]
main()
"""


def train(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BARE, *words], capture_output=True, text=True, check=False)


def test_training_needs_neither_pyav_opencv_numba_nor_rich(tmp_path: Path, shard: Path) -> None:
    recipe = write_recipe(tmp_path, shard, "samples_every = 10")
    run = tmp_path / "run"
    first = train(str(recipe), "-o", str(run), "--steps", "10")
    assert first.returncode == 0, first.stderr
    assert "step 10/60" in first.stderr
    assert (run / "samples" / "0000010.png").exists()
    second = train(str(recipe), "-o", str(run), "--minutes", "9", "--steps", "12", "--resume")
    assert second.returncode == 0, second.stderr
    assert second.stdout.strip() == str(run / "tiny-clean-x2.safetensors")
    refused = train(str(recipe), "-o", str(run))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
