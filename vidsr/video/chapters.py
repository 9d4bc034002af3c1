"""Chapters: those of a file, of a part of it, and as a container holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from av.container import InputContainer

from vidsr.video.containers import MP4_LIKE
from vidsr.video.demux import MICROSECONDS

if TYPE_CHECKING:
    from av.container.core import Chapter as ChapterData  # exists for the type checker only

NANOSECONDS = 1_000_000_000  # per second, the ticks of chapters in Matroska
SHORTEST_GAP = Fraction(1, 1000)  # seconds, a tick of chapters in MP4


class Chapter(NamedTuple):
    """One chapter, in seconds."""

    start: Fraction
    end: Fraction
    tags: Mapping[str, str]
    number: int = 0  # by which a Matroska file knows it

    @property
    def title(self) -> str:
        """The title; empty without one."""
        return self.tags.get("title", "")


def read_chapters(opened: InputContainer) -> list[Chapter]:
    """Return the chapters of an open file."""
    found = []
    for chapter in opened.chapters():
        base = chapter["time_base"] or Fraction(1, MICROSECONDS)
        found.append(Chapter(chapter["start"] * base, chapter["end"] * base, chapter["metadata"], chapter["id"]))
    return found


def copied_chapters(
    chapters: Iterable[Chapter], start: Fraction | None, end: Fraction | None, container: str
) -> list[Chapter]:
    """Return the chapters that a copy of the part from ``start`` to ``end`` has in ``container``."""
    first, cut = start or Fraction(0), []
    for chapter in chapters:
        begins = max(chapter.start - first, Fraction(0))
        ends = (chapter.end if end is None else min(chapter.end, end)) - first
        if begins < ends:
            cut.append(chapter._replace(start=begins, end=ends))
    return without_gaps(cut) if container in MP4_LIKE else cut


def without_gaps(chapters: Sequence[Chapter]) -> list[Chapter]:
    """Return the chapters as MP4 holds them: the first begins at 0, each ends where the next one begins.

    A chapter without a title fills each gap. Of chapters that begin together, the shortest one is kept.
    """
    ordered = sorted(chapters, key=lambda chapter: (chapter.start, -chapter.end))
    kept: list[Chapter] = []
    last = Fraction(0)
    for chapter, following in zip_longest(ordered, ordered[1:]):
        end = chapter.end if following is None else min(chapter.end, following.start)
        if chapter.start - last > SHORTEST_GAP:
            kept.append(Chapter(last, chapter.start, {"title": ""}))
        if chapter.start < end:
            kept.append(chapter._replace(end=end, tags={"title": "", **chapter.tags}))
            last = end
    return kept


def chapter_data(chapters: Iterable[Chapter]) -> list[ChapterData]:
    """Return ``chapters`` as PyAV takes them."""
    return [
        {
            "id": chapter.number,
            "start": round(chapter.start * NANOSECONDS),
            "end": round(chapter.end * NANOSECONDS),
            "time_base": Fraction(1, NANOSECONDS),
            "metadata": dict(chapter.tags),
        }
        for chapter in chapters
    ]
