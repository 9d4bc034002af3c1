"""The workers of a run: processes of this machine (``--jobs``) or actors of a Ray cluster (``--ray``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vidsr.errors import Note, OnNote
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.names import kinds_of
from vidsr.runtime.free_memory import default_limit
from vidsr.runtime.process import processors
from vidsr.runtime.worker import Worker
from vidsr.runtime.worker_pool import OnEvent, WorkerPool
from vidsr.segments.begun_job import Need
from vidsr.segments.tasks import FUNCTION

PROCESSORS_PER_JOB = 8  # with more of them a network on one process leaves some idle
VISIBLE_GPUS = {"cuda": "CUDA_VISIBLE_DEVICES", "xpu": "ZE_AFFINITY_MASK"}  # environment variables of the drivers


@dataclass(frozen=True)
class WorkerLine:
    """What one of several workers does at present."""

    worker: int  # from 0
    text: str
    done: int  # frames written
    frames: int | None  # frames expected


@contextmanager
def open_pool(
    options: EnhanceOptions, need: Need, seen: Path, on_event: OnEvent, on_note: OnNote, most: int | None = None
) -> Iterator[tuple[WorkerPool, str]]:
    """Start the workers that ``options`` ask for, ``most`` at most; yield their pool and the device of their networks.

    ``need``: of each worker. ``seen``: a file that every machine of a cluster must see.

    Raises:
        OptionError: the Ray cluster cannot be reached, or has no room for a worker.
    """
    device = kinds_of(need.gpus[0]) if need.gpus else ""  # each worker sees its own GPU only
    if options.ray is None:
        jobs = number_of_jobs(options.jobs, need, on_note, most)
        with WorkerPool(local_workers(jobs, need), on_event, on_note) as pool:
            yield pool, device
        return
    from vidsr.segments.ray_cluster import ray_workers

    with (
        ray_workers(options.ray, options.cpus_per_worker, need, seen, most) as actors,
        WorkerPool(actors, on_event, on_note) as pool,
    ):
        yield pool, device


def number_of_jobs(wanted: int, need: Need, on_note: OnNote, most: int | None = None) -> int:
    """Return how many processes to use, as far as the memory allows.

    ``wanted`` 0 means one per GPU; without a GPU, one per 8 processors.
    """
    jobs = wanted or len(need.gpus) or max(1, processors() // PROCESSORS_PER_JOB)
    jobs = jobs if most is None else min(jobs, most)
    free = default_limit()
    if free is None or need.memory is None or jobs * need.memory <= free:
        return jobs
    fitting = max(1, free // need.memory)
    if fitting < jobs:
        why = f"each takes up to {need.memory >> 20}M of memory, and {free >> 20}M are free"
        on_note(Note("jobs_reduced", f"--jobs: {fitting} instead of {jobs}, as {why}", "warning"))
    return fitting


def local_workers(jobs: int, need: Need) -> list[Worker]:
    """Start ``jobs`` processes, which share the processors and the GPUs of this machine."""
    threads = str(max(1, processors() // jobs))
    limits = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
    return [Worker(FUNCTION, limits | _gpu(number, need)) for number in range(jobs)]


def _gpu(number: int, need: Need) -> dict[str, str]:
    """Return the environment in which a worker sees its own GPU only."""
    if not need.gpus:
        return {}
    kind, _, own = need.gpus[number % len(need.gpus)].partition(":")
    if kind not in VISIBLE_GPUS:
        return {}
    visible = os.environ.get(VISIBLE_GPUS[kind])  # what numbers stand for, where the user has chosen some GPUs
    return {VISIBLE_GPUS[kind]: visible.split(",")[int(own or 0)] if visible else own or "0"}
