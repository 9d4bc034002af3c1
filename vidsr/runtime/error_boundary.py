"""The error boundary: an exception of the machine, of FFmpeg or of a bug as one line for the user.

Failures of the disk, of the memory and of FFmpeg become a `VidsrError`. Every other exception is a bug of vidsr.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb, format_exception

from vidsr.errors import DeviceError, InputError, OutputError, PipeClosed, VidsrError

PACKAGE = Path(__file__).parents[1]

# What helps against an OSError, by its number
REMEDIES = {
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "name another folder",
    errno.ENOSPC: "free some space, or name another folder",
    errno.EDQUOT: "free some space, or name another folder",
    errno.EFBIG: "name a folder of another file system",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "close other programs",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "name a file",
    errno.ELOOP: "check the links",
}
OUTPUT_ERRORS = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # only writing fails with these
# In the messages of PyTorch, oneDNN and OpenCV
OUT_OF_MEMORY = (
    *("can't allocate memory", "out of memory", "not enough memory", "insufficient memory", "outofmemoryerror"),
    "could not create a primitive",
)


@dataclass(frozen=True)
class Failure:
    """What the user should know about an error, as a value that can leave the process."""

    line: str
    trace: str = ""  # the traceback of a bug or of a failure of the machine; empty for an error that is explained
    crashed: bool = False  # the process ended: another one may succeed

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return the failure that ``error`` stands for."""
        if isinstance(error, WorkerFailed):
            return error.failure
        expected = isinstance(error, VidsrError) and error.__cause__ is None
        return cls(one_line(error), "" if expected else "".join(format_exception(error)))


class WorkerFailed(Exception):
    """A call in another process failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.line)
        self.failure = failure


@contextmanager
def machine_errors(path: Path | None = None) -> Iterator[None]:
    """Context in which failures of disk, memory and FFmpeg become a `VidsrError` about ``path``; bugs pass through."""
    try:
        yield
    except VidsrError:
        raise
    except Exception as error:
        known = as_vidsr_error(error, path)
        if known is None:
            raise
        raise known from error


def as_vidsr_error(error: Exception, path: Path | None = None) -> VidsrError | None:
    """Return the error in one line if the machine or FFmpeg failed while working on ``path``; None for a bug."""
    if isinstance(error, VidsrError):
        return error
    subject = "the run" if path is None else str(path)
    if is_out_of_memory(error):
        return DeviceError(
            f"{subject} needs more memory than is free: choose a smaller output, smaller tiles or another --memory"
        )
    if isinstance(error, BrokenPipeError):
        return PipeClosed("the reader of the output ended: let it read to the end")
    # FFmpeg's errors, known by their module: only vidsr.video imports av. Some of them are an OSError too.
    if any(kind.__module__ == "av.error" for kind in type(error).__mro__):
        return InputError(f"{subject} cannot be read or written (FFmpeg: {_reason(error)}): check that it plays")
    if isinstance(error, OSError):
        kind = OutputError if error.errno in OUTPUT_ERRORS else InputError
        name = "a file" if path is None else str(path)
        name = name if error.filename is None else os.fsdecode(_text(error.filename))
        remedy = REMEDIES.get(error.errno or 0, "check the path and the disk")
        return kind(f"{_shortened(name)} cannot be used ({_reason(error)}): {remedy}")
    return None


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: in Python, NumPy, PyTorch (of a CPU or GPU) or OpenCV."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    of_library = isinstance(error, RuntimeError) or type(error).__module__.startswith("cv2")
    return of_library and any(words in str(error).lower() for words in OUT_OF_MEMORY)


def one_line(error: Exception) -> str:
    """Return the message of ``error``; that of a bug names the type of the exception and the place in the code."""
    if isinstance(error, VidsrError):
        return str(error)
    places = [place for place in extract_tb(error.__traceback__) if Path(place.filename).is_relative_to(PACKAGE)]
    place = f" in {Path(places[-1].filename).name}:{places[-1].lineno}" if places else ""
    text = " ".join(str(error).split())
    words = f" ({text})" if text else ""
    return f"unexpected {type(error).__name__}{place}{words}: this is a bug of vidsr, please report it"


def _reason(error: Exception) -> str:
    """Return the system's message, its first letter in lower case, without numbers or paths."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def _text(name: object) -> str | bytes:
    return name if isinstance(name, bytes | str) else str(name)


def _shortened(name: str, longest: int = 200) -> str:
    """Return a name that fits a line; the end of a path tells most."""
    return name if len(name) <= longest else f"...{name[-longest:]}"
