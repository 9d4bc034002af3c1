"""Numbers, times, amounts and words from text; errors name the ``flag`` of the option."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TypeVar

from vidsr.errors import OptionError

BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

T = TypeVar("T", bound=str)


def decimal(value: Fraction) -> str:
    """Return ``value`` with at most three decimals and no trailing zeros: 4, 1.5, 23.976."""
    return f"{float(value):.3f}".rstrip("0").rstrip(".")


def parse_choice(text: str, choices: tuple[T, ...], flag: str) -> T:
    """Return ``text``, which must be one of ``choices``.

    Raises:
        OptionError: it is none of them.
    """
    for choice in choices:
        if text == choice:
            return choice
    raise OptionError(f"{flag} {text!r} is unknown: choose {', '.join(map(str, choices))}")


def parse_time(text: str, flag: str) -> Fraction:
    """Return exact seconds from ``75.5``, ``1:15.5`` or ``0:01:15.5``.

    Raises:
        OptionError: the text has none of these forms.
    """
    if not re.fullmatch(r"(?:(?:\d+:)?\d+:)?\d+(?:\.\d+)?", text.strip()):
        raise OptionError(f"{flag} {text!r} is not a time: write seconds (62.5) or minutes and seconds (1:02.5)")
    seconds = Fraction(0)
    for part in text.strip().split(":"):
        seconds = seconds * 60 + Fraction(part)
    return seconds


def parse_bytes(text: str, flag: str) -> int:
    """Return bytes from ``4G``, ``800M`` or a plain number, in powers of 1024.

    Raises:
        OptionError: the text has none of these forms.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise OptionError(f"{flag} {text!r} is not an amount of memory: write 4G or 800M")
    return int(float(match[1]) * BYTES[match[2].upper()])


def parse_int(value: int | str, flag: str, minimum: int = 1) -> int:
    """Return ``value`` as a whole number of at least ``minimum``.

    Raises:
        OptionError: it is not a whole number, or less.
    """
    try:
        number = int(value)
    except ValueError:
        raise OptionError(f"{flag} {value!r} is not a whole number: give {minimum} or more") from None
    if number < minimum:
        fault = "not positive" if number < 1 else "too small"
        raise OptionError(f"{flag} {value} is {fault}: give {minimum} or more")
    return number


def parse_fraction(text: str, flag: str) -> Fraction:
    """Return an exact number above zero from ``4``, ``1.5`` or ``3/2``.

    Raises:
        OptionError: the text has none of these forms, or is not above zero.
    """
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"{flag} {text!r} is not a number: write 4, 1.5 or 3/2") from None
    if value <= 0:
        raise OptionError(f"{flag} {text} is not positive: give a number above 0")
    return value
