"""`vidsr plan`: what a run would do to every file, how long it would take and what it would need, nothing written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from vidsr.errors import ExitCode, Note, Notes, OptionError, VidsrError
from vidsr.frames import VideoInfo
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.image_sequence import file_bytes
from vidsr.options.paths import PIPE, Job, list_jobs, output_path
from vidsr.pipeline.plan import make_plan
from vidsr.pipeline.run import open_reader, plan_clip, slow_motion
from vidsr.pipeline.trial_run import Trial, peak_memory, try_out
from vidsr.stages.diagnosis import Survey
from vidsr.video import carried_streams, is_pipe, lost_streams
from vidsr.video.image import read_image

STARTUP = process_time()  # what the imports took, which the run will take again
LOOKING = 6.0  # seconds in which files are opened; those not reached are estimated by their size
TRYING = 9.0  # seconds in which frames are run


@dataclass(frozen=True)
class Outlook:
    """What would become of one file."""

    source: Path
    target: Path
    input: VideoInfo
    output: VideoInfo
    stages: tuple[str, ...]  # in words: model, domain, device, precision, size
    weights: dict[str, str]  # file name -> sha256
    kept: tuple[str, ...]  # streams beside the picture that are copied
    notes: tuple[Note, ...]  # what is lost, and what is done to the picture besides
    problem: str = ""  # why the run would refuse it
    seconds: float = 0.0
    bytes: int = 0
    basis: str = ""  # where the figures come from

    @property
    def kind(self) -> tuple[object, ...]:
        """Files of one kind take the same time per frame."""
        i, o = self.input, self.output
        return i.width, i.height, i.chroma, i.depth, i.codec, o.width, o.height, i.fps, o.fps, self.stages

    @property
    def work(self) -> int:
        """Pixels to write: what files of different kinds are compared by."""
        return self.output.width * self.output.height * (self.output.frames or 1)


@dataclass(frozen=True)
class Estimates:
    """What would become of all files of a run."""

    files: tuple[Outlook, ...]
    failed: tuple[tuple[Path, str], ...]  # files that cannot be enhanced, and why
    unopened: tuple[Path, ...]  # files that there was no time to open; their share of the figures is by their size
    skipped: tuple[Path, ...]
    seconds: float
    bytes: int
    memory: int | None  # bytes; None where the system does not say
    free: int  # bytes where the results go

    @property
    def exit_code(self) -> ExitCode:
        """That of the run, as far as is known."""
        problems = [file for file in self.files if file.problem]
        return ExitCode.SOME_FAILED if self.failed or problems else ExitCode.DONE

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return asdict(self)


def estimate_all(inputs: list[Path], output: Path | None, options: EnhanceOptions) -> Estimates:
    """What `vidsr.batch.enhance_all` would do with the same arguments, learned from headers and a few frames.

    Raises:
        VidsrError: nothing could be started, or the only file would fail.
    """
    listed = list_jobs(inputs, output, options)
    if pipe := next((job.source for job in listed.jobs if is_pipe(job.source)), None):
        raise OptionError(f"{pipe} is a pipe, which can be read only once: name a file to plan with")
    files: list[Outlook] = []
    failed: list[tuple[Path, str]] = []
    unopened: list[Path] = []
    deadline = perf_counter() + LOOKING
    for job in listed.jobs:
        if files and perf_counter() > deadline:
            unopened.append(job.source)
            continue
        try:
            files.append(_look(job, options))
        except VidsrError as error:
            if len(listed.jobs) == 1:
                raise
            failed.append((job.source, str(error)))
    trials = dict(_trials(files, options))
    files = _judged(files, trials)
    opened, missing = (sum(map(file_bytes, paths)) for paths in ([f.source for f in files], unopened))
    factor = 1 + missing / opened if opened else 1.0
    return Estimates(
        files=tuple(files),
        failed=tuple(failed),
        unopened=tuple(unopened),
        skipped=listed.skipped,
        seconds=STARTUP + factor * sum(file.seconds for file in files),
        bytes=round(factor * sum(file.bytes for file in files)),
        memory=_memory(list(trials.values())),
        free=_free(files[0].target) if files else 0,
    )


def _look(job: Job, options: EnhanceOptions) -> Outlook:
    """What the headers and the first frame tell."""
    notes = Notes()
    if job.is_image:
        picture, info = read_image(job.source, options.reading.alpha)
        plan = make_plan(options, info, Survey((picture.y,)))
    else:
        with open_reader(job.source, options, notes) as reader:
            info = reader.info
            plan = plan_clip(job, options, reader, notes)
    problem = ""
    try:
        target = output_path(job, options, plan.output.fps)
    except VidsrError as error:
        problem, target = str(error), output_path(job, replace(options, overwrite=True), plan.output.fps)
    copied: list[str] = []
    if not job.is_image:
        beside = (job.source, target, options.reading, slow_motion(options))
        copied = carried_streams(*beside)
        notes.extend(lost_streams(*beside))
    return Outlook(
        job.source, target, info, plan.output, plan.words, plan.weights, tuple(copied), tuple(notes), problem
    )


def _trials(files: list[Outlook], options: EnhanceOptions) -> Iterator[tuple[tuple[object, ...], Trial]]:
    """A trial of one file of each kind, those with most work first, as long as there is time."""
    work: dict[tuple[object, ...], int] = {}
    for file in files:
        work[file.kind] = work.get(file.kind, 0) + file.work
    deadline = perf_counter() + TRYING
    kinds = sorted(work, key=work.__getitem__, reverse=True)
    for number, kind in enumerate(kinds):
        left = deadline - perf_counter()
        if number and left <= 0:
            return
        share = left * work[kind] / sum(work[other] for other in kinds[number:])
        longest = max((file for file in files if file.kind == kind), key=lambda file: file.input.frames or 1)
        # what would go to a pipe is tried as a file
        name = "pipe.y4m" if longest.target == PIPE else longest.target.name
        yield kind, try_out(longest.source, name, longest.input, options, share)


def _judged(files: list[Outlook], trials: dict[tuple[object, ...], Trial]) -> list[Outlook]:
    """``files`` with their figures: from the trial of their kind, or else by their pixels like those that have one."""
    timed = {file.source: _timed(file, trials[file.kind]) for file in files if file.kind in trials}
    work = sum(file.work for file in timed.values())
    seconds, size = (sum(getattr(file, name) for file in timed.values()) for name in ("seconds", "bytes"))
    return [
        timed[file.source]
        if file.source in timed
        else replace(
            file, seconds=seconds * file.work / work, bytes=size * file.work // work, basis="by its pixels, not run"
        )
        for file in files
    ]


def _timed(file: Outlook, trial: Trial) -> Outlook:
    return replace(
        file,
        seconds=trial.seconds(file.input.frames or 1),
        bytes=trial.bytes(file.output.frames or 1, _duration(file.output)),
        basis=f"{trial.frames} frames run",
        notes=tuple(dict.fromkeys((*file.notes, *trial.notes))),
    )


def _duration(info: VideoInfo) -> Fraction:
    """Seconds that the planned frames take."""
    return Fraction(info.frames or 1) / info.fps if info.fps else Fraction(0)


def _memory(trials: list[Trial]) -> int | None:
    """Bytes that a run would need at most: what the trials needed, and what they were too short to fill."""
    peak = peak_memory()
    return None if peak is None else peak + max((trial.pending for trial in trials), default=0)


def _free(target: Path) -> int:
    """Bytes free where ``target`` would lie."""
    folder = next(folder for folder in target.resolve().parents if folder.exists())
    return shutil.disk_usage(folder).free
