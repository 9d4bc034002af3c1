"""The frame's journey: decode on a thread, stages on a thread, encode here, and nothing kept but what is in flight."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter

from vidsr import __version__
from vidsr.concurrency import prefetch
from vidsr.errors import Note, Notes, OnNote, OptionError, OutputError, ignore
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.image_sequence import first_number
from vidsr.options.paths import Job, frame_log_path, output_path
from vidsr.pipeline.plan import Plan
from vidsr.pipeline.survey import survey
from vidsr.pipeline.verify import Verification, verify
from vidsr.stages import Stage
from vidsr.stages.diagnosis import Survey
from vidsr.stages.frame_log import FrameLog
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.stopwatch import Stopwatch
from vidsr.video import SlowMotion, VideoReader, Writer, has_copyable_streams, lost_streams, open_writer
from vidsr.video.image import is_animated, read_image, write_image

QUEUE_BATCHES = 2
WAIT = "wait"  # the step in which a thread waits for the one before it

OnFrames = Callable[[int, int | None], None]  # (frames written, frames expected or None)


@dataclass(frozen=True)
class RunReport:
    """What a run did."""

    source: Path
    target: Path
    input: VideoInfo
    output: VideoInfo
    frames: int
    seconds: float
    plan: tuple[str, ...]  # the stages in words
    notes: tuple[Note, ...] = ()
    threads: dict[str, dict[str, float]] = field(default_factory=dict)  # thread -> step -> its own seconds
    means: dict[str, float] = field(default_factory=dict)  # mean of each measured log column
    counts: dict[str, int] = field(default_factory=dict)  # frames synthesised, held at cuts, repaired ...
    truncated: bool = False  # the source ends early; everything readable was processed
    log: Path | None = None
    weights: dict[str, str] = field(default_factory=dict)  # file name -> sha256
    verification: Verification | None = None

    @property
    def fps(self) -> float:
        """Frames written per second of the whole run."""
        return self.frames / self.seconds

    def busy(self, thread: str) -> float:
        """Seconds in which ``thread`` did not wait for another."""
        return sum(seconds for step, seconds in self.threads[thread].items() if step != WAIT)

    @property
    def bottleneck(self) -> str:
        """The thread that was busy longest, which the others waited for."""
        return max(self.threads, key=self.busy, default="")


def enhance_file(
    job: Job, options: EnhanceOptions, on_frames: OnFrames = ignore, on_note: OnNote = ignore
) -> RunReport:
    """Enhances one clip or image and reports what was done.

    Raises:
        VidsrError: with one line that names the thing, the value and the way out; nothing is left half-written.
    """
    return (_enhance_image if job.is_image else _enhance_clip)(job, options, on_frames, Notes(on_note))


def _enhance_clip(job: Job, options: EnhanceOptions, on_frames: OnFrames, notes: Notes) -> RunReport:
    started = perf_counter()
    decoding, staging, encoding = Stopwatch(), Stopwatch(), Stopwatch()
    frames = 0
    with open_reader(job.source, options, notes) as reader:
        plan = Plan(options, reader.info, survey(job.source, options, reader.info), job.output_kind, notes)
        target = _prepare(output_path(job, options, plan.output.fps))
        log_path = frame_log_path(job.source, target, options)
        slow = slowing(options)
        notes.extend(lost_streams(job.source, target, options.reading, slow))
        with (
            _reference(options, plan.output) as reference,
            nullcontext() if log_path is None else FrameLog(log_path, plan.log_columns) as log,
            open_writer(
                target,
                plan.output,
                plan.encoding,
                job.source if has_copyable_streams(job.source, options.reading) else None,
                options.start,
                _end(options, reader.info),
                first_number(job.source),
                options.stdout_format == "raw",
                slow,
                notes,
            ) as writer,
            prefetch(
                decoding.timed("decode", mark_repeats(reader.batches(plan.frames_per_batch))),
                QUEUE_BATCHES,
                "decode",
                plan.share.queue,
            ) as decoded,
            prefetch(
                chain(decoded, plan.stages(log, reference, staging), staging), QUEUE_BATCHES, "stages", plan.share.queue
            ) as enhanced,
            reader.interruptible(),
        ):
            for batch in encoding.timed("encode", _written(encoding.timed(WAIT, enhanced), writer)):
                frames += batch
                on_frames(frames, plan.output.frames)
        counts = {**plan.counts, **reader.problems}
    if reader.truncated is not None:
        notes.warn("source_truncated", reader.truncated)
    report = RunReport(
        source=job.source,
        target=target,
        input=reader.info,
        output=plan.output if writer.expected is None else writer.expected.info,
        frames=frames,
        seconds=perf_counter() - started,
        plan=plan.words,
        notes=tuple(notes),
        threads={"decode": decoding.seconds, "stages": staging.seconds, "encode": encoding.seconds},
        means=log.means if log is not None else {},
        counts=counts,
        truncated=reader.truncated is not None,
        log=log.path if log is not None else None,
        weights=plan.weights,
    )
    if writer.expected is None:
        return report
    if options.verify:
        report = replace(report, verification=verify(writer.expected))
    write_record(report, options)
    if report.verification is not None:
        report.verification.demand()
    return report


def slowing(options: EnhanceOptions) -> SlowMotion | None:
    """How slow motion treats what goes beside the picture; None where time is not stretched."""
    return None if options.slow_motion == 1 else SlowMotion(options.slow_motion, options.slow_audio)


def chain(batches: Iterator[FrameBatch], stages: Sequence[Stage], watch: Stopwatch) -> Iterator[FrameBatch]:
    """``batches`` through ``stages``, one after the other, each step timed."""
    stream = watch.timed(WAIT, batches)
    for stage in stages:
        stream = watch.timed(stage.name, stage(stream))
    return stream


def _written(batches: Iterator[FrameBatch], writer: Writer) -> Iterator[int]:
    """How many frames each batch had, once it is written."""
    for batch in batches:
        writer.write(batch)
        yield len(batch)


def _enhance_image(job: Job, options: EnhanceOptions, on_frames: OnFrames, notes: Notes) -> RunReport:
    started = perf_counter()
    picture, info = read_image(job.source, options.reading.alpha)
    if is_animated(job.source):
        notes.info("first_frame_only", f"{job.source} is animated, of which the first picture is taken")
    if options.interpolates:
        notes.info("still_not_interpolated", f"{job.source} is one picture: no frames are made between")
    plan = Plan(options, info, Survey((picture.y,)), notes=notes)
    target = _prepare(output_path(job, options, None))
    (result,) = chain(iter([picture]), plan.picture_stages, Stopwatch())
    write_image(target, result, plan.output)  # rounds, in RGB
    on_frames(1, 1)
    return RunReport(job.source, target, info, plan.output, 1, perf_counter() - started, plan.words, tuple(notes))


def _end(options: EnhanceOptions, info: VideoInfo) -> Fraction | None:
    """Where the copied streams end: with the pictures."""
    if options.frames is None or not info.fps:
        return options.end
    after_frames = (options.start or Fraction(0)) + options.frames / info.fps
    return after_frames if options.end is None else min(after_frames, options.end)


def _prepare(target: Path) -> Path:
    """``target``, its folder made."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{target.parent} cannot be made: {error.strerror}; choose another --output") from None
    return target


