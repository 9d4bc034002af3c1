"""Check the networks of a job on the first frames of its run, once, so that all segments use the same forms.

A whole run compares the first frame of a network with float32 (half precision on a GPU, int8 on a CPU) or with the CPU
(a device that vidsr was never run on), and may fall back to those. Workers that each did so could decide differently.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from vidsr.errors import Notes
from vidsr.segments.job import SegmentedJob
from vidsr.segments.source_frames import open_segment
from vidsr.stages.batching import single_frames
from vidsr.stages.build import Stages, build_stages, context_of, networks_in
from vidsr.stages.network_engine import NetworkEngine
from vidsr.stages.network_runner import Runner
from vidsr.stages.specs import MeasureSpec, NetworkSpec, StageSpec, TapSpec, networks_of, with_networks
from vidsr.stages.stopwatch import Stopwatch


def check_networks(job: SegmentedJob) -> SegmentedJob:
    """Return ``job`` with the device and the precision in which each network computes its first frame right.

    A network that the first segment does not use stays as it is.

    Raises:
        VidsrError: the source or the weights cannot be read.
    """
    specs = [one for one in job.plan.stages if not isinstance(one, TapSpec | MeasureSpec)]
    if not any(_needs_check(network) for spec in specs for network in networks_of(spec)):
        return replace(job, fallbacks={})
    stages = build_stages(specs, job.plan.source)
    made = [one for stage in stages.in_order for one in networks_in(stage)]
    with open_segment(job, job.cut.segments[0], context_of(*specs), Notes()) as frames:
        enhanced = stages(single_frames(frames.batches), Stopwatch())
        while any(one.needs_check for one in made) and next(enhanced, None) is not None:
            pass
    checked = iter(_checked(specs, stages))
    plan = tuple(one if isinstance(one, TapSpec | MeasureSpec) else next(checked) for one in job.plan.stages)
    fallbacks = {name: stages.counts[name] for name in ("fp32_fallbacks", "device_fallbacks")}
    return replace(job, plan=replace(job.plan, stages=plan), fallbacks=fallbacks)


def _needs_check(network: NetworkSpec) -> bool:
    return network.compute.loses_precision or network.compute.is_untested


def _checked(specs: Sequence[StageSpec], stages: Stages) -> Iterator[StageSpec]:
    """Yield each of ``specs`` with what its stage has found out."""
    for spec, stage in zip(specs, stages.in_order, strict=True):
        made = iter(networks_in(stage))
        yield with_networks(spec, lambda network, made=made: _as_checked(network, next(made)))  # type: ignore[misc]


def _as_checked(network: NetworkSpec, made: Runner | NetworkEngine) -> NetworkSpec:
    if made.device_fallback:
        return replace(network, device="cpu", precision="fp32", is_checked=True)
    precision = "fp32" if made.fp32_fallback else network.precision
    return replace(network, precision=precision, is_checked=not made.needs_check)
