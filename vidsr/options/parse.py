"""Numbers, times, amounts and words from text; errors name the ``flag`` of the option."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import TypeVar

from vidsr.errors import OptionError

BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

MAX_SECONDS = 10**9  # of a time: 31 years; FFmpeg counts 64 bits of nanoseconds
PIXELS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
MOST_PIXELS = 1 << 30  # of a frame or image: OpenCV reads no more
MAX_BYTES = 1 << 60  # of an amount of memory
MAX_JOBS = 1000  # processes of one run
MAX_INT = 10**9  # of every whole number
MAX_DIGITS = 100  # of a fraction, as text
LARGE_EXPONENT = re.compile(r"[eE][+-]?\d{3,}")

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
    raise OptionError(f"{flag} {text!r} is unknown: choose {', '.join(map(str, choices))}{did_you_mean(text, choices)}")


def did_you_mean(text: str, choices: Iterable[str]) -> str:
    """Return a hint at the choice that is most like ``text``, for the end of a message; empty if none is."""
    near = difflib.get_close_matches(str(text).lower(), [*choices], 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""


def parse_time(text: str, flag: str) -> Fraction:
    """Return exact seconds from ``75.5``, ``1:15.5`` or ``0:01:15.5``.

    Raises:
        OptionError: the text has none of these forms, or the time is above `MAX_SECONDS`.
    """
    if len(text) > MAX_DIGITS or not re.fullmatch(r"(?:(?:\d+:)?\d+:)?\d+(?:\.\d+)?", text.strip()):
        raise OptionError(
            f"{flag} {shortened(text)!r} is not a time: write seconds (62.5) or minutes and seconds (1:02.5)"
        )
    seconds = Fraction(0)
    for part in text.strip().split(":"):
        seconds = seconds * 60 + Fraction(part)
    if seconds > MAX_SECONDS:
        raise OptionError(f"{flag} {shortened(text)} is too late: give at most {MAX_SECONDS} seconds")
    return seconds


def parse_segment(text: str, flag: str) -> Fraction | None:
    """Return exact seconds from ``10s``, ``10`` or ``0``; None for ``auto``.

    Raises:
        OptionError: the text is neither.
    """
    return None if text == "auto" else parse_time(text.strip().removesuffix("s"), flag)


def parse_bytes(text: str, flag: str) -> int:
    """Return bytes from ``4G``, ``800M`` or a plain number, in powers of 1024.

    Raises:
        OptionError: the text has none of these forms.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    amount = 0.0 if match is None else float(match[1]) * BYTES[match[2].upper()]
    if not 1 <= amount <= MAX_BYTES:
        raise OptionError(f"{flag} {shortened(text)!r} is not an amount of memory: write 4G or 800M")
    return int(amount)


def parse_pixels(text: str, flag: str) -> int:
    """Return a number of pixels from ``500M`` (millions) or a plain number.

    Raises:
        OptionError: the text has none of these forms, or the number is above `MOST_PIXELS`.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)", text.strip(), re.IGNORECASE)
    amount = 0.0 if match is None else float(match[1]) * PIXELS[match[2].upper()]
    if not 1 <= amount <= MOST_PIXELS:
        most = f"{MOST_PIXELS // PIXELS['M']}M"
        raise OptionError(f"{flag} {shortened(text)!r} is not a number of pixels up to {most}: write 500M")
    return int(amount)


def parse_int(value: int | str, flag: str, minimum: int = 1, maximum: int = MAX_INT) -> int:
    """Return ``value`` as a whole number of at least ``minimum`` and at most ``maximum``.

    Raises:
        OptionError: it is not a whole number, or less or more.
    """
    try:
        number = int(value)
        if isinstance(value, float) and number != value:
            raise ValueError
    except (ValueError, OverflowError, TypeError):
        text = shortened(value)
        raise OptionError(f"{flag} {text!r} is not a whole number: give {minimum} or more") from None
    if number > maximum:
        raise OptionError(f"{flag} {shortened(number)} is too large: give at most {maximum}")
    if number < minimum:
        fault = "not positive" if number < 1 else "too small"
        raise OptionError(f"{flag} {value} is {fault}: give {minimum} or more")
    return number


def parse_share(text: str, flag: str) -> float:
    """Return a number from 0 to 1.

    Raises:
        OptionError: the text is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise OptionError(f"{flag} {shortened(text)!r} is not a number from 0 to 1: write 1 for all, 0.5 for half")
    return value


def parse_jobs(text: str, flag: str) -> int:
    """Return a number of processes; 0 for ``auto``.

    Raises:
        OptionError: the text is neither.
    """
    return 0 if text == "auto" else parse_int(text, flag, maximum=MAX_JOBS)


def parse_fraction(text: str, flag: str) -> Fraction:
    """Return an exact number above zero from ``4``, ``1.5`` or ``3/2``.

    Raises:
        OptionError: the text has none of these forms, or is not above zero.
    """
    try:
        if len(text) > MAX_DIGITS or LARGE_EXPONENT.search(text):  # would compute a number of that many digits
            raise ValueError
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"{flag} {shortened(text)!r} is not a number: write 4, 1.5 or 3/2") from None
    if value <= 0:
        raise OptionError(f"{flag} {text} is not positive: give a number above 0")
    return value


def shortened(value: object, longest: int = 40) -> str:
    """Return ``value`` as text that fits a message of one line."""
    text = "a number of many digits" if isinstance(value, int) and abs(value) > 10**longest else str(value)
    return text if len(text) <= longest else f"{text[:longest]}..."
