"""What one worker takes of a machine: its memory, and the GPUs that the work may use."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from vidsr.device import choose_all, same_gpus
from vidsr.errors import Notes, VidsrError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import Job
from vidsr.pipeline.estimate import plan_file
from vidsr.pipeline.plan import Plan
from vidsr.segments.begun_job import Need
from vidsr.video import frame_pixels

TRIED = 3  # files that are planned, until one of them can be enhanced


def need_of(plan: Plan) -> Need:
    """Return what a worker takes that runs ``plan``, and all GPUs that the user named, each for one worker."""
    if all(network.device == "cpu" for network in plan.networks):
        return Need(plan.memory_needed)
    named = [str(one.device) for one in choose_all(plan.options.device, plan.options.precision)]
    gpus = dict.fromkeys(gpu for name in named if name != "cpu" for gpu in same_gpus(name))
    return Need(plan.memory_needed, tuple(gpus))


def estimate_need(jobs: Sequence[Job], options: EnhanceOptions) -> Need:
    """Return what a worker takes that enhances any of ``jobs``: that of the largest frames and of the largest image."""
    kinds = ([job for job in jobs if job.is_image == is_image] for is_image in (False, True))
    needs = [need for one in kinds if (need := _need_of_largest(one, options)) is not None]
    memory = [need.memory for need in needs if need.memory is not None]
    return Need(max(memory, default=None), tuple(dict.fromkeys(gpu for need in needs for gpu in need.gpus)))


def _need_of_largest(jobs: Sequence[Job], options: EnhanceOptions) -> Need | None:
    """Return the need of the file with the largest frames that can be enhanced; None if there is none."""
    by_size = sorted(jobs, key=lambda job: frame_pixels(job.source, options.reading), reverse=True)
    for job in by_size[:TRIED]:
        with suppress(VidsrError):
            return need_of(plan_file(job, options, Notes()))
    return None
