"""Unfinished files: their names, their locks, and what killed runs have left.

An unfinished file lies in the folder of its target as ``.NAME.TARGET-HOST-PID-RANDOM.part.SUFFIX``. Nobody can predict
that name. It is created exclusively and locked (flock) as long as the run lives, so the next run in the folder
recognises what a killed run has left, and a second run with the same target is refused.
"""

from __future__ import annotations

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

from vidsr.errors import OutputError
from vidsr.runtime import interrupt

UNFINISHED = re.compile(
    r"\..*\.(?P<target>[0-9a-f]{8})-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{16}\.part(\.[^.]+)?", re.DOTALL
)
NAME_BYTES, SUFFIX_BYTES = 60, 20  # of the target's name that the unfinished file's name repeats; 255 is the limit
CLAIM_SECONDS = 1.0  # longest wait for another run that claims a name in the same folder

_unfinished: dict[Path, int] = {}  # unfinished file -> process that made it; removed when that process exits
_made_folders: dict[Path, int] = {}  # folder -> process that made it; removed at its exit if it is empty


def is_unfinished(path: Path) -> bool:
    """Whether ``path`` is the unfinished file of a run, judged by its name."""
    return UNFINISHED.fullmatch(path.name) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files that killed runs of this machine have left in ``folder``."""
    for path in _unfinished_files(folder):
        if path not in _unfinished and _host_of(path) == _host() and not _is_alive(path):
            remove(path)


def make_folder(folder: Path) -> list[Path]:
    """Make ``folder`` and its parents, and return those that were missing."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()][::-1]
    _made_folders.update(dict.fromkeys(missing, os.getpid()))  # first, because a signal may arrive at any moment
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}; choose another --output") from None
    return missing


def remove_empty(folders: list[Path]) -> None:
    """Remove those of ``folders`` that are empty, the last one first."""
    for folder in reversed(folders):
        with suppress(OSError):  # another file is in it by now
            folder.rmdir()


def create(path: Path, folder: bool) -> tuple[Path, int | None]:
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
            remove(part)
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


def other_writer(path: Path) -> str | None:
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
def claims(folder: Path) -> Iterator[None]:
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


def remove(path: Path) -> None:
    """Remove a file or a folder, if that is possible."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def forget(part: Path) -> None:
    """Leave ``part`` to its fate: it was committed or removed."""
    _unfinished.pop(part, None)


def remove_unfinished() -> None:
    """Remove the unfinished files of this process, as an exit handler those that an interrupt has left."""
    for path, process in list(_unfinished.items()):
        if process == os.getpid():
            remove(path)
    remove_empty([path for path, process in _made_folders.items() if process == os.getpid()])


interrupt.at_exit(remove_unfinished)
