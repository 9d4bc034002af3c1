"""Run segments on a Ray cluster. The machines share the file system; only a path and a number travel.

Ray actors load PyTorch once and make one segment after the other. An actor whose process or machine ends is replaced,
and its segment goes to whichever actor is free: nothing ever waits for one particular actor.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vidsr import __version__
from vidsr.errors import OptionError, VidsrError
from vidsr.pipeline.run import OnFrames
from vidsr.runtime.error_boundary import Failure, machine_errors
from vidsr.segments.job import SegmentedJob
from vidsr.segments.run_segment import run_segment
from vidsr.segments.segment_report import SegmentReport

LOCAL = "auto"  # joins the cluster of this machine, or starts one
STORE_BYTES = 80 << 20  # Ray's least object store: no frame passes through it
TRIES = 5  # of a segment whose actor ends
CONNECT_SECONDS = 10.0  # longest wait for the address of a cluster
POLL_SECONDS = 5.0  # between two looks at actors that wait for a machine


class SegmentActor:
    """Makes segments on one machine of the cluster."""

    def check(self, folder: Path, version: str) -> str:
        """Return why this machine cannot work on the job in ``folder``; empty if it can."""
        if version != __version__:
            return f"has vidsr {__version__}, and the job was planned by {version}: install the same version"
        if not (folder / "plan.json").is_file():
            return f"does not see {folder}: use a file system that all machines share"
        return ""

    def run(self, folder: Path, index: int, device: str) -> SegmentReport | Failure:
        """Make a segment; return its report, or what went wrong."""
        try:
            with machine_errors(folder):
                return run_segment(folder, index, device)
        except Exception as error:
            return Failure.of(error)


def run_on_ray(
    folder: Path,
    job: SegmentedJob,
    indices: Sequence[int],
    address: str,
    processors: int,
    on_frames: OnFrames,
) -> Iterator[SegmentReport]:
    """Yield the reports of the segments ``indices``, as they become ready on the cluster at ``address``.

    On CPUs an actor takes ``processors`` of them; on GPUs it takes one GPU.

    Raises:
        OptionError: Ray is not installed, or the cluster cannot be reached.
        VidsrError: a segment failed, or a machine does not fit.
    """
    with _connected(address) as ray:
        pool = _Pool(ray, folder, job, processors, len(indices))
        try:
            frames = 0
            for report in pool.run(indices):
                frames += report.frames
                on_frames(frames, None)
                yield report
        finally:
            pool.close()


class _Pool:
    """Actors, the segments that they make, and those that wait."""

    def __init__(self, ray: Any, folder: Path, job: SegmentedJob, processors: int, segments: int) -> None:
        self._ray, self._folder, self._version = ray, folder, job.plan.version
        self._on_gpu = any(network.device != "cpu" for network in job.plan.networks)
        resources: dict[str, Any] = {"num_gpus": 1} if self._on_gpu else {"num_cpus": processors}
        self._actor = ray.remote(SegmentActor).options(max_restarts=0, **resources)
        available = ray.cluster_resources()
        actors = int(available.get("GPU", 0)) if self._on_gpu else int(available.get("CPU", 0)) // processors
        if not actors:
            need = "a GPU" if self._on_gpu else f"{processors} processors on one machine"
            raise OptionError(f"--ray: the cluster has no machine with {need}: add one, or set --cpus-per-worker")
        self._running: dict[Any, tuple[Any, int | None]] = {}  # call -> actor, and its segment; None: the first check
        self._idle: list[Any] = []
        for _ in range(min(actors, segments)):
            self._add_actor()

    def run(self, indices: Sequence[int]) -> Iterator[SegmentReport]:
        """Yield the reports of all segments."""
        waiting, tries = list(reversed(indices)), dict.fromkeys(indices, 0)
        left = len(indices)
        while left:
            ready, _ = self._ray.wait(list(self._running), timeout=POLL_SECONDS)
            for call in ready:
                actor, index = self._running.pop(call)
                try:
                    answer = self._ray.get(call)
                except self._ray.exceptions.RayActorError as error:
                    if index is not None:
                        tries[index] += 1
                        if tries[index] == TRIES:
                            raise VidsrError(
                                f"segment {index} of {self._folder} ended {TRIES} workers: {error}"
                            ) from None
                        waiting.append(index)
                    self._add_actor()
                    if waiting and self._idle:
                        self._start(self._idle.pop(), waiting.pop())
                    continue
                if index is None:
                    if answer:
                        raise VidsrError(f"a machine of the cluster {answer}")
                elif isinstance(answer, Failure):
                    raise VidsrError(f"segment {index} of {self._folder}: {answer.line}")
                else:
                    left -= 1
                    yield answer
                if waiting:
                    self._start(actor, waiting.pop())
                else:
                    self._idle.append(actor)

    def close(self) -> None:
        """End all actors; a segment in the making is lost."""
        for actor in [*self._idle, *(actor for actor, _ in self._running.values())]:
            with suppress(Exception):
                self._ray.kill(actor)

    def _add_actor(self) -> None:
        actor = self._actor.remote()
        self._running[actor.check.remote(self._folder, self._version)] = (actor, None)

    def _start(self, actor: Any, index: int) -> None:
        self._running[actor.run.remote(self._folder, index, "cuda:0" if self._on_gpu else "")] = (actor, index)


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
