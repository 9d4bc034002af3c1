"""Typer signatures of the commands, built from `vidsr.options.commands`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal, get_origin

import typer
from rich.markup import escape

from vidsr.errors import OptionError
from vidsr.options.commands import Command
from vidsr.options.table import OPTIONS, REQUIRED, Option

Function = Callable[..., None]

BARE = {option.flag: option.bare for option in OPTIONS if option.bare}
OLD = "old_"  # prefix of the parameters that take the old spelling of an option


def with_options(command: Command) -> Callable[[Function], Function]:
    """Return a decorator that gives a function the options of ``command``, in the signature that Typer reads."""

    def decorate(function: Function) -> Function:
        def wrapper(**given: Any) -> None:
            function(**current(command, given))

        renamed = [option for option in command.options if option.old_name]
        parameters = [*map(parameter, command.options), *map(old_parameter, renamed)]
        wrapper.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        return wrapper

    return decorate


def parameter(option: Option) -> Parameter:
    """Return the Typer parameter of an option."""
    kind = str if get_origin(option.kind) is Literal else option.kind
    kind = list[kind] if option.many else kind  # type: ignore[valid-type]
    default = Parameter.empty if option.default is REQUIRED else option.default
    return _parameter(option.name, kind | None if default is None else kind, _declaration(option), default)


def old_parameter(option: Option) -> Parameter:
    """Return the hidden Typer parameter that takes the old spelling of a renamed option."""
    kind = bool if option.kind is bool else str
    declaration = typer.Option(_flags(option, option.old_name), hidden=True)
    return _parameter(f"{OLD}{option.old_name}", kind | None, declaration, None)


def _parameter(name: str, kind: Any, declaration: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, declaration])


def _declaration(option: Option) -> Any:
    metavar = option.values or (" " if option.kind is bool else None)  # a flag takes no value
    if option.positional:
        return typer.Argument(metavar=metavar, help=escape(option.help), show_default=False)
    flags = option.flags or (_flags(option, option.name),)
    default = f" [default: {option.default_text}]" if option.default_text else ""
    return typer.Option(
        *flags,
        metavar=metavar,
        help=escape(option.help + default),
        show_default=option.kind is not bool,
        min=option.minimum,
        max=option.maximum,
        rich_help_panel=option.group,
    )


def _flags(option: Option, name: str) -> str:
    """Return the spelling of a flag; an option that is on by default can be switched off."""
    name = name.replace("_", "-")
    return f"--{name}/--no-{name}" if option.negative or (option.kind is bool and option.default) else f"--{name}"


def current(command: Command, given: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the command's options; those under an old spelling count, with a note on stderr.

    Raises:
        OptionError: an option is given under its old and its new spelling.
    """
    values = {option.name: given[option.name] for option in command.options}
    for option in command.options:
        old = given.get(f"{OLD}{option.old_name}")
        if not option.old_name or old is None:
            continue
        old_flag = f"--{option.old_name.replace('_', '-')}"
        if values[option.name] != option.default:
            raise OptionError(f"{old_flag} is the old name of {option.flag}: give {option.flag} only")
        if not given.get("quiet"):
            print(
                f"vidsr: {old_flag} is now called {option.flag}; the old name ends with the next version",
                file=sys.stderr,
            )
        values[option.name] = old
    return values


def expand_bare_options(words: list[str]) -> list[str]:
    """Return the words of a command line with the value of ``--deblur`` and the like added where it is left out.

    Typer has no options with an optional value.

    Raises:
        OptionError: a word, or the value of an option, is empty. Python takes an empty path for the current folder.
    """
    for number, word in enumerate(words):
        if not word or (word.startswith("--") and word.endswith("=")):
            place = word or (f"the word after {words[number - 1]}" if number else "the first word")
            raise OptionError(f"{place} is empty: give it a value, or check the variable that it comes from")
    expanded = []
    for word, following in zip(words, [*words, ""][1:], strict=True):
        bare = word in BARE and not _is_value(following)
        expanded += [word, BARE[word]] if bare else [word]
    return expanded


def _is_value(word: str) -> bool:
    """Whether the word after a bare option is its value, perhaps a wrong one, and not an option or an input."""
    if word == "auto" or word.replace(".", "", 1).isdigit():
        return True
    return bool(word) and word[0] != "-" and not set("./") & set(word) and not os.path.lexists(word)
