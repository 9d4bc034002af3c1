"""When output frames are shown: exact times in seconds, from the times of the source frames.

A clock answers one question for each interval: which output times lie in the half-open [t0, t1) between two
neighbouring source frames? The answer depends on nothing else. So no output time is missed or produced twice, however
the stream is cut into batches.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from vidsr.errors import OptionError
from vidsr.options.parse import MAX_DIGITS, parse_fraction, shortened

MAX_TIMES = 1000
MAX_RATE = 10000


@dataclass(frozen=True)
class Times:
    """A clock of ``factor`` output frames per source frame, evenly spread over the interval to the next.

    The grid counts source frames, not seconds, so the midpoints of a clip of variable frame rate are midpoints. With
    a factor such as 5/2, output frame j stands at source position j / factor.

    Raises:
        OptionError: the factor is not above 0, or above `MAX_TIMES`.
    """

    factor: Fraction

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", Fraction(self.factor))
        _check(self.factor, MAX_TIMES, "x")

    def __str__(self) -> str:
        return f"{float(self.factor):g}x"

    def between(self, t0: Fraction, t1: Fraction, index: int) -> Iterator[Fraction]:
        """Return the output times in [t0, t1); source frame ``index`` is shown at t0 and the next at t1."""
        first, end = math.ceil(index * self.factor), math.ceil((index + 1) * self.factor)
        return (t0 + (t1 - t0) * (j / self.factor - index) for j in range(first, end))

    def starting_at(self, time: Fraction) -> Times:
        """Return the clock of a stream whose first frame is shown at ``time``: the same one."""
        return self

    def slowed(self, factor: Fraction) -> Times:
        """Return the clock that gives the same output once time is stretched by ``factor``."""
        return Times(self.factor * factor)

    def rate(self, source: Fraction) -> Fraction:
        """Output frames per second, for ``source`` frames per second."""
        return source * self.factor

    def tick(self, source: Fraction) -> Fraction:
        """Return a time base in which output times are whole numbers, from the time base of the source."""
        return source / self.factor.numerator


@dataclass(frozen=True)
class Rate:
    """A clock of exactly ``fps`` frames per second, from ``start`` on.

    Raises:
        OptionError: the rate is not above 0, or above `MAX_RATE`.
    """

    fps: Fraction
    start: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fps", Fraction(self.fps))
        _check(self.fps, MAX_RATE, " frames per second")

    def __str__(self) -> str:
        return f"{float(self.fps):.5g} fps"

    def between(self, t0: Fraction, t1: Fraction, index: int) -> Iterator[Fraction]:
        """Return the output times in [t0, t1); ``index`` has no effect, as this clock counts seconds."""
        first, end = math.ceil((t0 - self.start) * self.fps), math.ceil((t1 - self.start) * self.fps)
        return (self.start + n / self.fps for n in range(first, end))

    def starting_at(self, time: Fraction) -> Rate:
        """Return the clock of a stream whose first frame is shown at ``time``, and keeps that time."""
        return replace(self, start=time)

    def slowed(self, factor: Fraction) -> Rate:
        """Return the clock that gives the same output once time is stretched by ``factor``."""
        return Rate(self.fps * factor)

    def rate(self, source: Fraction) -> Fraction:
        """Output frames per second, whatever the source's."""
        return self.fps

    def tick(self, source: Fraction) -> Fraction:
        """Return a time base in which output times are whole numbers, from the time base of the source."""
        period = 1 / self.fps
        common = math.gcd(period.numerator * source.denominator, source.numerator * period.denominator)
        return Fraction(common, period.denominator * source.denominator)


Clock = Times | Rate


def parse_fps(text: str, flag: str = "--fps") -> Clock:
    """Return the clock that ``text`` names: a factor (2x, 2.5x, 5/2x) or a rate (60, 60000/1001, 23.976).

    A rounded NTSC rate means the exact one: 23.976 is 24000/1001, 29.97 is 30000/1001.

    Raises:
        OptionError: the text names neither.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\d+/\d+)\s*([xX×]?)", text.strip())
    if match is None or len(text) > MAX_DIGITS or re.search(r"/0+(?!\d)", text):
        raise OptionError(
            f"{flag} {shortened(text)!r} is not a rate: write a factor (2x, 2.5x) or frames per second (60, 60000/1001)"
        )
    number, is_factor = match[1], bool(match[2])
    return Times(Fraction(number)) if is_factor else Rate(_rate(number))


def parse_rate(text: str, flag: str) -> Fraction:
    """Return exact frames per second from ``25``, ``29.97`` or ``30000/1001``. A rounded NTSC rate means the exact one.

    Raises:
        OptionError: the text is not a positive number.
    """
    try:
        parse_fraction(text, flag)
    except OptionError:
        raise OptionError(f"{flag} {shortened(text)!r} is not a frame rate: write 25 or 30000/1001") from None
    return _rate(text.strip())


def parse_slow_motion(text: str, flag: str = "--slow-motion") -> Fraction:
    """Return the factor by which time is stretched, from ``8x``, ``8`` or ``2.5x``.

    Raises:
        OptionError: the text is not a positive number.
    """
    return parse_fraction(text.strip().rstrip("xX×"), flag)


def _rate(number: str) -> Fraction:
    return _ntsc(number) or Fraction(number)


def _ntsc(text: str) -> Fraction | None:
    """Return n * 1000/1001 if ``text`` is that number rounded or cut after its second decimal or later."""
    _, _, decimals = text.partition(".")
    if len(decimals) < 2:
        return None
    value, unit = Fraction(text), Fraction(1, 10 ** len(decimals))
    exact = Fraction(math.ceil(value) * 1000, 1001)
    return exact if -unit / 2 <= exact - value < unit else None


def _check(value: Fraction, maximum: int, unit: str) -> None:
    if not 0 < value <= maximum:
        raise OptionError(
            f"--fps, multiplied by --slow-motion, is {shortened(value)}{unit}: "
            f"give more than 0 and at most {maximum}{unit}"
        )
