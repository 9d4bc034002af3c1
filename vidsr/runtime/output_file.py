"""Files that get their name once they are complete: no other file is replaced, and no unfinished file stays.

`unfinished.py` has the names and locks of what is not complete yet.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from vidsr.errors import OutputError
from vidsr.runtime.unfinished import (
    claims,
    create,
    forget,
    is_unfinished,
    make_folder,
    other_writer,
    remove,
    remove_empty,
    remove_leftovers,
)

AT_FDCWD, RENAME_NOREPLACE = -100, 1  # of renameat2, from fcntl.h and linux/fs.h
NO_SUCH_CALL = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
MOST_FAILED = 100  # results that failed verification and are kept under one name


class OutputFile:
    """A file, or with ``folder`` a folder, to write as `part`; `commit` gives it the name ``path``.

    Used as a context manager, it commits at the end of the block, and any exception removes what was written, with the
    folders that ``make_folders`` made for it. ``remedy`` ends the error messages.

    Raises:
        OutputError: ``path`` exists and ``overwrite`` is not set, it is a folder, another run writes it, or its folder
            cannot be written to.
    """

    def __init__(
        self,
        path: Path,
        overwrite: bool = False,
        *,
        folder: bool = False,
        make_folders: bool = False,
        remedy: str = "choose another --output",
    ) -> None:
        self.path = path
        self.overwrite = overwrite
        self._remedy = remedy
        self._is_folder = folder
        self.done = False
        self._made: list[Path] = make_folder(path.parent) if make_folders else []
        try:
            if not folder:
                refuse_existing(path, overwrite, remedy)
            remove_leftovers(path.parent)
            with self.named_errors(), claims(path.parent):
                writer = other_writer(path)
                if writer is not None:
                    raise OutputError(f"{path} is being written by another run ({writer}): wait for it, or {remedy}")
                self.part, self._lock = create(path, folder)
        except BaseException:
            remove_empty(self._made)
            raise

    @property
    def location(self) -> Path:
        """Where the contents are at present: `part`, or after `commit` the final path."""
        return self.path if self.done else self.part

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self.done:
                self.commit()
        finally:
            self.discard()

    def commit(self) -> None:
        """Store the contents on the disk and rename them to ``path``.

        Raises:
            OutputError: it exists by now, or the disk is full.
        """
        with self.named_errors():
            sync(self.part)
            if self.overwrite:
                self.part.replace(self.path)
            else:
                rename_without_replacing(self.part, self.path)
            self.done = True
            sync(self.path.parent)
        self.release()

    def keep_as_failed(self) -> Path:
        """Keep the contents as ``NAME.failed.SUFFIX``, or a similar name that is free, and return that path.

        Raises:
            OutputError: the disk is full.
        """
        suffix = "" if self._is_folder else self.path.suffix
        names = (f"{self.path.stem}.failed{number}{suffix}" for number in ("", *range(2, MOST_FAILED)))
        for path in map(self.path.with_name, names):
            with suppress(FileExistsError), self.named_errors(also_existing=False):
                sync(self.part)
                rename_without_replacing(self.part, path)
                self.path, self.done = path, True
                self.release()
                return path
        raise OutputError(f"{self.path} and {MOST_FAILED} results that failed exist: remove some")

    def discard(self) -> None:
        """Remove what was written, unless it is committed."""
        if not self.done:
            remove(self.part)
            remove_empty(self._made)
        self.release()

    def release(self) -> None:
        """Give up the lock: the contents are committed or removed."""
        forget(self.part)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def named_errors(self, also_existing: bool = True) -> Iterator[None]:
        """Turn an `OSError` into an `OutputError` that names the file."""
        try:
            yield
        except FileExistsError:
            if not also_existing:
                raise
            raise OutputError(f"{self.path} exists: {self._remedy}, or give --overwrite") from None
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written ({error.strerror}): {self._remedy}") from None


def write_file(
    path: Path,
    data: bytes | memoryview,
    overwrite: bool = False,
    remedy: str = "choose another --output",
    make_folders: bool = False,
) -> None:
    """Write ``data`` to ``path``, completely or not at all.

    Raises:
        OutputError: see `OutputFile`.
    """
    with OutputFile(path, overwrite, remedy=remedy, make_folders=make_folders) as file, file.named_errors():
        file.part.write_bytes(data)


def refuse_existing(path: Path, overwrite: bool, remedy: str = "choose another --output") -> None:
    """Refuse to write to ``path`` if it is a folder, or if it exists and ``overwrite`` is not set.

    Raises:
        OutputError: it is in the way, or its name is too long.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}): {remedy}") from None
    if path.is_dir():
        raise OutputError(f"{path} is a folder: name a file, or end the folder with a slash")
    if not overwrite:
        raise OutputError(f"{path} exists: {remedy}, or give --overwrite")
    if not (path.is_symlink() or path.is_file()):
        raise OutputError(f"{path} is a device or a pipe: {remedy}")


def rename_without_replacing(source: Path, target: Path) -> None:
    """Rename a file or folder; an existing ``target`` is never replaced.

    Raises:
        FileExistsError: ``target`` exists.
        OSError: of the file system.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None:
        if renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), RENAME_NOREPLACE) == 0:
            return
        if ctypes.get_errno() not in NO_SUCH_CALL:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(source), None, str(target))
    if source.is_dir():
        target.mkdir()  # exclusive; an empty folder is what a folder may replace
        source.replace(target)
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: reserve the name first
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW))
        source.replace(target)
    else:
        source.unlink()


def sync(path: Path) -> None:
    """Store a file, or a folder and its files, on the disk."""
    if path.is_dir() and is_unfinished(path):
        for file in path.iterdir():
            sync(file)
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # a folder that can be written to but not read
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(handle)
