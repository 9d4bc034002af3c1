"""libx264 writes the same bytes whatever its memory held before: its AVX-512 code does not."""

import os
import subprocess
import sys
from pathlib import Path

from tests.clips import make_clip

COMMAND = ["enhance", "clip.mp4", "--scale", "2", "--model", "bicubic", "--segment", "0", "--codec", "libx264"]


def encoded(folder: Path, filling: int) -> bytes:
    """Return the output of a process whose new memory glibc fills with a value that follows from ``filling``."""
    words = [sys.executable, "-m", "vidsr", *COMMAND, "-o", f"{filling}.mp4"]
    done = subprocess.run(words, cwd=folder, env=os.environ | {"MALLOC_PERTURB_": str(filling)}, capture_output=True)
    assert done.returncode == 0, done.stderr
    return (folder / f"{filling}.mp4").read_bytes()


def test_bytes_do_not_depend_on_memory(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", 200, size=(96, 72), gop=50)
    assert encoded(tmp_path, 85) == encoded(tmp_path, 170)
