"""Numbers, times, amounts and choices from what a person writes; ``option`` names it in errors."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TypeVar

from vidsr.errors import OptionError

BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

T = TypeVar("T", bound=str)


def decimal(value: Fraction) -> str:
    """``value`` in as few digits as tell it: 4, 1.5, 23.976."""
    return f"{float(value):.3f}".rstrip("0").rstrip(".")


def parse_choice(text: str, choices: tuple[T, ...], option: str) -> T:
    """``text`` as one of ``choices``.

    Raises:
        OptionError: it is none of them.
    """
    for choice in choices:
        if text == choice:
            return choice
    raise OptionError(f"{option} {text!r} is unknown: choose {', '.join(map(str, choices))}")


def parse_time(text: str | None, option: str) -> Fraction | None:
    """Seconds from ``75.5``, ``1:15.5`` or ``0:01:15.5``, exact.

    Raises:
        OptionError: the text is none of these.
    """
    if text is None:
        return None
    if not re.fullmatch(r"(?:(?:\d+:)?\d+:)?\d+(?:\.\d+)?", text.strip()):
        raise OptionError(f"{option} {text!r} is not a time: write seconds (62.5) or minutes and seconds (1:02.5)")
    seconds = Fraction(0)
    for part in text.strip().split(":"):
        seconds = seconds * 60 + Fraction(part)
    return seconds


def parse_bytes(text: str, option: str) -> int:
    """Bytes from ``4G``, ``800M`` or a plain number; powers of 1024.

    Raises:
        OptionError: it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise OptionError(f"{option} {text!r} is not an amount of memory: write 4G or 800M")
    return int(float(match[1]) * BYTES[match[2].upper()])


def positive_int(value: int | str, option: str, least: int = 1) -> int:
    """``value`` as a whole number from ``least`` on.

    Raises:
        OptionError: it is less.
    """
    number = int(value)
    if number < least:
        fault = "not positive" if number < 1 else "too small"
        raise OptionError(f"{option} {value} is {fault}: give {least} or more")
    return number


def positive_fraction(text: str, option: str) -> Fraction:
    """An exact number above zero from ``4``, ``1.5`` or ``3/2``.

    Raises:
        OptionError: it is none of these.
    """
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"{option} {text!r} is not a number: write 4, 1.5 or 3/2") from None
    if value <= 0:
        raise OptionError(f"{option} {text} is not positive: give a number above 0")
    return value
