"""The mark in the outputs of vidsr, by which a later run over their folder leaves them out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from vidsr import __version__

MARK = f"vidsr {__version__}"
TAG = "VIDSR"  # name of the tag in Matroska; MP4 and QuickTime have fields for the program that wrote the file
MARKED = re.compile(
    rb"\x45\xa3\x85VIDSR"  # Matroska: a tag of that name
    rb"|data\0\0\0\x01\0{4}vidsr \d+\.\d"  # MP4: the value of a tag, such as the encoding tool
    rb"|[\x09-\x1f]vidsr \d+\.\d+\.\d"  # QuickTime: the name of the compressor
)
HEAD_BYTES = 1 << 17  # of a Matroska file, before the first cluster
MOST_BYTES = 1 << 24  # of the description of an MP4 file that are searched
MP4_SUFFIXES = frozenset({".mp4", ".m4v", ".mov"})


def is_marked(path: Path) -> bool:
    """Whether vidsr wrote the clip, judged by its mark; False for an unreadable file."""
    try:
        with path.open("rb") as file:
            description = _moov(file) if path.suffix.lower() in MP4_SUFFIXES else file.read(HEAD_BYTES)
    except OSError:
        return False
    return MARKED.search(description) is not None


def _moov(file: BinaryIO) -> bytes:
    """Return the box of an MP4 file that describes it; empty if there is none."""
    while len(header := file.read(16)) >= 8:
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1:  # a size of 64 bits follows
            size = int.from_bytes(header[8:], "big")
        if kind == b"moov":
            return file.read(min(size, MOST_BYTES))
        if size < 8:  # up to the end of the file, or damaged
            break
        file.seek(size - len(header), 1)
    return b""
