"""Messages for the user: errors end a run, notes do not.

Any other exception is a bug of vidsr.

VidsrError
├── OptionError      options that contradict each other or name something unknown
├── InputError       a source that cannot be read
├── OutputError      an output that cannot be written, or would overwrite something
├── ModelError       weights or a network that do not fit the options
├── DeviceError      a device that is absent or ran out of memory
├── VerifyError      an output that was written and differs from its plan
└── PipeClosed       the reader of the output pipe ended; nothing is wrong

Every message is one line: `<thing> <problem>: <way out>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    DONE = 0
    BUG = 1  # of vidsr
    BAD_REQUEST = 2
    SOME_FAILED = 3
    TRUNCATED = 4  # a source ends early or is damaged; everything readable was processed
    VERIFY_FAILED = 5  # an output differs from its plan or from its source
    INTERRUPTED = 130
    PIPE_CLOSED = 141  # as a program that SIGPIPE ends


class VidsrError(Exception):
    """Base of every error that a user can act on."""


class OptionError(VidsrError):
    """Options that contradict each other or name something unknown."""


class InputError(VidsrError):
    """A source that cannot be read."""


class OutputError(VidsrError):
    """An output that cannot be written, or would overwrite something."""


class ModelError(VidsrError):
    """Weights or a network that do not fit the options."""


class DeviceError(VidsrError):
    """A device that is absent or ran out of memory."""


class VerifyError(VidsrError):
    """An output that was written and differs from its plan."""


class PipeClosed(VidsrError):
    """The reader of the output pipe ended; nothing is wrong."""


Level = Literal["info", "warning"]


@dataclass(frozen=True)
class Note:
    """One fact about a run that the user should know."""

    code: str  # identifier for programs, such as "alpha_dropped"; docs/json.md lists all
    text: str  # one line for people
    level: Level = "info"  # warnings are shown even with --quiet

    def __str__(self) -> str:
        return self.text


OnNote = Callable[[Note], object]


def ignore(*_: object) -> None:
    """Do nothing: the listener of a run that nobody watches."""


class Notes:
    """The notes of one run in order, after ``earlier`` ones. ``listener`` receives each as it is added."""

    def __init__(self, listener: OnNote = ignore, earlier: Iterable[Note] = ()) -> None:
        self._notes = list(earlier)
        self._listener = listener

    def __iter__(self) -> Iterator[Note]:
        return iter(self._notes)

    def __len__(self) -> int:
        return len(self._notes)

    @property
    def texts(self) -> list[str]:
        """The notes as lines for people."""
        return [note.text for note in self._notes]

    def add(self, note: Note) -> None:
        """Append ``note`` and hand it to the listener."""
        self._notes.append(note)
        self._listener(note)

    def extend(self, notes: Iterable[Note]) -> None:
        """Append all ``notes``."""
        for note in notes:
            self.add(note)

    def info(self, code: str, text: str) -> None:
        """Append a note that ``--quiet`` hides."""
        self.add(Note(code, text))

    def warn(self, code: str, text: str) -> None:
        """Append a note that is always shown."""
        self.add(Note(code, text, "warning"))
