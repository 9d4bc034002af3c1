"""The frame's journey: decode on one thread, stages on another, encode on this one.

Only frames in flight are held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from vidsr.errors import InputError, Notes, OnNote, OptionError, VidsrError, ignore
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.fingerprint import Fingerprint
from vidsr.options.finished import request_digest
from vidsr.options.image_sequence import first_number
from vidsr.options.output_names import output_names
from vidsr.options.paths import PIPE, Job, container
from vidsr.pipeline.choose_format import output_dimensions
from vidsr.pipeline.enhance_image import enhance_image
from vidsr.pipeline.expected_times import end_of_copies
from vidsr.pipeline.outputs import RunOutputs
from vidsr.pipeline.plan import Plan, make_plan
from vidsr.pipeline.report import WAIT, OnFrames, RunReport
from vidsr.pipeline.verify import verify
from vidsr.runtime.concurrency import prefetch
from vidsr.runtime.output_file import OutputFile
from vidsr.runtime.process import is_configured, keep_freed_memory
from vidsr.stages.build import Stages, build_stages
from vidsr.stages.diagnosis import sample_clip
from vidsr.stages.frame_log import FrameLog
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.stopwatch import Stopwatch
from vidsr.video import (
    AlphaPlanes,
    ExpectedContents,
    SlowMotion,
    VideoReader,
    Writer,
    has_copyable_streams,
    is_pipe,
    lost_streams,
    open_writer,
)

QUEUE_BATCHES = 2


def enhance_file(
    job: Job, options: EnhanceOptions, on_frames: OnFrames = ignore, on_note: OnNote = ignore
) -> RunReport:
    """Enhance one clip or image and return the report.

    Raises:
        VidsrError: in one line; no partial output is left.
    """
    return (enhance_image if job.is_image else _enhance_clip)(job, options, on_frames, Notes(on_note))


def _enhance_clip(job: Job, options: EnhanceOptions, on_frames: OnFrames, notes: Notes) -> RunReport:
    started = perf_counter()
    fingerprint = Fingerprint.of_source(job.source)
    times = Times()
    with ExitStack() as files:
        with open_reader(job.source, options, notes) as reader:
            plan = plan_clip(job, options, reader, notes)
            names = output_names(job, plan.options)
            target, log_path = names.result, names.log
            reader.keeps_alpha = plan.output.alpha
            outputs = files.enter_context(RunOutputs(names, options))
            notes.extend(lost_streams(job.source, target, options.reading, slow_motion(options)))
            with (
                _open_reference(options, plan.output) as reference,
                nullcontext() if log_path is None else FrameLog(log_path, plan.log_columns, outputs.log) as log,
            ):
                stages = build_stages(plan.stages, plan.source, log, reference, times.stages)
                alpha = files.enter_context(_alpha_planes(job.source, plan))
                with open_clip_writer(job, target, plan, notes, outputs.result, alpha) as writer:
                    decoded = mark_repeats(reader.batches(plan.frames_per_batch))
                    frames = run_stages(decoded, reader, plan, stages, writer, times, on_frames)
        counts = stages.counts
        note_fallbacks(counts, notes)
        _check_reference(options.reference, counts.get("measured_frames"), frames, notes)
        if reader.truncated is not None:
            notes.warn("source_truncated", reader.truncated)
        report = RunReport(
            source=job.source,
            target=target,
            plan=plan,
            output=plan.output if writer.expected is None else writer.expected.info,
            frames=frames,
            seconds=perf_counter() - started,
            notes=tuple(notes),
            threads=times.by_thread,
            means={} if log is None else log.means,
            counts=counts | copy_problems(writer) | reader.problems,
            truncated=reader.truncated is not None,
            log=log_path,
            fingerprint=fingerprint,
            request=request_digest(options),
        )
        return finish(report, writer.expected, outputs)


def note_fallbacks(counts: Mapping[str, int], notes: Notes) -> None:
    """Note that a run uses the CPU, as its device computes wrong."""
    if counts.get("device_fallbacks"):
        notes.warn("device_fallback", "the device computes other frames than the CPU: this run used the CPU")


def copy_problems(writer: Writer) -> dict[str, int]:
    """Return what the copy of the other streams had to leave out or repair, by name."""
    return {} if writer.expected is None else dict(writer.expected.copy_problems)


@dataclass
class Times:
    """Seconds of every step, for each thread."""

    decode: Stopwatch = field(default_factory=Stopwatch)
    stages: Stopwatch = field(default_factory=Stopwatch)
    encode: Stopwatch = field(default_factory=Stopwatch)

    @property
    def by_thread(self) -> dict[str, dict[str, float]]:
        """Thread -> step -> seconds."""
        return {name: watch.seconds for name, watch in vars(self).items()}


def plan_clip(job: Job, options: EnhanceOptions, reader: VideoReader, notes: Notes) -> Plan:
    """Return the plan for the clip of ``reader``.

    Raises:
        VidsrError: the options cannot be met.
    """
    if options.clean and is_pipe(job.source):
        notes.info("not_cleaned", "a pipe is read only once, before it can be judged: nothing is restored")
        asked = tuple(one for one in options.restorations if one.strength is not None)
        options = replace(options, clean=False, restorations=asked)
    samples = sample_clip(job.source, options, reader.info)
    logged = options.log is not False and (job.output != PIPE or isinstance(options.log, Path))
    suffix = container(job.source, options) if job.output is None else job.output.suffix.lower()
    return make_plan(options, reader.info, samples, job.output_kind, notes, logged, suffix)


def run_stages(
    decoded: Iterator[FrameBatch],
    reader: VideoReader,
    plan: Plan,
    stages: Stages,
    writer: Writer,
    times: Times,
    on_frames: OnFrames,
) -> int:
    """Send ``decoded`` frames of ``reader`` through ``stages`` to ``writer``; return how many were written."""
    frames = 0
    if is_configured():
        keep_freed_memory(plan.memory.is_limited)
    on_frames(0, plan.output.frames)
    with (
        prefetch(times.decode.timed("decode", decoded), QUEUE_BATCHES, "decode", plan.memory.queue) as batches,
        prefetch(stages(batches, times.stages, WAIT), QUEUE_BATCHES, "stages", plan.memory.queue) as enhanced,
        reader.interruptible(),
    ):
        for count in times.encode.timed("encode", _written(times.encode.timed(WAIT, enhanced), writer)):
            frames += count
            on_frames(frames, plan.output.frames)
    return frames


def _written(batches: Iterator[FrameBatch], writer: Writer) -> Iterator[int]:
    """Write each batch, then yield its number of frames."""
    for batch in batches:
        writer.write(batch)
        yield len(batch)


def finish(report: RunReport, expected: ExpectedContents | None, outputs: RunOutputs) -> RunReport:
    """Verify the result, then give it and the other files of the run their names; return the report.

    What fails is kept as ``NAME.failed.SUFFIX``, with the reason in its report.

    Raises:
        InputError: the source changed while it was being read.
        OutputError: a file cannot be written.
        VerifyError: the output differs from the plan.
    """
    if expected is None:
        _check_source(report)
        outputs.write_report(report.to_json())
        outputs.commit()
        return report
    if outputs.result is not None and outputs.result.part.is_file():
        report = replace(report, output_bytes=outputs.result.part.stat().st_size)
    try:
        _check_source(report)
        if report.plan.options.verify:
            report = replace(report, verification=replace(verify(expected), path=report.target))
            assert report.verification is not None
            report.verification.raise_if_failed()
        outputs.write_report(report.to_json())
    except VidsrError as error:
        kept = outputs.keep_as_failed()
        outputs.write_failed_report(replace(report, target=kept, log=None, failure=str(error)).to_json(), kept)
        raise type(error)(f"{error}; kept as {kept.name}") from error
    outputs.commit()
    return report


def _check_source(report: RunReport) -> None:
    """Refuse an output whose source is another file by now, or grew.

    Raises:
        InputError: it changed.
    """
    if report.fingerprint is not None and report.fingerprint.differs(report.source):
        problem = "changed while it was being read"
        raise InputError(f"{report.source} {problem}: give the same command again once nothing writes to it")


def _check_reference(reference: Path | None, measured: int | None, frames: int, notes: Notes) -> None:
    """Note how many of the written ``frames`` were ``measured`` against the reference, if not all.

    Raises:
        OptionError: none was.
    """
    if measured == 0 and frames:
        raise OptionError(f"--reference {reference} has no frame at the time of an output frame: name the true clip")
    if measured is not None and measured < frames:
        notes.warn(
            "reference_incomplete",
            f"--reference {reference}: measured {measured} of {frames} frames; it has none at the times of the others",
        )


def slow_motion(options: EnhanceOptions) -> SlowMotion | None:
    """How slow motion treats the other streams; None without slow motion."""
    return None if options.slow_motion == 1 else SlowMotion(options.slow_motion, options.slow_audio)


def _alpha_planes(source: Path, plan: Plan) -> AbstractContextManager[AlphaPlanes | None]:
    """The alpha of the output's frames; None where none is written."""
    if not plan.output.alpha:
        return nullcontext()
    options = plan.options
    size, canvas = output_dimensions(options, plan.source), (plan.output.width, plan.output.height)
    return AlphaPlanes(source, size, canvas, options.start, options.deinterlace, options.reading)


