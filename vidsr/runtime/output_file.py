"""Files that get their name once they are complete: no other file is replaced, and no unfinished file stays.

An unfinished file lies in the folder of its target as ``.NAME.TARGET-HOST-PID-RANDOM.part.SUFFIX``. Nobody can predict
that name. It is created exclusively and locked (flock) as long as the run lives, so the next run in the folder
recognises what a killed run has left, and a second run with the same target is refused.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Self

from vidsr.errors import OutputError
from vidsr.runtime import interrupt

UNFINISHED = re.compile(
    r"\..*\.(?P<target>[0-9a-f]{8})-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{16}\.part(\.[^.]+)?", re.DOTALL
)
NAME_BYTES, SUFFIX_BYTES = 60, 20  # of the target's name that the unfinished file's name repeats; 255 is the limit
AT_FDCWD, RENAME_NOREPLACE = -100, 1  # of renameat2, from fcntl.h and linux/fs.h
NO_SUCH_CALL = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
MOST_FAILED = 100  # results that failed verification and are kept under one name
CLAIM_SECONDS = 1.0  # longest wait for another run that claims a name in the same folder

_unfinished: dict[Path, int] = {}  # unfinished file -> process that made it; removed when that process exits
_made_folders: dict[Path, int] = {}  # folder -> process that made it; removed at its exit if it is empty


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
        self._made: list[Path] = _make_folders(path.parent) if make_folders else []
        try:
            if not folder:
                refuse_existing(path, overwrite, remedy)
            remove_leftovers(path.parent)
            with self.named_errors(), _claims(path.parent):
                writer = _other_writer(path)
                if writer is not None:
                    raise OutputError(f"{path} is being written by another run ({writer}): wait for it, or {remedy}")
                self.part, self._lock = _create(path, folder)
        except BaseException:
            _remove_empty(self._made)
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
            _remove(self.part)
            _remove_empty(self._made)
        self.release()

    def release(self) -> None:
        """Give up the lock: the contents are committed or removed."""
        _unfinished.pop(self.part, None)
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


def is_unfinished(path: Path) -> bool:
    """Whether ``path`` is the unfinished file of a run, judged by its name."""
    return UNFINISHED.fullmatch(path.name) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files that killed runs of this machine have left in ``folder``."""
    for path in _unfinished_files(folder):
        if path not in _unfinished and _host_of(path) == _host() and not _is_alive(path):
            _remove(path)


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


def _make_folders(folder: Path) -> list[Path]:
    """Make ``folder`` and its parents, and return those that were missing."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()][::-1]
    _made_folders.update(dict.fromkeys(missing, os.getpid()))  # first, because a signal may arrive at any moment
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}; choose another --output") from None
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):  # another file is in it by now
            folder.rmdir()


def _create(path: Path, folder: bool) -> tuple[Path, int | None]:
    """Create and lock the unfinished file or folder of ``path``."""
    while True:
        part = path.with_name(_part_name(path, folder))
        _unfinished[part] = os.getpid()  # first, because a signal may arrive at any moment
        try:
            if folder:
                part.mkdir()
                lock = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            else:
                lock = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        except BaseException:
            _remove(part)
            del _unfinished[part]
            raise
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if part.exists():
            return part, lock
        os.close(lock)  # taken for a leftover before it was locked
        del _unfinished[part]


def _part_name(path: Path, folder: bool) -> str:
    stem, suffix = path.stem, "" if folder else path.suffix
    while len(os.fsencode(stem)) > NAME_BYTES:
        stem = stem[:-1]
    if len(os.fsencode(suffix)) > SUFFIX_BYTES:
        suffix = ""
    return f".{stem}.{_digest(path.name)}-{_host()}-{os.getpid()}-{secrets.token_hex(8)}.part{suffix}"


def _digest(text: str) -> str:
    return blake2b(os.fsencode(text), digest_size=4).hexdigest()


def _host() -> str:
    return _digest(socket.gethostname())


def _host_of(path: Path) -> str:
    match = UNFINISHED.fullmatch(path.name)
    return "" if match is None else match["host"]


def _unfinished_files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(folder, entry.name) for entry in entries if UNFINISHED.fullmatch(entry.name)]
    except OSError:  # not there, or unreadable
        return []


def _other_writer(path: Path) -> str | None:
    """Return the process that writes ``path`` at present; None without one."""
    for part in _unfinished_files(path.parent):
        match = UNFINISHED.fullmatch(part.name)
        if match is not None and match["target"] == _digest(path.name) and _is_alive(part):
            return f"process {match['pid']}" if match["host"] == _host() else "on another machine"
    return None


def _is_alive(part: Path) -> bool:
    """Whether the run that writes ``part`` is alive: it holds a lock, or has a process where nothing can be locked."""
    try:
        file = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # not ours
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        match = UNFINISHED.fullmatch(part.name)
        return match is None or match["host"] != _host() or Path(f"/proc/{match['pid']}").exists()
    finally:
        os.close(file)
    return False


@contextmanager
def _claims(folder: Path) -> Iterator[None]:
    """Claim names in ``folder`` one run at a time, where the file system can lock a folder."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        yield
        return
    try:
        for _ in range(int(CLAIM_SECONDS / 0.01)):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                sleep(0.01)
            except OSError:
                break
        yield
    finally:
        os.close(handle)


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


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def remove_unfinished() -> None:
    """Remove the unfinished files of this process, as an exit handler those that an interrupt has left."""
    for path, process in list(_unfinished.items()):
        if process == os.getpid():
            _remove(path)
    _remove_empty([path for path, process in _made_folders.items() if process == os.getpid()])


interrupt.at_exit(remove_unfinished)
