"""The examples of docs/python.md run as they are written."""

import re
import shutil
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]


def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(REPO / "samples" / "city_cut.mp4", tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^```python\n(.*?)^```", (REPO / "docs" / "python.md").read_text(), re.MULTILINE | re.DOTALL)
    assert examples
    variables: dict[str, object] = {"__name__": "__main__"}
    for example in examples:
        exec(example, variables)
