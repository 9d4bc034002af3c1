"""The size of the output: a factor, a height, or a width and a height."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from vidsr.errors import OptionError
from vidsr.options.parse import decimal, positive_fraction, positive_int


@dataclass(frozen=True)
class Factor:
    """Width and height of the source times ``value``."""

    value: Fraction

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Output width and height for a source of ``width`` x ``height``, at least one sample each."""
        return max(1, round(width * self.value)), max(1, round(height * self.value))

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
    def tag(self) -> str:
        """The part of an output's file name that tells the size, such as ``1080p``."""
        return f"{self.value}p"


@dataclass(frozen=True)
class Size:
    """A fixed width and height."""

    width: int
    height: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Output width and height, whatever the source's."""
        return self.width, self.height

    @property
    def tag(self) -> str:
        """The part of an output's file name that tells the size, such as ``1920x1080``."""
        return f"{self.width}x{self.height}"


OutputSize = Factor | Height | Size
SAME_SIZE = Factor(Fraction(1))


def parse_output_size(scale: str | None, height: int | None, size: str | None) -> OutputSize:
    """Return the output size from ``--scale``, ``--height`` or ``--size``; without any, the source's.

    Raises:
        OptionError: two are given, or one is not a positive number.
    """
    given = [name for name, value in (("--scale", scale), ("--height", height), ("--size", size)) if value is not None]
    if len(given) > 1:
        raise OptionError(f"{' and '.join(given)} both set the output size: give one of them")
    if height is not None:
        return Height(positive_int(height, "--height"))
    if size is not None:
        match = re.fullmatch(r"(\d+)[xX×](\d+)", size.strip())
        if match is None:
            raise OptionError(f"--size {size!r} is not a size: write it as 1920x1080")
        return Size(positive_int(match[1], "--size"), positive_int(match[2], "--size"))
    return Factor(positive_fraction(scale if scale is not None else "1", "--scale"))
