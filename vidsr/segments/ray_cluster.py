"""Workers on a Ray cluster. The machines share the file system; only small values travel.

A worker is a Ray actor, which loads PyTorch once and does one task after the other. An actor whose process or machine
ends is replaced, and its task goes to whichever worker is free.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from vidsr import __version__
from vidsr.errors import Note, OnNote, OptionError, VidsrError, ignore
from vidsr.runtime.concurrency import run_in_background
from vidsr.runtime.error_boundary import Failure, WorkerFailed
from vidsr.segments.begun_job import Need
from vidsr.segments.tasks import Task, perform

LOCAL = "auto"  # joins the cluster of this machine, or starts one
STORE_BYTES = 80 << 20  # Ray's least object store: no frame passes through it
CONNECT_SECONDS = 10.0  # longest wait for the address of a cluster
POLL_SECONDS = 5.0  # between two looks at an actor that waits for a machine
EVENT, RESULT, FAILURE = "event", "result", "failure"  # kinds of messages of an actor


class TaskActor:
    """Does tasks on one machine of the cluster."""

    def check(self, version: str, folder: Path, seen: Path) -> str:
        """Return why this machine cannot do the work; empty if it can.

        ``folder``: where the command was given, for relative paths in options. ``seen``: a file of the work.
        """
        if version != __version__:
            return f"has vidsr {__version__}, and the job was planned by {version}: install the same version"
        with suppress(OSError):
            os.chdir(folder)
        return "" if seen.exists() else f"does not see {seen}: use a file system that all machines share"

    def perform(self, task: Task) -> Iterator[tuple[str, Any]]:
        """Yield the events of a task, then its result or its failure."""
        messages: SimpleQueue[tuple[str, Any]] = SimpleQueue()

        def run() -> None:
            try:
                messages.put((RESULT, perform(task, lambda event: messages.put((EVENT, event)))))
            except Exception as error:
                messages.put((FAILURE, Failure.of(error)))

        run_in_background(run)
        kind = EVENT
        while kind == EVENT:
            kind, value = messages.get()
            yield kind, value


class RayWorker:
    """An actor, and the next one after its end. ``all_workers`` of the run include it; ``size`` is its in words."""

    def __init__(
        self, ray: Any, new_actor: Callable[[], Any], seen: Path, all_workers: Sequence[RayWorker], size: str
    ) -> None:
        self._ray, self._new_actor, self._seen = ray, new_actor, seen
        self._all_workers, self._size = all_workers, size
        self._actor: Any = None
        self._is_checked = self._is_closed = False

    def prepare(self, on_note: OnNote = ignore) -> None:
        """Wait until an actor runs on a machine that can do the work. While all workers wait, the first one notes it.

        Raises:
            VidsrError: the machine cannot.
        """
        while not self._is_checked and not self._is_closed:
            self._actor = self._actor or self._new_actor()
            try:
                problem = self._answer(self._actor.check.remote(__version__, Path.cwd(), self._seen), on_note)
            except self._ray.exceptions.RayError:  # it ended before it began
                self._end_actor()
                continue
            if problem:
                raise VidsrError(f"a machine of the cluster {problem}")
            self._is_checked = True

    def call(self, *arguments: Any, on_event: Callable[[Any], object]) -> Any:
        """Return the result of a task, the only argument.

        Raises:
            WorkerFailed: the task failed, or the actor ended.
        """
        kind, value = FAILURE, Failure("its worker gave no answer", crashed=True)
        try:
            for message in self._actor.perform.remote(*arguments):
                kind, value = self._ray.get(message)
                if kind == EVENT:
                    on_event(value)
        except self._ray.exceptions.RayError as error:
            self._end_actor()
            reason = " ".join(str(error).split())[:200]
            raise WorkerFailed(Failure(f"its worker ended ({reason})", crashed=True)) from None
        if kind == FAILURE:
            raise WorkerFailed(value)
        return value

    def close(self) -> None:
        """End the actor."""
        self._is_closed = True
        self._end_actor()

    def _end_actor(self) -> None:
        actor, self._actor, self._is_checked = self._actor, None, False
        if actor is not None:
            with suppress(Exception):
                self._ray.kill(actor)

    def _answer(self, call: Any, on_note: OnNote) -> Any:
        """Return the result of a call that may have to wait for a machine; an empty one once closed."""
        is_noted = self not in self._all_workers[:1]
        while not self._is_closed:
            ready, _ = self._ray.wait([call], timeout=POLL_SECONDS)
            if ready:
                return self._ray.get(call)
            if not is_noted and not any(worker._is_checked for worker in self._all_workers):
                text = f"waiting for the Ray cluster: no machine has {self._size} free at present"
                on_note(Note("waiting_for_cluster", text))
                is_noted = True
        return ""


@contextmanager
def ray_workers(address: str, processors: int, need: Need, seen: Path, most: int | None) -> Iterator[list[RayWorker]]:
    """Connect to a cluster and yield as many workers as it has room for, ``most`` at most.

    On CPUs a worker takes ``processors`` of them; on GPUs it takes one GPU. It reserves the memory that it needs.
    ``seen``: a file that every machine must see.

    Raises:
        OptionError: Ray is not installed, the cluster cannot be reached, or has no room.
    """
    with _connected(address) as ray:
        resources = {"GPU": 1.0} if need.gpus else {"CPU": float(processors)}
        if need.memory is not None:
            resources["memory"] = float(need.memory)
        room = sum(_room(node["Resources"], resources) for node in ray.nodes() if node["Alive"])
        memory = "" if need.memory is None else f" and {(need.memory >> 20) + 1}M of memory"
        size = ("a GPU" if need.gpus else f"{processors} processors") + memory
        if not room:
            remedy = "add one" if need.gpus else "add one, or set --cpus-per-worker"
            raise OptionError(f"--ray: no machine of the cluster has {size}: {remedy}")
        options = {"num_gpus": 1} if need.gpus else {"num_cpus": processors}
        actor = ray.remote(TaskActor).options(max_restarts=0, memory=need.memory, **options)
        workers: list[RayWorker] = []
        workers += [
            RayWorker(ray, actor.remote, seen, workers, size) for _ in range(room if most is None else min(room, most))
        ]
        yield workers


def _room(node: dict[str, float], resources: dict[str, float]) -> int:
    """Return how many workers that take ``resources`` fit on a machine."""
    return min(int(node.get(name, 0) / amount) for name, amount in resources.items())


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Connect to a cluster, and leave it at the end."""
    try:
        import ray
    except ImportError:
        raise OptionError("--ray needs the package ray, which is not installed: pip install ray") from None
    joined = ray.is_initialized()  # by the program that calls vidsr
    if not joined:
        try:
            _join(ray, address)
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise OptionError(f"--ray {address} cannot be reached ({reason}): check the address") from None
    try:
        yield ray
    finally:
        if not joined:
            ray.shutdown()


def _join(ray: Any, address: str) -> None:
    if match := re.fullmatch(r"(.+):(\d+)", address):  # Ray itself waits for a minute
        socket.create_connection((match[1], int(match[2])), CONNECT_SECONDS).close()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    try:
        ray.init(address=address, **quiet)
    except ConnectionError:
        if address != LOCAL:
            raise
        ray.init(object_store_memory=STORE_BYTES, include_dashboard=False, **quiet)
