"""The files of an input folder: those to enhance, and why the others are left out."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vidsr.errors import InputError, ignore
from vidsr.options.output_mark import is_marked

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
CLIP_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".vob", ".wmv", ".flv"}
    | {".3gp", ".ogv", ".y4m", ".mxf", ".dv", ".asf", ".gif", ".apng"}
)
MAYBE_TEXT = frozenset({".ts", ".mts"})  # MPEG transport streams, or TypeScript
HEAD_BYTES = 1024  # of a file: a transport stream has control characters in every packet of 188 bytes
CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
TAG = re.compile(r"\.(?:x\d+(?:\.\d+)?|\d+p|\d+x\d+|slow[\d.]+x|smooth|deblur|denoise|restore|vidsr)$")
UNFINISHED = re.compile(r"\.(?:part|failed\d*)$")  # of version 0.1, and results that failed verification
JOB_FOLDER = ".vidsr"  # ends the name of a folder with the segments of an unfinished job
SIDE_FOLDER = ".vidsr"  # hidden folder for the logs and reports of the outputs next to it
OWN_OUTPUT = "an output of vidsr"  # why a file is left out
REPORT = ".report.json"  # added to the name of an output
WEBP_ANIMATION = 2  # flag in the extended header
STILLS = {b"avif": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"mif1": "HEIF"}  # brands in ``ftyp``

OnFolder = Callable[[Path], object]


@dataclass
class InputFolder:
    """The files of a folder."""

    clips: list[Path] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)  # file -> why; without those that are only of another kind
    others: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)  # folder -> why

    @property
    def chosen(self) -> list[Path]:
        """The files to enhance: clips, animations and images."""
        return sorted([*self.clips, *self.images])

    @property
    def skipped(self) -> dict[Path, str]:
        """The other files, in order, and why each is left out."""
        skipped = dict.fromkeys(self.others, "neither a clip nor an image") | self.left_out
        return dict(sorted(skipped.items()))


def search(folder: Path, output: Path | None = None, on_folder: OnFolder = ignore) -> InputFolder:
    """Return the files below ``folder``, but not below the ``output`` folder; ``on_folder`` receives each folder.

    Hidden files are ignored. Links to folders are not followed.

    Raises:
        InputError: the folder is the root of the file system, or cannot be read.
    """
    if folder.resolve() == Path(folder.resolve().anchor):
        raise InputError(f"{folder} is the whole disk: name the folder with the clips")
    found = InputFolder()
    for path in _files(folder, output, found.unreadable, on_folder):
        reason = _reason_against(path)
        suffix = path.suffix.lower()
        if reason:
            found.left_out[path] = reason
        elif suffix in CLIP_SUFFIXES:
            found.clips.append(path)
        else:
            (found.images if suffix in IMAGE_SUFFIXES else found.others).append(path)
    if folder in found.unreadable:
        raise InputError(f"{folder} cannot be read ({found.unreadable[folder]}): check its permissions")
    for files in (found.clips, found.images):
        files.sort()
    return found


def _files(folder: Path, output: Path | None, unreadable: dict[Path, str], on_folder: OnFolder) -> Iterator[Path]:
    outside = None if output is None else output.resolve()

    def note(error: OSError) -> None:
        unreadable[Path(error.filename)] = (error.strerror or "unknown").lower()

    # os.walk does not follow links to folders, so a loop of links is no problem
    for parent, folders, names in os.walk(folder, onerror=note):
        on_folder(Path(parent))
        folders[:] = [name for name in folders if not name.endswith(JOB_FOLDER)]
        if outside is not None:  # results of an earlier run
            folders[:] = [name for name in folders if Path(parent, name).resolve() != outside]
        for name in names:
            if not name.startswith("."):
                yield Path(parent, name)


def _reason_against(path: Path) -> str:
    """Return why a file with the suffix of a clip or an image is neither; empty if it may be one."""
    suffix = path.suffix.lower()
    if suffix not in CLIP_SUFFIXES | IMAGE_SUFFIXES:
        return ""
    try:
        mode = path.stat().st_mode
    except OSError:  # it is reported when it is opened
        return ""
    if not stat.S_ISREG(mode):
        return "not a regular file"  # opening a named pipe would wait for ever
    if UNFINISHED.search(path.stem):
        return "an unfinished output"
    if side_file(path, REPORT).is_file() or (suffix in IMAGE_SUFFIXES and _names_its_source(path)):
        return OWN_OUTPUT
    if suffix in CLIP_SUFFIXES and is_marked(path):
        return OWN_OUTPUT
    if suffix in MAYBE_TEXT and is_text(path):
        return "text"
    return ""


def side_file(output: Path, suffix: str) -> Path:
    """Return the hidden file of ``output`` that is called after it, with ``suffix``."""
    return output.parent / SIDE_FOLDER / f"{output.name}{suffix}"


def _names_its_source(path: Path) -> bool:
    """Whether the name has a tag of vidsr and the file without the tag lies next to it: a.x2.png and a.png."""
    stem = path.stem
    while tag := TAG.search(stem):
        stem = stem[: tag.start()]
    return stem != path.stem and path.with_name(stem + path.suffix).is_file()


def is_text(path: Path) -> bool:
    """Whether a file begins with text, without any control character; an empty or unreadable file does not."""
    head = _head(path)
    return bool(head) and CONTROL.search(head) is None


def is_animation(path: Path) -> bool:
    """Whether a PNG or WebP file is animated, which makes it a clip."""
    head = _head(path)
    return (head[1:4] == b"PNG" and b"acTL" in head) or _is_animated_webp(head)


def is_animated_webp(path: Path) -> bool:
    """Whether the file is an animated WebP, which FFmpeg does not decode."""
    return _is_animated_webp(_head(path))


def _is_animated_webp(head: bytes) -> bool:
    return head[8:16] == b"WEBPVP8X" and bool(head[20:21]) and bool(head[20] & WEBP_ANIMATION)


def still_format(path: Path) -> str:
    """Return AVIF, HEIC or HEIF if the file is a still image in such a container, which FFmpeg reads as a clip."""
    head = _head(path)
    return STILLS.get(head[8:12], "") if head[4:8] == b"ftyp" else ""


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""
