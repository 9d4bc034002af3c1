"""Run one segment of a job: decode, stages, encode, check, store. Only a path and a number come in.

The run is idempotent: the same segment gives the same files, and a segment that was not finished leaves none.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from io import StringIO
from pathlib import Path
from time import perf_counter

from vidsr.errors import Notes, ignore
from vidsr.pipeline.report import OnFrames
from vidsr.pipeline.run import Times, run_stages
from vidsr.segments.job_folder import JobFolder
from vidsr.segments.segment_report import SegmentReport
from vidsr.segments.source_frames import open_segment
from vidsr.stages import StreamRange
from vidsr.stages.build import build_stages, context_of
from vidsr.stages.frame_log import LogRows
from vidsr.stages.specs import on_device
from vidsr.video.segment_writer import SegmentWriter


def run_segment(folder: Path, index: int, device: str = "", on_frames: OnFrames = ignore) -> SegmentReport:
    """Make segment ``index`` of the job in ``folder`` and return its report.

    ``device`` replaces the device of the plan's networks. ``on_frames`` gets the number of frames written so far.

    Raises:
        VidsrError: in one line; the segment leaves no file.
    """
    return begin_segment(folder, index, device, on_frames)()


def begin_segment(
    folder: Path, index: int, device: str = "", on_frames: OnFrames = ignore
) -> Callable[[], SegmentReport]:
    """Send all frames of a segment to its encoder; see `run_segment`.

    Return what completes it: it takes the last packets of the encoder, checks them, and stores the segment.
    """
    files = JobFolder(folder)
    job = files.read_job()
    job.fingerprint.check(job.source)
    started = perf_counter()
    segment = job.cut.segments[index]
    plan = (
        job.plan if not device else replace(job.plan, stages=tuple(on_device(one, device) for one in job.plan.stages))
    )
    times, notes, rows = Times(), Notes(), StringIO(newline="")
    log = LogRows(plan.log_columns, rows) if plan.log_columns else None
    with ExitStack() as opened:
        with open_segment(job, segment, context_of(*plan.stages), notes) as frames:
            part = StreamRange(frames.first, job.cut.start, segment.first.time, segment.end)
            stages = build_stages(plan.stages, plan.source, log, None, times.stages, part=part)
            output = opened.enter_context(files.new_packets(index))
            checked = plan.options.verify and not plan.memory.is_limited
            writer = opened.enter_context(
                SegmentWriter(output.part, job.target, plan.output, plan.encoding, job.output_zero, checked)
            )
            written = run_stages(frames.batches, frames.reader, plan, stages, writer, times, on_frames)
        job.fingerprint.check(job.source)  # what changed while it was read is no segment
        opened.pop_all()

    def complete() -> SegmentReport:
        with output:
            with writer:  # its end takes the last packets
                pass
            if plan.options.verify:
                writer.verify()
        report = SegmentReport(
            index=index,
            job=job.digest,
            frames=written,
            encoded=writer.encoded,
            device=device,
            seconds=perf_counter() - started,
            log=rows.getvalue(),
            log_sums={} if log is None else log.sums,
            log_counts={} if log is None else log.counts,
            counts=stages.counts | frames.reader.problems,
            threads=times.by_thread,
            notes=tuple(notes),
            truncated=frames.reader.truncated,
        )
        files.store(report)
        return report

    return complete
