"""Ctrl-C and SIGTERM: the run unwinds and cleans up; if that takes too long, the process ends anyway.

The first signal sets a flag and raises `Interrupted` on the main thread. An extension module may turn that exception
into another one or drop it, so whoever catches an error calls `check`. A thread in the background ends the process
after `EXIT_SECONDS`, or at the second signal. It reads the signals from a pipe that Python's C handler writes to, so it
also works while the main thread waits in a system call. A destructor or a callback of a library drops each exception;
there `Interrupted` is raised again, after it.
"""

from __future__ import annotations

import _thread  # `threading` imports more, and this module is the first one of a process
import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from select import select
from time import monotonic, sleep
from types import FrameType
from typing import NoReturn

EXIT_SECONDS = 1.5  # from the first signal to the end of the process
EXIT_HANDLER_SECONDS = 0.3  # for the exit handlers, which remove unfinished files
AGAIN = signal.SIGURG  # to this process by itself; no effect by default
AGAIN_SECONDS = 0.02  # until the destructor that dropped an exception is left
EXIT_CODE = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)
LINE = "vidsr: interrupted; no unfinished file is left\n"
SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it

_requested = False
_postponed = False
_installed = False
_line = LINE
_exiting = _thread.allocate_lock()  # held, and never released, by the thread that ends the process
_is_worker = False
_on_line: list[Callable[[str | None], object]] = []
_at_exit: list[Callable[[], object]] = []


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM. Not a KeyboardInterrupt, which Typer would handle itself."""


class _InterruptedBySignal(Interrupted):
    """Raised by the handler, wherever the main thread is."""


def install(as_worker: bool = False) -> None:
    """Handle SIGINT and SIGTERM in this process, from now on. Call it on the main thread.

    A worker process prints nothing, and only SIGINT counts as the second signal: its parent passes on each SIGTERM.
    """
    global _installed, _is_worker
    if _installed:
        return
    _installed, _is_worker = True, as_worker
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    sys.unraisablehook = _on_dropped
    _thread.start_new_thread(_watch, (read_end,))


def requested() -> bool:
    """Whether the process was asked to end."""
    return _requested


def check() -> None:
    """Raise `Interrupted` if the process was asked to end, in place of the error that came of it."""
    if _requested:
        raise Interrupted


@contextmanager
def postponed() -> Iterator[None]:
    """Raise at the end what a signal raises; nothing inside may take long.

    PyTorch's modules in C++ call Python while they are imported, and an exception there aborts the process.
    """
    global _postponed
    _postponed = True
    try:
        yield
    finally:
        _postponed = False
    check()


def set_line(text: str | None) -> None:
    """Set the line that an interrupt prints; None is the usual one."""
    global _line
    _line = LINE if text is None else f"vidsr: interrupted; {text}\n"
    for listener in _on_line:
        listener(text)


def listen(on_line: Callable[[str | None], object]) -> None:
    """Hand the text of each `set_line` to ``on_line`` too."""
    _on_line.append(on_line)


def run_guarded(function: Callable[[], NoReturn]) -> NoReturn:
    """Call ``function``, which ends the process; after a signal, whatever it raises ends the process too."""
    try:
        install()
        function()
    except BaseException:
        if _requested:
            leave()
        raise


def at_exit(function: Callable[[], object]) -> None:
    """Call ``function`` when the process ends, before all other exit handlers: they may take longer than there is."""
    _at_exit.append(function)
    atexit.register(function)


def cancel_at_exit(function: Callable[[], object]) -> None:
    """Undo `at_exit`."""
    _at_exit.remove(function)
    atexit.unregister(function)


def run_exit_handlers() -> bool:
    """Run the exit handlers, which remove unfinished files; from now on, a signal does not raise `Interrupted`.

    Only one thread runs them. Another one that asks for it waits for the end of the process, `EXIT_HANDLER_SECONDS` at
    most, and gets False.
    """
    if not _exiting.acquire(timeout=EXIT_HANDLER_SECONDS):
        return False
    for function in reversed(_at_exit):
        with suppress(BaseException):
            function()
    with suppress(BaseException):
        atexit._run_exitfuncs()
    return True


def leave() -> NoReturn:
    """Run the exit handlers, and end the process."""
    sys.unraisablehook = lambda _: None  # of handlers that meet what the signal has left half done
    if run_exit_handlers() and not _is_worker:
        with suppress(OSError):
            os.write(2, ((SHOW_CURSOR if os.isatty(2) else "") + _line).encode())
    os._exit(EXIT_CODE)


def _end_soon() -> None:
    """End the process even if an exit handler blocks."""
    sleep(EXIT_HANDLER_SECONDS)
    os._exit(EXIT_CODE)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    global _requested
    first, _requested = not _requested, True
    # a second exception must not cut the cleanup short, nor one the exit handlers; the watching thread ends the process
    if first and not _postponed and not _exiting.locked():
        raise _InterruptedBySignal


def _on_dropped(dropped: sys.UnraisableHookArgs) -> None:
    """Raise the handler's exception once more, if it was raised where it is dropped; report other exceptions."""
    if dropped.exc_type is _InterruptedBySignal:
        signal.signal(AGAIN, _interrupt_again)
        _thread.start_new_thread(_send_again, (_thread.get_ident(),))
    else:
        sys.__unraisablehook__(dropped)


def _send_again(main: int) -> None:
    sleep(AGAIN_SECONDS)
    signal.pthread_kill(main, AGAIN)  # also ends a system call, which an asynchronous exception would not


def _interrupt_again(signum: int, frame: FrameType | None) -> None:
    if _is_in_hook(frame):  # what is raised there is dropped too, and no hook hears of it
        _thread.start_new_thread(_send_again, (_thread.get_ident(),))
    elif not _exiting.locked():
        raise _InterruptedBySignal


def _is_in_hook(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not _on_dropped.__code__:
        frame = frame.f_back
    return frame is not None


def _watch(read_end: int) -> None:
    """Wait for a first signal, then for a second one or too much time; end the process."""
    global _requested
    _wait_for_signal(read_end, None, SIGNALS)
    _wait_for_signal(read_end, EXIT_SECONDS, SIGNALS[:1] if _is_worker else SIGNALS)
    _requested = True
    _thread.start_new_thread(_end_soon, ())
    leave()


def _wait_for_signal(read_end: int, seconds: float | None, signals: tuple[signal.Signals, ...]) -> None:
    """Return at one of ``signals``, or after ``seconds`` without one of them."""
    end = None if seconds is None else monotonic() + seconds
    while select([read_end], [], [], None if end is None else max(0.0, end - monotonic()))[0]:
        if os.read(read_end, 1)[0] in signals:
            return
