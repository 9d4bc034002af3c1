"""Where pictures come from: a file, numbered pictures, or a pipe that can be read only once."""

from __future__ import annotations

import os
from pathlib import Path
from select import select

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from vidsr.errors import InputError
from vidsr.options.image_sequence import ImageSequence, is_sequence
from vidsr.options.source import Reading

STANDARD_INPUT = 0
WAIT = 0.1  # seconds between two looks at whether to go on waiting for a pipe
PIPE_BYTES = 1 << 20  # read at a time
UNSEEKABLE = "send what needs no seeking: y4m, nut, matroska; or raw planes with --raw"
TEXT_FORMATS = ("tty", "lrc", "srt", "ass", "webvtt")  # FFmpeg draws a text file as pictures; that is no clip
FILES_ONLY = {"protocol_whitelist": "file"}  # so that a playlist opens nothing elsewhere


def is_pipe(path: Path) -> bool:
    """Whether it can be read only once: ``-``, the standard input, or a named pipe."""
    return str(path) == "-" or path.is_fifo()


def has_streams(path: Path, reading: Reading | None) -> bool:
    """Whether it can be opened again to copy the streams beside its picture."""
    return not (is_pipe(path) or is_sequence(path) or (reading is not None and reading.raw))


def open_source(path: Path, reading: Reading | None = None, hwaccel: HWAccel | None = None) -> InputContainer:
    """The opened source, to be decoded by ``hwaccel`` if there is one; the caller closes it.

    Raises:
        InputError: there is no such file, it is empty, or FFmpeg does not know its format.
    """
    reading = reading or Reading()
    kind, options = (None, {}) if reading.raw is None else ("rawvideo", reading.raw.demuxer_options)
    if str(path) == "-":
        return _opened(path, StandardInput(), kind, options | {"protocol_whitelist": "pipe"}, hwaccel)
    if is_sequence(path):
        kind, options = "image2", _sequence_options(ImageSequence(path), reading)
        # the pattern is FFmpeg's own, but for a percent sign in a folder's name
        pattern = f"file:{str(path.parent).replace('%', '%%')}/{path.name}"
        return _opened(path, pattern, kind, options | FILES_ONLY, hwaccel)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path")
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty: name a clip")
    # "file:" so that no name is read as a protocol
    return _opened(path, f"file:{path}", kind, options | FILES_ONLY, hwaccel)


def reason(error: BaseException) -> str:
    """What FFmpeg says, in lower case and without numbers or paths."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def _opened(
    path: Path, source: str | StandardInput, kind: str | None, options: dict[str, str], hwaccel: HWAccel | None
) -> InputContainer:
    try:
        container = av.open(
            source,
            "r",
            format=kind,
            options=options,
            metadata_errors="replace",
            buffer_size=PIPE_BYTES,
            hwaccel=hwaccel,
        )
    except av.FFmpegError as error:
        if isinstance(source, StandardInput) and source.failure is not None:
            raise source.failure from None
        remedy = UNSEEKABLE if is_pipe(path) else "name a file that FFmpeg can play"
        raise InputError(f"{path} cannot be read ({reason(error)}): {remedy}") from None
    if container.format.name in TEXT_FORMATS:
        container.close()
        raise InputError(f"{path} is text, not a clip: name a file that FFmpeg can play")
    return container


def _sequence_options(sequence: ImageSequence, reading: Reading) -> dict[str, str]:
    numbers = sequence.contiguous_numbers()
    return {
        "pattern_type": "sequence",
        "start_number": str(numbers[0]),
        "framerate": str(reading.sequence_rate),
    }


class StandardInput:
    """The standard input as a file of FFmpeg's: it cannot seek, and it ends when it is told to.

    Raises:
        InputError: nothing is sent there.
    """

    name = "-"

    def __init__(self) -> None:
        self.failure: BaseException | None = None  # what came while FFmpeg was reading, and must not pass through it
        self._stopped = False
        if os.isatty(STANDARD_INPUT):
            raise InputError("- is the standard input, and nothing is sent there: ffmpeg ... -f yuv4mpegpipe - | vidsr")

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, none at the end."""
        try:
            while not self._stopped:
                if select([STANDARD_INPUT], [], [], WAIT)[0]:
                    return os.read(STANDARD_INPUT, size)
        except BaseException as failure:  # Ctrl-C: FFmpeg has no way to hand it on
            self.failure, self._stopped = failure, True
        return b""

    def stop(self) -> None:
        """Ends the stream, whoever waits for more of it."""
        self._stopped = True

    def seekable(self) -> bool:
        """Never."""
        return False


def standard_input(container: InputContainer) -> StandardInput | None:
    """What the container is read from, if that is the standard input."""
    source = getattr(container.file, "file", None)
    return source if isinstance(source, StandardInput) else None
