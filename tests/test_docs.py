"""What the documentation says can be done, can be done."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from vidsr.cli.app import app

REPO = Path(__file__).parents[1]
README = (REPO / "README.md").read_text()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
TRAINING = (REPO / "docs" / "training.md").read_text()
EXAMPLES = re.findall(r"^ {4,8}(vidsr [^#\n]*)", README + TRAINING, re.MULTILINE)


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_of_the_readme_is_a_command_with_options_that_exist(line: str) -> None:
    _, name, *words = shlex.split(line)
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known


def test_every_command_is_in_the_readme() -> None:
    table = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", README, re.MULTILINE))))
    assert set(COMMANDS) <= table


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/training.md"])
def test_files_that_are_named_exist(document: str) -> None:
    text = (REPO / document).read_text()
    named = re.findall(r"(?:vidsr|docs|benchmarks|samples|scripts|tests)/[\w./-]*\w", text)
    assert [path for path in named if not (REPO / path).exists()] == []


def test_the_two_commands_are_targets_of_make() -> None:
    targets = re.findall(r"^(\w+):", (REPO / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test"} <= set(targets)
    assert "    make demo" in README and "    make test" in README
