"""Outputs that are complete: their reports name the same source, options and version. PyTorch is not needed."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

from vidsr import __version__
from vidsr.errors import VidsrError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.fingerprint import Fingerprint
from vidsr.options.names import kinds_of
from vidsr.options.output_names import report_path
from vidsr.options.paths import PIPE, Job, JobList, output_path
from vidsr.options.serialize import to_json

FREE_OPTIONS = frozenset(
    {"overwrite", "verify", "fresh", "jobs", "ray", "cpus_per_worker"}
)  # may differ between two runs that make the same output


def without_finished(listed: JobList, options: EnhanceOptions) -> JobList:
    """Return the jobs that remain, and the sources of the others as ``finished``; with ``overwrite`` all remain."""
    if options.overwrite:
        return listed
    finished = {job.source for job in listed.jobs if is_finished(job, options)}
    jobs = tuple(job for job in listed.jobs if job.source not in finished)
    return replace(listed, jobs=jobs, finished=(*listed.finished, *sorted(finished)))


def is_finished(job: Job, options: EnhanceOptions) -> bool:
    """Whether the output of ``job`` was made from the same source with the same options by this version."""
    output = output_path(job, options, check=False)
    if output == PIPE or not output.is_file():
        return False
    try:
        report: dict[str, Any] = json.loads(report_path(output).read_bytes())
        return (
            report["failure"] is None
            and report["output_bytes"] == output.stat().st_size
            and report["plan"]["version"] == __version__
            and report["request"] == request_digest(options)
            and report["fingerprint"] == to_json(Fingerprint.of_source(job.source))
        )
    except (OSError, ValueError, KeyError, TypeError, VidsrError):
        return False


def request_digest(options: EnhanceOptions) -> str:
    """Return the digest of all options that matter for the output."""
    options = replace(options, device=kinds_of(options.device))
    data = {name: value for name, value in to_json(options).items() if name not in FREE_OPTIONS}
    return sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
