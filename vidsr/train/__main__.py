"""`python -m vidsr.train RECIPE.toml`: `vidsr train` with few packages.

It needs only PyTorch, NumPy and safetensors.
"""

from __future__ import annotations

import argparse
import sys

from vidsr.errors import ExitCode, VidsrError
from vidsr.options.commands import BY_NAME
from vidsr.train import watch


def parser() -> argparse.ArgumentParser:
    """Return a parser of the options of `vidsr train`."""
    command = BY_NAME["train"]
    result = argparse.ArgumentParser(prog="python -m vidsr.train", description=command.help)
    for option in command.options:
        if option.positional:
            result.add_argument(option.name, type=option.kind, metavar=option.metavar, help=option.help)
        elif option.kind is bool:
            result.add_argument(option.flag, action="store_true", help=option.help)
        else:
            flags, default = option.flags or (option.flag,), option.default
            result.add_argument(*flags, type=option.kind, default=default, metavar=option.metavar, help=option.help)
    return result


def main() -> None:
    """Train as the command line asks."""
    a = parser().parse_args()
    try:
        print(watch.train(a.recipe, a.output, a.resume, a.steps, a.minutes, a.device, init=a.init))
    except VidsrError as error:
        print(f"vidsr: {error}", file=sys.stderr)
        sys.exit(ExitCode.BAD_REQUEST)


if __name__ == "__main__":
    main()
