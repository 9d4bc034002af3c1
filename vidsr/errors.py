"""The errors a user can meet. Anything else that escapes is a bug of ours.

VidsrError
├── OptionError      the request contradicts itself or names something unknown
├── InputError       the source cannot be read
├── OutputError      the target cannot be written, or would overwrite something
├── ModelError       weights or a network that do not fit the request
├── DeviceError      a device that is absent or ran out of memory
├── VerifyError      the output was written, and is not what was planned
└── PipeClosed       who read our output has gone; nothing is wrong

Every message is one line: the thing, the value, the way out.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command line returns."""

    DONE = 0
    BUG = 1
    BAD_REQUEST = 2
    SOME_FAILED = 3
    BREAKS_OFF = 4  # done, but a source lacks its end
    INTERRUPTED = 130
    PIPE_CLOSED = 141  # as a program that SIGPIPE ends


class VidsrError(Exception):
    """Base of every error that a user can act on."""


class OptionError(VidsrError):
    """The request contradicts itself or names something unknown."""


class InputError(VidsrError):
    """The source cannot be read."""


class OutputError(VidsrError):
    """The target cannot be written, or would overwrite something."""


class ModelError(VidsrError):
    """Weights or a network that do not fit the request."""


class DeviceError(VidsrError):
    """A device that is absent, or that ran out of memory."""


class VerifyError(VidsrError):
    """The output was written, and is not what was planned."""


class PipeClosed(VidsrError):
    """Who read our output has gone; nothing is wrong."""
