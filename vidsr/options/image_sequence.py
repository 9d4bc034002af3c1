"""Pictures numbered in their names, ``frames/%05d.png``: which there are, and what they are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vidsr.errors import InputError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})  # read and written
PATTERN = re.compile(r"%(?:0(\d+))?d")
FIRST_NUMBER = 1  # the number of the first picture that is written


def is_sequence(path: Path) -> bool:
    """Whether the name is a pattern of numbered pictures, and not that of a file that is called so."""
    return path.suffix.lower() in SUFFIXES and len(PATTERN.findall(path.name)) == 1 and not path.is_file()


@dataclass(frozen=True)
class ImageSequence:
    """The pictures whose names are ``pattern`` with a number in place of ``%05d`` (five digits or more) or ``%d``."""

    pattern: Path

    def path(self, number: int) -> Path:
        """The file of that number."""
        return self.pattern.with_name(PATTERN.sub(lambda found: f"{number:0{found[1] or 1}d}", self.pattern.name))

    @cached_property
    def numbers(self) -> list[int]:
        """Numbers of the files that are there, in order."""
        match = PATTERN.search(self.pattern.name)
        assert match is not None
        before, after = self.pattern.name[: match.start()], self.pattern.name[match.end() :]
        named = re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}", re.DOTALL)
        if not self.pattern.parent.is_dir():
            return []
        found = (named.fullmatch(file.name) for file in self.pattern.parent.iterdir())
        numbers = (int(one[1]) for one in found if one is not None and self.path(int(one[1])).name == one[0])
        return sorted(numbers)

    def contiguous_numbers(self) -> range:
        """The numbers that are there, without a gap.

        Raises:
            InputError: there is none, or one between the first and the last is missing.
        """
        if not self.numbers:
            raise InputError(f"{self.pattern} names no picture that is there: such as {self.path(FIRST_NUMBER).name}")
        first, last = self.numbers[0], self.numbers[-1]
        missing = next((number for number, found in enumerate(self.numbers, first) if number != found), None)
        if missing is not None:
            raise InputError(
                f"{self.pattern} lacks {self.path(missing).name} ({len(self.numbers)} of the {last - first + 1} from "
                f"{self.path(first).name} to {self.path(last).name} are there): fill the gaps, or number them anew"
            )
        return range(first, last + 1)


def first_number(source: Path) -> int:
    """The number that the pictures made of ``source`` begin with: its own, if it is numbered."""
    return ImageSequence(source).numbers[0] if is_sequence(source) else FIRST_NUMBER


def file_bytes(path: Path) -> int:
    """Size of the file, or of all numbered pictures; 0 of what is neither."""
    files = [path]
    if is_sequence(path):
        files = [ImageSequence(path).path(number) for number in ImageSequence(path).numbers]
    return sum(file.stat().st_size for file in files if file.is_file())
