"""What follows from the option table as text: docs/options.md and the keyword arguments in vidsr/api.py.

Run `python -m vidsr.options.document` after a change of the table; a test compares.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from vidsr.options.commands import BY_NAME, COMMANDS, EXIT_CODES, Command
from vidsr.options.table import GENERAL, REQUIRED, Option

ROOT = Path(__file__).parents[2]
PAGE, API = ROOT / "docs" / "options.md", ROOT / "vidsr" / "api.py"
WIDTH = 120
PYTHON_FUNCTIONS = ("enhance", "compare")
# files and the console
NOT_IN_PYTHON = {
    *("inputs", "output", "json", "quiet", "verbose", "log_file", "crops", "skip_existing", "save_preset", "from_file"),
    *("fail_fast", "dry_run", "watch"),
}

INTRODUCTION = """# Options

`python -m vidsr.options.document` writes this page from the option table (vidsr/options/table.py): do not edit it.

In Python the options are the keyword arguments of `vidsr.enhance` and `vidsr.compare`, with underscores for dashes and
the types below: `vidsr.enhance("clip.mp4", scale=4, input_fps=24)`. `--encoder-option` is `encoder_options`, a list.
`None` is the value of an option that is not given. Fractions such as `24000/1001` are exact. `--deblur`, `--denoise`
and `--restore` without a value have strength 1.
"""


def options_page() -> str:
    """Return the text of docs/options.md."""
    same = (
        "`vidsr plan` has the options of `vidsr enhance`, except `--quiet`, `--verbose`, `--log-file`, "
        "`--skip-existing` and `--save-preset`; its `--json` prints one document."
    )
    parts = [INTRODUCTION]
    for command in COMMANDS:
        parts.append(f"## vidsr {command.name}\n\n{command.help}\n")
        parts += [same + "\n"] if command.name == "plan" else _tables(command)
        if command.examples:
            parts.append("\n".join(f"    {example}" for example in command.examples) + "\n")
    return "\n".join([*parts, "## Exit codes\n", *_exit_codes(), "", "## Old names\n", *_old_names()]).rstrip() + "\n"


def _tables(command: Command) -> Iterator[str]:
    """Yield a table for every group of options; options of a group that are apart come together."""
    order = list(dict.fromkeys(option.group for option in command.options))
    options = sorted(command.options, key=lambda option: order.index(option.group))
    in_python = command.name in PYTHON_FUNCTIONS
    for group, members in groupby(options, key=lambda option: option.group):
        columns = ("Option", "Value", "Default", *(("Python type",) if in_python else ()), "Meaning")
        rows = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        title = [] if group == GENERAL else [f"### {command.name}: {group.lower()}\n"]
        yield "\n".join([*title, *rows, *(_row(option, in_python) for option in members)]) + "\n"


def _row(option: Option, in_python: bool) -> str:
    name = option.metavar if option.positional else " ".join(f"`{flag}`" for flag in option.flags or (option.flag,))
    if option.negative or (option.kind is bool and option.default):
        name = f"{name} `--no-{option.name.replace('_', '-')}`"
    value = "" if option.positional else ", ".join(f"`{word}`" for word in option.values.split("|") if word)
    default = option.default_text or ("" if option.default in (None, REQUIRED, ()) else f"`{option.default}`")
    default = {"`True`": "on", "`False`": "off"}.get(default, default)
    is_keyword = not _is_for_files(option) and not option.positional
    hint = type_text(str if option.choices else option.hint).replace(" | ", ", ") if is_keyword else ""
    cells = (name, value, default, *((hint,) if in_python else ()), option.help)
    return f"| {' | '.join(cells)} |"


def _exit_codes() -> Iterator[str]:
    yield "| Code | Meaning |"
    yield "|---|---|"
    for entry in EXIT_CODES.split("; "):
        code, _, meaning = entry.partition(": ")
        yield f"| {code} | {meaning} |"


def _old_names() -> Iterator[str]:
    yield "Names of version 0.1 that still work in version 0.2, with a note:\n"
    yield "| Old | New |"
    yield "|---|---|"
    renamed = {one.old_name: one for command in COMMANDS for one in command.options if one.old_name}
    for option in renamed.values():
        words = "".join(f"; value `{old}` is `{new}`" for old, new in option.old_words.items())
        yield f"| `--{option.old_name.replace('_', '-')}` | `{option.flag}`{words} |"


def type_text(hint: Any) -> str:
    """Return a type as Python source."""
    if hint is NoneType:
        return "None"
    if get_origin(hint) in (Union, UnionType):
        return " | ".join(map(type_text, get_args(hint)))
    if get_origin(hint) is Literal:
        return f"Literal[{', '.join(f'{chr(34)}{word}{chr(34)}' for word in get_args(hint))}]"
    if get_args(hint):
        return f"{hint.__origin__.__name__}[{', '.join(map(type_text, get_args(hint)))}]"
    return str(hint.__name__)


def _is_for_files(option: Option) -> bool:
    """Whether the option is about files or the console, which a function of vidsr.api leaves to its caller."""
    return option.name in NOT_IN_PYTHON or (option.name == "overwrite" and option.own)


def python_options(name: str) -> tuple[Option, ...]:
    """Return the options of the command ``name`` that are keyword arguments in Python."""
    options = BY_NAME[name].options
    return tuple(one for one in options if not one.positional and not _is_for_files(one))


def api_source(text: str) -> str:
    """Return the source of vidsr/api.py with current keyword arguments and descriptions of them."""
    for name in PYTHON_FUNCTIONS:
        options = python_options(name)
        parameters = "".join(f"    {one.name}: {type_text(one.hint)} = {_literal(one.default)},\n" for one in options)
        text = _between(text, rf"def {name}\(.*?    # options: begin\n", "    # options: end\n", parameters)
        arguments = "".join(_argument(one) for one in options)
        start = rf"def {name}\(.*?\n    Args:\n(?:        (?:source|output|on_frames|on_note|progress): [^\n]*\n)+"
        text = _between(text, start, "\n    Returns:\n", arguments)
    return text


def _between(text: str, start: str, end: str, new: str) -> str:
    """Return ``text`` with ``new`` between the first match of the pattern ``start`` and the following ``end``."""
    head = re.search(start, text, re.DOTALL)
    assert head is not None
    return text[: head.end()] + new + text[text.index(end, head.end()) :]


def _argument(option: Option) -> str:
    default = f" Default: {option.default_text}." if option.default_text else ""
    text = f"{option.name}: {option.help}{default}"
    return textwrap.fill(text, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 12) + "\n"


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def main() -> None:
    """Write docs/options.md and vidsr/api.py."""
    PAGE.write_text(options_page())
    API.write_text(api_source(API.read_text()))


if __name__ == "__main__":
    main()
