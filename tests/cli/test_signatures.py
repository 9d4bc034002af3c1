"""Options on the command line: Typer's signatures follow the table, and old spellings still work."""

import ast
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from typer.testing import CliRunner

import vidsr
from vidsr.cli.app import app
from vidsr.cli.signatures import expand_bare_options
from vidsr.options.commands import BY_NAME, COMMANDS, Command
from vidsr.options.table import OPTIONS, Option

PACKAGE = Path(vidsr.__file__).parent
RENAMED = [(command, option) for command in COMMANDS for option in command.options if option.old_name]


def run(*words: str) -> Any:
    return CliRunner().invoke(app, words, env={"COLUMNS": "200"})


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What `enhance` and `bench` are called with, in a folder with a file clip.mp4."""
    monkeypatch.chdir(tmp_path)
    Path("clip.mp4").touch()
    values: dict[str, Any] = {}
    for name in ("enhance", "bench"):
        monkeypatch.setattr(f"vidsr.cli.{name}.{name}", lambda **given: values.update(given))
    return values


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_function_of_a_command_accepts_exactly_its_options(command: Command) -> None:
    function = getattr(import_module(f"vidsr.cli.{command.name}"), command.name)
    parameters = inspect.signature(function).parameters
    named = {name for name, one in parameters.items() if one.kind is not inspect.Parameter.VAR_KEYWORD}
    names = {option.name for option in command.options}
    assert named <= names
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    assert named == names or takes_any
    hints = get_type_hints(function)
    for option in command.options:
        if option.name in named:
            kind = list[option.kind] if option.many else option.kind if isinstance(option.kind, type) else str
            assert hints[option.name] == (kind | None if option.default is None else kind), option.name


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_shows_every_option_and_no_old_name(command: Command) -> None:
    text = run(command.name, "--help").output
    for option in command.options:
        assert option.values in text if option.positional else option.flag in text
        assert not option.old_name or f"--{option.old_name.replace('_', '-')} " not in text


def calls(path: Path) -> set[str]:
    """Names of all functions and methods that a file calls."""
    nodes = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return {node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in nodes}


def test_only_the_option_table_declares_options() -> None:
    files = {str(path.relative_to(PACKAGE)): path for path in PACKAGE.rglob("*.py")}
    declaring = {name for name, path in files.items() if calls(path) & {"Option", "Argument"}}
    builder, version = "cli/signatures.py", "cli/app.py"  # Typer's declarations of the table; --version
    assert declaring == {"options/table.py", "options/commands.py", builder, version}
    # tools of the maintainers, run with python -m, read their arguments with argparse
    tools = {name for name, path in files.items() if "add_argument" in calls(path)}
    assert all(files[name].read_text().rstrip().endswith("main()") for name in tools)
    assert not any(name.startswith(("cli/", "options/")) for name in tools)


@pytest.mark.parametrize(("command", "option"), RENAMED, ids=lambda one: one.name)
def test_an_old_name_is_accepted_with_a_note(command: Command, option: Option) -> None:
    value: tuple[str, ...] = () if option.kind is bool else ("nonsense",)
    old, new = (f"--{name.replace('_', '-')}" for name in (option.old_name, option.name))
    required = ["nowhere.mp4", *(["nowhere.mkv"] if command.name == "verify" else [])]
    with_old, with_new = (run(command.name, *required, flag, *value) for flag in (old, new))
    assert f"{old} is now called {new}" in with_old.stderr
    assert type(with_old.exception) is type(with_new.exception)
    assert str(with_old.exception) == str(with_new.exception)


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("--no-steady", {"temporal_denoise": False}),
        ("--steady", {"temporal_denoise": True}),
        ("--source video", {"domain": "video"}),
        ("--duplicates smooth", {"repeats": "smooth"}),
        ("--fps-in 24", {"input_fps": "24"}),
        ("--pipe raw", {"stdout_format": "raw"}),
        ("--repeats interpolate", {"repeats": "interpolate"}),
    ],
)
def test_enhance_receives_the_value_of_an_old_name(
    received: dict[str, Any], words: str, values: dict[str, Any]
) -> None:
    result = run("enhance", "clip.mp4", *words.split())
    assert result.exit_code == 0, result.output
    assert values.items() <= received.items()
    assert received.keys() == {option.name for option in BY_NAME["enhance"].options}


def test_bench_receives_the_value_of_an_old_name(received: dict[str, Any]) -> None:
    assert "now called --baselines" in run("bench", "clip.mp4", "--no-beside").stderr
    assert received["baselines"] is False


def test_evaluate_accepts_the_old_word_for_compressed_clips() -> None:
    assert BY_NAME["evaluate"].option("domain").parsed("video") == "compressed"


def test_the_note_of_an_old_name_obeys_quiet(received: dict[str, Any]) -> None:
    assert run("enhance", "clip.mp4", "--no-steady", "--quiet").stderr == ""


def test_an_old_and_a_new_name_together_are_refused() -> None:
    result = run("enhance", "clip.mp4", "--domain", "clean", "--source", "clean")
    assert "--source is the old name of --domain: give --domain only" in str(result.exception)


def test_defaults_without_a_value_are_shown() -> None:
    text = run("enhance", "--help").output
    assert "[default: 18]" in text and "[default: medium]" in text


def test_names_are_unique_and_help_is_short() -> None:
    for command in COMMANDS:
        names = [option.name for option in command.options]
        assert len(names) == len(set(names))
    assert all(len(option.help.split()) <= 20 and option.help.endswith(".") for option in OPTIONS)


@pytest.mark.parametrize(
    ("line", "spelled_out"),
    [
        ("enhance a.mp4 --deblur", "enhance a.mp4 --deblur 1"),
        ("enhance --deblur a.mp4", "enhance --deblur 1 a.mp4"),
        ("enhance a.mp4 --deblur --denoise auto --restore .5", "enhance a.mp4 --deblur 1 --denoise auto --restore .5"),
        ("enhance a.mp4 --deblur 0.5 --scale 2", "enhance a.mp4 --deblur 0.5 --scale 2"),
        ("enhance a.mp4 --deblur-model wiener", "enhance a.mp4 --deblur-model wiener"),
    ],
)
def test_a_restoration_without_a_strength_gets_full_strength(line: str, spelled_out: str) -> None:
    assert expand_bare_options(line.split()) == spelled_out.split()