def open_clip_writer(
    job: Job, target: Path, plan: Plan, notes: Notes, output: OutputFile | None, alpha: AlphaPlanes | None = None
) -> Writer:
    """Open the output of a run, with the other streams of the source.

    Raises:
        OptionError, OutputError: see the writers.
    """
    options = plan.options
    return open_writer(
        target,
        plan.output,
        plan.encoding,
        job.source if has_copyable_streams(job.source, options.reading) else None,
        options.start,
        end_of_copies(options, plan.source),
        first_number(job.source),
        options.stdout_format == "raw",
        slow_motion(options),
        notes,
        output,
        options.reading,
        alpha,
        checked=options.verify and not plan.memory.is_limited,
    )


def open_reader(source: Path, options: EnhanceOptions, notes: Notes) -> VideoReader:
    """Open the frames that ``options`` ask for.

    Raises:
        InputError: the file is no clip, or has a pixel format that is not supported.
    """
    return VideoReader(
        source,
        options.start,
        options.end,
        options.frames,
        deinterlace=options.deinterlace,
        reading=options.reading,
        exact_rgb=True,
        notes=notes,
    )


@contextmanager
def _open_reference(options: EnhanceOptions, output: VideoInfo) -> Iterator[VideoReader | None]:
    """The true frames of ``--reference``, which the output is measured against."""
    path = options.reference
    if path is None:
        yield None
        return
    with VideoReader(path, options.start, options.end, reading=replace(options.reading, raw=None)) as reference:
        width, height = reference.info.width, reference.info.height
        if (width, height) != (output.width, output.height):
            raise OptionError(
                f"--reference {path} is {width}x{height} and the output {output.width}x{output.height}: "
                "name a clip of that size"
            )
        yield reference
