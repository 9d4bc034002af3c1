"""A worker: a process that calls one function again and again, so that a native crash ends that process only.

    with Worker("vidsr.segments.listed_file:enhance_listed_file") as worker:
        summary = worker.call(job, options, on_event=show)

The function gets the arguments and, as the last one, ``emit``, which sends an event to the caller. Arguments, events
and the result are values that can be pickled. After a crash the next call starts a fresh process. The worker starts as
a new interpreter, so it is safe in a program that has threads or has used a GPU.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, NoReturn, Self

from vidsr.errors import OnNote, ignore
from vidsr.runtime import interrupt, process
from vidsr.runtime.concurrency import run_in_background
from vidsr.runtime.error_boundary import Failure, WorkerFailed
from vidsr.runtime.unfinished import remove_unfinished

ROOT = Path(__file__).parents[2]  # the folder that holds the package
EVENT, RESULT, FAILURE, LINE = "event", "result", "failure", "line"  # kinds of messages to the caller
EXIT_SECONDS = 1.3  # longest wait for the process, shorter than that of an interrupt

Emit = Callable[[Any], object]


class Worker:
    """Calls ``function`` (``module:name``) in another process. The process starts at once and ends with the block.

    ``environment`` adds to its environment variables.
    """

    def __init__(self, function: str, environment: Mapping[str, str] | None = None) -> None:
        self._function = function
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def prepare(self, on_note: OnNote = ignore) -> None:
        """Start the process again if it has ended."""
        if self._process is None:
            self._start()

    def call(self, *arguments: Any, on_event: Emit = ignore) -> Any:
        """Return the function's result; ``on_event`` receives its events in order.

        Raises:
            WorkerFailed: the function raised an exception, or the process ended.
        """
        self.prepare()
        try:
            _send(self._requests, arguments)
            while True:
                kind, value = pickle.load(self._replies)
                if kind == EVENT:
                    on_event(value)
                elif kind == LINE:
                    interrupt.set_line(value)
                elif kind == FAILURE:
                    raise WorkerFailed(value)
                else:
                    return value
        except (EOFError, BrokenPipeError, ConnectionResetError, pickle.UnpicklingError):
            interrupt.check()
            raise WorkerFailed(self._crash()) from None

    def close(self) -> None:
        """End the process; a call that is still running unwinds and removes its unfinished files."""
        if self._process is None:
            return
        started, self._process = self._process, None
        if interrupt.requested():
            started.terminate()
        for stream in (self._requests, self._replies):
            with suppress(OSError):
                stream.close()
        try:
            started.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
        self._faults.close()

    def _start(self) -> None:
        request_end, requests = os.pipe()
        replies, reply_end = os.pipe()
        self._faults: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        ends = (request_end, reply_end, self._faults.fileno())
        # without the current folder in the path: a file of the user called torch.py is no module
        code = f"import sys; sys.path.append({str(ROOT)!r}); from vidsr.runtime.worker import serve; serve{ends}"
        # a signal waits until the process can handle it
        signal.pthread_sigmask(signal.SIG_BLOCK, interrupt.SIGNALS)
        try:
            command = [sys.executable, "-P", "-c", f"{code}; # {self._function}"]
            self._process = subprocess.Popen(command, pass_fds=ends, env=self._environment)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupt.SIGNALS)
            os.close(request_end)
            os.close(reply_end)
        self._requests, self._replies = os.fdopen(requests, "wb"), os.fdopen(replies, "rb")
        _send(self._requests, self._function)

    def _crash(self) -> Failure:
        """Return the failure of a call whose process ended."""
        assert self._process is not None
        code = self._process.wait()
        self._faults.seek(0)
        trace = self._faults.read().decode(errors="replace")
        self.close()
        if code == -signal.SIGKILL:
            return Failure("its process was killed, as when the memory runs out: --memory sets a limit", trace, True)
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Failure(f"its process crashed ({name}): a library failed on this file, please report it", trace, True)


def _send(stream: IO[bytes], value: Any) -> None:
    stream.write(pickle.dumps(value))  # in one call, so that messages of two threads do not mix
    stream.flush()


def serve(request_end: int, reply_end: int, faults: int) -> NoReturn:
    """Answer the calls of a `Worker` until it closes its end; the main function of its process."""
    interrupt.install(as_worker=True)
    faulthandler.enable(faults)
    process.configure_process()
    process.defer_torch_compiler()
    interrupt.run_guarded(lambda: _serve(os.fdopen(request_end, "rb"), os.fdopen(reply_end, "wb")))


def _serve(requests: IO[bytes], replies: IO[bytes]) -> NoReturn:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupt.SIGNALS)  # one that waited is an interrupt from here on
    waiting: SimpleQueue[Any] = SimpleQueue()
    busy = [False]

    def read() -> None:
        """Queue the requests. The end of the caller ends a call that is running."""
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                waiting.put(pickle.load(requests))
        waiting.put(None)
        if busy[0]:
            os.kill(os.getpid(), signal.SIGTERM)
            remove_unfinished()  # at once: unwinding takes up to a second, and until then a new run would be refused

    run_in_background(read)
    interrupt.listen(lambda line: _send(replies, (LINE, line)))
    module, _, name = waiting.get().partition(":")
    with interrupt.postponed():
        function = getattr(import_module(module), name)
    while (arguments := waiting.get()) is not None:
        busy[0] = True
        try:
            answer = (RESULT, function(*arguments, lambda event: _send(replies, (EVENT, event))))
        except Exception as error:
            interrupt.check()
            answer = (FAILURE, Failure.of(error))
        _send(replies, answer)
        busy[0] = False
    process.exit_quickly(0)
