"""The log of a run, `--log-file`: what the console shows, and the notes and tracebacks that it leaves out."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from time import strftime
from types import TracebackType

from vidsr.errors import OutputError
from vidsr.runtime.output_file import refuse_existing

REMEDY = "choose another --log-file"


class LogFile(AbstractContextManager["LogFile"]):
    """A text file that grows line by line, so that a run that is killed leaves its log.

    That is why it has its own name from the beginning, unlike every other output.

    Raises:
        OutputError: ``path`` exists and ``overwrite`` is not set, or it cannot be written.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        refuse_existing(path, overwrite, REMEDY)
        self._path = path
        new = os.O_TRUNC if overwrite and path.exists() else os.O_EXCL
        try:
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | new, 0o666)
        except OSError as error:
            raise self._error(error) from None
        self._file = os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace", buffering=1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, text: str) -> None:
        """Write ``text`` with the time before its first line.

        Raises:
            OutputError: the disk is full.
        """
        try:
            self._file.write(f"{strftime('%Y-%m-%d %H:%M:%S')} {text.rstrip()}\n")
        except OSError as error:
            raise self._error(error) from None

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"{self._path} cannot be written ({error.strerror}): {REMEDY}")
