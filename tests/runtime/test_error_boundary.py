"""The error boundary: failures of the machine and of FFmpeg are one line, and bugs name their place."""

import errno
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from vidsr.errors import DeviceError, InputError, OutputError, PipeClosed, VidsrError
from vidsr.runtime.error_boundary import as_vidsr_error, machine_errors, one_line

CLIP = Path("a.mp4")


@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (OSError(errno.ENAMETOOLONG, "File name too long", "b.mp4"), InputError, "b.mp4 cannot be used (file name too"),
        (PermissionError(errno.EACCES, "Permission denied", "nox/c.mp4"), InputError, "denied): check its permissions"),
        (OSError(errno.ENOSPC, "No space left on device"), OutputError, "a.mp4 cannot be used (no space left"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "s.part.mkv"), InputError, "s.part.mkv cannot be used"),
        (OSError(errno.EACCES, "Permission denied", b"\xff.mp4"), InputError, "\udcff.mp4 cannot be used"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), PipeClosed, "let it read to the end"),
        (MemoryError(), DeviceError, "a.mp4 needs more memory than is free"),
        (av.error.PermissionError(1, "Operation not permitted"), InputError, "FFmpeg: operation not permitted"),
        (av.error.InvalidDataError(1, "Invalid data found"), InputError, "a.mp4 cannot be read or written (FFmpeg"),
        (av.error.MemoryError(12, "Cannot allocate memory"), DeviceError, "needs more memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), DeviceError, "needs more memory"),
        (RuntimeError("could not create a primitive"), DeviceError, "needs more memory"),
    ],
)
def test_a_failure_of_the_machine_or_of_ffmpeg_is_one_line(error: Exception, kind: type[VidsrError], line: str) -> None:
    with pytest.raises(kind) as raised, machine_errors(CLIP):
        raise error
    assert line in str(raised.value) and "\n" not in str(raised.value)
    assert raised.value.__cause__ is error


def test_memory_that_pytorch_and_numpy_cannot_get_is_one_line() -> None:
    with pytest.raises(DeviceError, match="needs more memory"), machine_errors(CLIP):
        torch.empty(1 << 60)
    with pytest.raises(DeviceError, match="needs more memory"), machine_errors(CLIP):
        np.empty(1 << 56)


def test_errors_of_vidsr_pass_unchanged_and_bugs_pass_with_their_traceback() -> None:
    expected = InputError("a.mp4 is empty")
    assert as_vidsr_error(expected) is expected
    for error in (expected, IndexError("list index out of range"), RuntimeError("shapes differ")):
        with pytest.raises(type(error)) as raised, machine_errors(CLIP):
            raise error
        assert raised.value is error


def test_the_line_of_a_bug_names_the_exception_and_the_place() -> None:
    with pytest.raises(TypeError) as raised:
        as_vidsr_error(OSError(1, "x", "y"), path=CLIP, unknown=1)  # type: ignore[call-arg]
    assert one_line(raised.value).startswith("unexpected TypeError (as_vidsr_error() got an unexpected keyword")
    with pytest.raises(AttributeError) as inside, machine_errors(CLIP):
        as_vidsr_error(PermissionError(1, "x"), path=CLIP).missing  # type: ignore[union-attr]  # noqa: B018
    assert "this is a bug of vidsr, please report it" in one_line(inside.value)
    assert "\n" not in one_line(ValueError("two\nlines"))