def open_reader(source: Path, options: EnhanceOptions, notes: Notes) -> VideoReader:
    """The frames that ``options`` ask for.

    Raises:
        InputError: the file is no clip, or holds a picture that is not supported.
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
def _reference(options: EnhanceOptions, output: VideoInfo) -> Iterator[VideoReader | None]:
    """The true pictures that the ``output`` is measured against, if they are asked for."""
    path = options.reference
    if path is None:
        yield None
        return
    with VideoReader(path, options.start, options.end, reading=replace(options.reading, raw=None)) as reference:
        width, height = reference.info.width, reference.info.height
        if (width, height) != (output.width, output.height):
            raise OptionError(
                f"--reference {path} is {width}x{height} and the result {output.width}x{output.height}: "
                "name a clip of that size"
            )
        yield reference


def write_record(report: RunReport, options: EnhanceOptions) -> None:
    """Writes ``<output>.report.json``: what was asked, what was done with which weights, how long it took, and that it
    was verified.

    Raises:
        OutputError: the file cannot be written.
    """
    path = report.target.with_name(f"{report.target.name}.report.json")
    verification = None if report.verification is None else report.verification.to_json()
    record = {"vidsr": __version__, "options": asdict(options), **asdict(report), "verification": verification}
    try:
        path.write_text(json.dumps(record, indent=1, default=str) + "\n")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}): check the disk") from None
