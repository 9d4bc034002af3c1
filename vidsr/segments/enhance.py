"""Enhance one file: a long clip in segments, everything else in one run.

    cut -> job folder -> run each segment that is not finished -> assemble -> remove the job folder

A run that ends early leaves the job folder, and the same command continues.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter

from vidsr.errors import Notes, OnNote, ignore
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.fingerprint import Fingerprint
from vidsr.options.output_names import output_names
from vidsr.options.paths import Job, output_path
from vidsr.pipeline.run import OnFrames, RunReport, open_reader, plan_clip, slow_motion
from vidsr.pipeline.run import enhance_file as enhance_whole
from vidsr.runtime import interrupt
from vidsr.segments.assemble import assemble
from vidsr.segments.cut import Cut, cut_clip
from vidsr.segments.executors import number_of_jobs, run_segments
from vidsr.segments.job import SegmentedJob
from vidsr.segments.job_folder import JobFolder
from vidsr.segments.segment_report import SegmentReport
from vidsr.video import file_clock, lost_streams
from vidsr.video.packet_index import packet_index

ZERO = Fraction(0)


def enhance_file(
    job: Job, options: EnhanceOptions, on_frames: OnFrames = ignore, on_note: OnNote = ignore
) -> RunReport:
    """Enhance one clip or image and return the report.

    Raises:
        VidsrError: in one line; no partial output is left, except finished segments in the job folder.
    """
    interrupt.set_line(None)
    cut = None if not _may_be_cut(job, options) else _cut(job, options)
    if cut is None:
        return enhance_whole(job, options, on_frames, on_note)
    return _enhance_in_segments(job, options, cut, on_frames, Notes(on_note))


def _may_be_cut(job: Job, options: EnhanceOptions) -> bool:
    """Whether the output can be made from segments; a clip may still be too short."""
    reasons_against = (
        not options.segment,
        job.is_image,
        job.output_kind != "clip",
        options.encoding.is_null,
        options.reference is not None,  # its frames are read in one go
        options.repeats == "interpolate",  # depends on frames at any distance where repeats are unclear
    )
    return not any(reasons_against)


def _cut(job: Job, options: EnhanceOptions) -> Cut | None:
    index = packet_index(job.source, options.reading, 2 * options.segment)
    if index is None:
        return None
    start, end = file_clock(job.source, options.start, options.end, options.reading)
    cut = cut_clip(index, options.segment, start, end, options.frames)
    return cut if cut is not None and _keeps_frames(job, options) else None


def _keeps_frames(job: Job, options: EnhanceOptions) -> bool:
    """Whether the reader gives as many frames as the file has, not one for each field."""
    with open_reader(job.source, options, Notes()) as reader:
        return reader.rate_change == 1


def _enhance_in_segments(files: Job, options: EnhanceOptions, cut: Cut, on_frames: OnFrames, notes: Notes) -> RunReport:
    started = perf_counter()
    with open_reader(files.source, options, notes) as reader:
        plan = plan_clip(files, options, reader, notes)
        deinterlaces = reader.deinterlaces
    folder = JobFolder.of(output_path(files, options, check=False))
    if folder.has_made(output_path(files, options, check=False)):
        options = replace(options, overwrite=True)  # what is in the way is the output of this job
    names = output_names(files, options)
    notes.extend(lost_streams(files.source, names.result, options.reading, slow_motion(options)))
    played_from, output_zero = file_clock(files.source, ZERO, options.start or ZERO, options.reading)
    assert played_from is not None and output_zero is not None
    with folder.locked():
        job = folder.begin(
            SegmentedJob(
                source=files.source.resolve(),
                target=names.result.resolve(),
                fingerprint=Fingerprint.of(files.source),
                plan=plan,
                cut=cut,
                played_from=played_from,
                output_zero=output_zero if options.start is not None else ZERO,
                deinterlaces=deinterlaces,
            ),
            options.fresh,
        )
        reports = folder.finished(job, notes)
        earlier = sum(report.seconds for report in reports.values())
        if reports:
            notes.info("resuming", f"resuming: {len(reports)} of {len(cut.segments)} segments done")
        _run_missing(folder, job, reports, options, on_frames)
        in_order = [reports[index] for index in range(len(cut.segments))]
        report = assemble(job, folder, files, names, options, in_order, perf_counter() - started + earlier, notes)
        folder.remove()
    interrupt.set_line(None)
    return report


def _run_missing(
    folder: JobFolder,
    job: SegmentedJob,
    reports: dict[int, SegmentReport],
    options: EnhanceOptions,
    on_frames: OnFrames,
) -> None:
    """Run the segments without a report, and add theirs to ``reports``."""
    total, done = len(job.cut.segments), sum(report.frames for report in reports.values())
    missing = [index for index in range(total) if index not in reports]

    def show(frames: int, _: int | None) -> None:
        on_frames(done + frames, job.plan.output.frames)

    def note_finished() -> None:
        if reports:
            interrupt.set_line(f"{len(reports)} of {total} segments are finished: the same command continues")

    note_finished()
    for report in _started(folder.path, job, missing, options, show):
        reports[report.index] = report
        note_finished()


def _started(
    folder: Path, job: SegmentedJob, missing: list[int], options: EnhanceOptions, on_frames: OnFrames
) -> Iterator[SegmentReport]:
    """Run segments where ``options`` want them: here, in several processes, or on a Ray cluster."""
    if options.ray is None:
        return run_segments(folder, job, missing, number_of_jobs(job, options.jobs), on_frames)
    from vidsr.segments.ray_cluster import run_on_ray

    return run_on_ray(folder.resolve(), job, missing, options.ray, options.cpus_per_worker, on_frames)
