"""The lock of a job folder: one run at a time works there. It ends with the process that holds it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from vidsr.errors import InputError, OutputError
from vidsr.options.fingerprint import Fingerprint
from vidsr.options.input_folder import JOB_FOLDER
from vidsr.options.serialize import from_json

REMEDY = "free some space or check its permissions, and run the same command again"


class FolderLock:
    """A job folder that no other run works in. Without a finished segment it is removed at the end of the block.

    Raises:
        OutputError: another run works there, or the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keeps = False
        self._file = self._locked()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._keeps and not has_segments(self._folder):
            shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._file)

    def keep(self) -> None:
        """Keep the folder, though it has no segment yet."""
        self._keeps = True

    def _locked(self) -> int:
        """Make the folder and lock it; return the lock file."""
        while True:
            with named_errors(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                file = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
            try:
                self._claim(file)
                if os.path.samestat(os.fstat(file), (self._folder / "lock").stat()):
                    return file
            except FileNotFoundError:  # the run that held it has just removed the folder
                pass
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def _claim(self, file: int) -> None:
        here = f"process {os.getpid()} on {socket.gethostname()}"
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 200).decode(errors="replace") or "unknown"
            raise OutputError(
                f"{self._folder} is in use by {holder}: wait for it, or choose another --output"
            ) from None
        except OSError:  # a file system without locks
            pass
        with named_errors(self._folder):
            os.ftruncate(file, 0)
            os.pwrite(file, here.encode(), 0)


def has_segments(folder: Path) -> bool:
    """Whether a segment in the job folder is finished."""
    return any(folder.glob("[0-9]*.json"))


def has_made(folder: Path, target: Path) -> bool:
    """Whether ``target`` is the output of the job, whose run ended before it could remove the folder."""
    try:
        made = from_json(Fingerprint, json.loads((folder / "output.json").read_bytes()))
        return target.is_file() and Fingerprint.of(target) == made
    except (OSError, ValueError, TypeError, KeyError, AttributeError, InputError):
        return False


def remove_left_over(target: Path) -> None:
    """Remove the job folder of a finished output, which its run could not remove before it was killed."""
    folder = target.with_name(target.name + JOB_FOLDER)
    if has_made(folder, target):
        with suppress(OutputError), FolderLock(folder):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Context in which an error of the file system becomes an `OutputError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}): {REMEDY}") from None
