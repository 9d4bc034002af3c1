"""Image sequences: image files numbered in their names, ``frames/%05d.png``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vidsr.errors import InputError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})  # read and written
PATTERN = re.compile(r"%(?:0(\d+))?d")
FIRST_NUMBER = 1  # of the first image that is written


def is_sequence(path: Path) -> bool:
    """Whether ``path`` is the pattern of an image sequence, and no file of that very name exists."""
    return path.suffix.lower() in SUFFIXES and len(PATTERN.findall(path.name)) == 1 and not path.is_file()


@dataclass(frozen=True)
class ImageSequence:
    """The images named ``pattern`` with a number for ``%05d`` (at least five digits) or ``%d``."""

    pattern: Path

    def path(self, number: int) -> Path:
        """Return the file of that number."""
        return self.pattern.with_name(PATTERN.sub(lambda found: f"{number:0{found[1] or 1}d}", self.pattern.name))

    @cached_property
    def numbers(self) -> list[int]:
        """Numbers of the existing files, in order."""
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
        """Return the numbers of the existing files, which must have no gap.

        Raises:
            InputError: there is no file, or a number between the first and the last is missing.
        """
        if not self.numbers:
            example = self.path(FIRST_NUMBER).name
            raise InputError(f"{self.pattern} matches no file: name a pattern of existing files, such as {example}")
        first, last = self.numbers[0], self.numbers[-1]
        missing = next((number for number, found in enumerate(self.numbers, first) if number != found), None)
        if missing is not None:
            raise InputError(
                f"{self.pattern} lacks {self.path(missing).name} ({len(self.numbers)} of the {last - first + 1} files "
                f"from {self.path(first).name} to {self.path(last).name} exist): add the missing files, or renumber"
            )
        return range(first, last + 1)


def first_number(source: Path) -> int:
    """Return the first number of the output images: that of ``source``, if it is an image sequence."""
    return ImageSequence(source).numbers[0] if is_sequence(source) else FIRST_NUMBER


def file_bytes(path: Path) -> int:
    """Return the size of the file or of all images of the sequence; 0 if there is neither."""
    files = [path]
    if is_sequence(path):
        files = [ImageSequence(path).path(number) for number in ImageSequence(path).numbers]
    return sum(file.stat().st_size for file in files if file.is_file())
