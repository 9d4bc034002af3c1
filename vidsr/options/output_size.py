"""The size of the output: a factor, a height, or a width and a height."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

from vidsr.errors import OptionError
from vidsr.options.choices import Fit
from vidsr.options.parse import decimal, parse_fraction, parse_int, shortened


@dataclass(frozen=True)
class Factor:
    """Width and height of the source times ``value``."""

    value: Fraction

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Output width and height for a source of ``width`` x ``height``, at least one sample each."""
        return max(1, round(width * self.value)), max(1, round(height * self.value))

    @property
    def turned(self) -> Factor:
        """The same size of a frame that is stored on its side."""
        return self

    @property
    def tag(self) -> str:
        """The part of an output's file name that tells the size, such as ``x4``."""
        return "" if self.value == 1 else f"x{decimal(self.value)}"


@dataclass(frozen=True)
class Height:
    """A fixed height; the width keeps the aspect ratio, rounded to an even number."""

    value: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Output width and height for a source of ``width`` x ``height``."""
        return max(2, 2 * round(Fraction(width * self.value, 2 * height))), self.value

    @property
    def turned(self) -> Width:
        """The same size of a frame that is stored on its side."""
        return Width(self.value)

    @property
    def tag(self) -> str:
        """The part of an output's file name that tells the size, such as ``1080p``."""
        return f"{self.value}p"


@dataclass(frozen=True)
class Width:
    """A fixed width; the height keeps the aspect ratio, rounded to an even number."""

    value: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Output width and height for a source of ``width`` x ``height``."""
        return Height(self.value).size(height, width)[::-1]


@dataclass(frozen=True)
class Size:
    """A fixed width and height; ``fit`` is how a source of another aspect ratio fills it."""

    width: int
    height: int
    fit: Fit = "stretch"

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height that a source of ``width`` x ``height`` is resized to.

        Both are at most those of the output to pad, at least those to crop, and even where they differ from them.
        """
        if self.fit == "stretch":
            return self.width, self.height
        choose = min if self.fit == "pad" else max
        factor = choose(Fraction(self.width, width), Fraction(self.height, height))
        return self._side(width * factor, self.width), self._side(height * factor, self.height)

    def _side(self, side: Fraction, output: int) -> int:
        if side == output:
            return output
        return max(2, min(2 * round(side / 2), output)) if self.fit == "pad" else max(2 * round(side / 2), output)

    @property
    def turned(self) -> Size:
        """The same size of a frame that is stored on its side."""
        return replace(self, width=self.height, height=self.width)

    @property
    def canvas(self) -> tuple[int, int] | None:
        """Width and height to pad or crop to; None without either."""
        return None if self.fit == "stretch" else (self.width, self.height)

    @property
    def tag(self) -> str:
        """The part of an output's file name that tells the size, such as ``1920x1080``."""
        return f"{self.width}x{self.height}"


def offset(before: int, after: int) -> int:
    """Return where the first of ``before`` samples lies in ``after``, centred; even, so that chroma keeps its place."""
    return 2 * ((after - before) // 4)


@dataclass(frozen=True)
class Automatic:
    """Twice the size of the source, but at most 4K: the default where no option asks for a size."""

    factor: ClassVar[int] = 2
    longest: ClassVar[int] = 3840  # pixels
    shortest: ClassVar[int] = 2160

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Output width and height for a source of ``width`` x ``height``, which never shrinks."""
        return self.concrete(width, height).size(width, height)

    @property
    def turned(self) -> Automatic:
        """The same size of a frame that is stored on its side."""
        return self

    def concrete(self, width: int, height: int) -> Factor:
        """Return the factor for a source of ``width`` x ``height``."""
        long, short = max(width, height), min(width, height)
        factor = min(Fraction(self.factor), Fraction(self.longest, long), Fraction(self.shortest, short))
        return Factor(max(Fraction(1), factor))

    @property
    def tag(self) -> str:
        """The part of an output's file name that tells the size, before the source is known."""
        return f"x{self.factor}"


MAX_FACTOR = 1000
MAX_SIDE = 1_000_000  # pixels
HEIGHTS = {"4k": 2160, "8k": 4320}  # names of heights; 1080p is 1080

OutputSize = Factor | Height | Size | Automatic
SAME_SIZE = Factor(Fraction(1))


def parse_factor(text: str, flag: str) -> Factor:
    """Return the factor that ``text`` names: 4, 2x, 1.5 or 3/2.

    Raises:
        OptionError: it is not a positive number, or above `MAX_FACTOR`.
    """
    factor = parse_fraction(text.strip().rstrip("xX×"), flag)
    if factor > MAX_FACTOR:
        raise OptionError(f"{flag} {shortened(text)} is too large: give at most {MAX_FACTOR}")
    return Factor(factor)


def parse_height(value: int | str, flag: str) -> Height:
    """Return a height of ``value`` rows: 1080, 1080p or 4k.

    Raises:
        OptionError: it is not a positive whole number, nor one of `HEIGHTS`.
    """
    name = value.strip().lower() if isinstance(value, str) else value
    return Height(HEIGHTS.get(str(name)) or parse_int(str(name).removesuffix("p"), flag, maximum=MAX_SIDE))


def parse_size(text: str | tuple[int, int], flag: str) -> Size:
    """Return the size that ``text`` names, such as 1920x1080; or a pair of numbers.

    Raises:
        OptionError: it is not a width and a height.
    """
    if not isinstance(text, str):
        text = "x".join(str(parse_int(side, flag)) for side in text)
    match = re.fullmatch(r"(\d+)[xX×](\d+)", text.strip())
    if match is None:
        raise OptionError(f"{flag} {shortened(text)!r} is not a size: write it as 1920x1080")
    return Size(parse_int(match[1], flag, maximum=MAX_SIDE), parse_int(match[2], flag, maximum=MAX_SIDE))


def only_size(**sizes: OutputSize | None) -> OutputSize:
    """Return the size that is given, by option name; the source's size if none is.

    Raises:
        OptionError: more than one is given.
    """
    given = {name: size for name, size in sizes.items() if size is not None}
    if len(given) > 1:
        flags = " and ".join(f"--{name}" for name in given)
        raise OptionError(f"{flags} both set the output size: give one of them")
    return next(iter(given.values()), SAME_SIZE)
