"""`vidsr plan`: the plan of every file, with the time, disk space and memory of the run; nothing is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from vidsr.errors import ExitCode, Note, Notes, OptionError, VidsrError, ignore
from vidsr.frames import VideoInfo
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.image_sequence import file_bytes
from vidsr.options.input_folder import OnFolder
from vidsr.options.output_names import distinct_outputs, output_names
from vidsr.options.paths import PIPE, Job, list_jobs, output_path
from vidsr.options.serialize import to_json
from vidsr.pipeline.enhance_image import plan_image
from vidsr.pipeline.plan import Plan
from vidsr.pipeline.run import open_reader, plan_clip, slow_motion
from vidsr.pipeline.trial_run import Trial, peak_memory, trial_run
from vidsr.runtime import interrupt
from vidsr.runtime.error_boundary import machine_errors, one_line
from vidsr.video import carried_streams, is_pipe, lost_streams
from vidsr.video.image import read_still

STARTUP = process_time()  # seconds of the imports, which the run spends again
OPENING_SECONDS = 6.0  # for opening files; the others are estimated by their size
TRIAL_SECONDS = 9.0  # for trial runs


@dataclass(frozen=True)
class FileEstimate:
    """The plan of one file, with the time and size of its run."""

    source: Path
    target: Path
    plan: Plan
    copied_streams: tuple[str, ...]  # in words
    notes: tuple[Note, ...]
    problem: str = ""  # why the run would refuse the file
    seconds: float = 0.0
    bytes: int = 0  # of the output
    basis: str = ""  # how seconds and bytes were found

    @property
    def kind(self) -> tuple[object, ...]:
        """Files of the same kind take the same time per frame."""
        i, o = self.plan.source, self.plan.output
        return i.width, i.height, i.chroma, i.depth, i.codec, o.width, o.height, i.fps, o.fps, self.plan.words

    @property
    def pixels(self) -> int:
        """Pixels of the output, by which files of different kinds are compared."""
        return self.plan.output.width * self.plan.output.height * (self.plan.output.frames or 1)


@dataclass(frozen=True)
class Failure:
    """A file that cannot be enhanced."""

    source: Path
    problem: str


@dataclass(frozen=True)
class Estimates:
    """Plans and estimates of all files of a run."""

    files: tuple[FileEstimate, ...]
    failed: tuple[Failure, ...]
    unopened: tuple[Path, ...]  # files that there was no time to open, estimated by their size
    skipped: tuple[Path, ...]  # files of folders that are no clips
    seconds: float
    bytes: int
    memory: int | None  # bytes at most; None where the system does not tell
    free: int  # bytes free where the outputs go

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the run, as far as it is known."""
        problems = [file for file in self.files if file.problem]
        return ExitCode.SOME_FAILED if self.failed or problems else ExitCode.DONE

    def to_json(self) -> dict[str, Any]:
        """Return all as JSON values; docs/json.md describes them."""
        data: dict[str, Any] = to_json(self)
        return data


def estimate_all(
    inputs: list[Path],
    output: Path | None,
    options: EnhanceOptions,
    on_folder: OnFolder = ignore,
    more_notes: Callable[[Job, Plan], Iterable[Note]] = lambda *_: (),
) -> Estimates:
    """Plan and estimate a run over ``inputs``, from headers and a few frames; ``on_folder`` is that of `list_jobs`.

    ``more_notes``: of a file and its plan.

    Raises:
        VidsrError: nothing could be started, or the only file would fail.
    """
    listed = distinct_outputs(list_jobs(inputs, output, options, on_folder), options)
    if pipe := next((job.source for job in listed.jobs if is_pipe(job.source)), None):
        raise OptionError(f"{pipe} is a pipe, which can be read only once: name a file to plan with")
    files: list[FileEstimate] = []
    failed = [Failure(path, f"cannot be read ({reason})") for path, reason in listed.unreadable.items()]
    unopened: list[Path] = []
    deadline = perf_counter() + OPENING_SECONDS
    for job in listed.jobs:
        if files and perf_counter() > deadline:
            unopened.append(job.source)
            continue
        try:
            with machine_errors(job.source):
                file = _planned(job, options)
                files.append(replace(file, notes=(*file.notes, *more_notes(job, file.plan))))
        except Exception as error:
            interrupt.check()
            if len(listed.jobs) == 1:
                raise
            failed.append(Failure(job.source, one_line(error)))
    trials = dict(_trials(files, options))
    files = _estimated(files, trials)
    opened, missing = (sum(map(file_bytes, paths)) for paths in ([f.source for f in files], unopened))
    factor = 1 + missing / opened if opened else 1.0
    return Estimates(
        files=tuple(files),
        failed=tuple(failed),
        unopened=tuple(unopened),
        skipped=tuple(listed.skipped),
        seconds=STARTUP + factor * sum(file.seconds for file in files),
        bytes=round(factor * sum(file.bytes for file in files)),
        memory=_memory(list(trials.values())),
        free=_free(files[0].target) if files else 0,
    )


def _planned(job: Job, options: EnhanceOptions) -> FileEstimate:
    """The plan of one file, from its headers and sample frames."""
    notes = Notes()
    plan = plan_file(job, options, notes)
    problem = ""
    try:
        target = output_names(job, plan.options).result
    except VidsrError as error:
        problem, target = str(error), output_path(job, plan.options, check=False)
    copied: list[str] = []
    if not job.is_image:
        copying = (job.source, target, options.reading, slow_motion(options))
        copied = carried_streams(*copying)
        notes.extend(lost_streams(*copying))
    return FileEstimate(job.source, target, plan, tuple(copied), tuple(notes), problem)


def plan_file(job: Job, options: EnhanceOptions, notes: Notes) -> Plan:
    """Return the plan of one file, from its headers and sample frames.

    Raises:
        VidsrError: it cannot be enhanced.
    """
    if job.is_image:
        pixels, alpha = read_still(job.source, options.reading.alpha, options.reading.max_pixels)
        return plan_image(job, options, pixels, alpha, notes)
    with open_reader(job.source, options, notes) as reader:
        return plan_clip(job, options, reader, notes)


def _trials(files: list[FileEstimate], options: EnhanceOptions) -> Iterator[tuple[tuple[object, ...], Trial]]:
    """A trial run of one file of each kind, kinds with most pixels first, as long as there is time."""
    pixels: dict[tuple[object, ...], int] = {}
    for file in files:
        pixels[file.kind] = pixels.get(file.kind, 0) + file.pixels
    deadline = perf_counter() + TRIAL_SECONDS
    kinds = sorted(pixels, key=pixels.__getitem__, reverse=True)
    for number, kind in enumerate(kinds):
        left = deadline - perf_counter()
        if number and left <= 0:
            return
        share = left * pixels[kind] / sum(pixels[other] for other in kinds[number:])
        longest = max((file for file in files if file.kind == kind), key=lambda file: file.plan.source.frames or 1)
        # a trial for a pipe writes a file
        name = "pipe.y4m" if longest.target == PIPE else longest.target.name
        yield kind, trial_run(longest.source, name, longest.plan.source, options, share)


def _estimated(files: list[FileEstimate], trials: dict[tuple[object, ...], Trial]) -> list[FileEstimate]:
    """``files`` with their estimates, from the trial of their kind.

    Without one, by pixels from those that have one.
    """
    timed = {file.source: _from_trial(file, trials[file.kind]) for file in files if file.kind in trials}
    pixels = sum(file.pixels for file in timed.values())
    seconds, size = (sum(getattr(file, name) for file in timed.values()) for name in ("seconds", "bytes"))
    return [
        timed[file.source]
        if file.source in timed
        else replace(
            file,
            seconds=seconds * file.pixels / pixels,
            bytes=size * file.pixels // pixels,
            basis="by its pixels, not run",
        )
        for file in files
    ]


def _from_trial(file: FileEstimate, trial: Trial) -> FileEstimate:
    known = {note.code for note in file.notes}  # a trial run sees other frames, and may measure the same a little apart
    return replace(
        file,
        seconds=trial.seconds(file.plan.source.frames or 1),
        bytes=trial.bytes(file.plan.output.frames or 1, _duration(file.plan.output)),
        basis=f"{trial.frames} frames run",
        notes=(*file.notes, *dict.fromkeys(note for note in trial.notes if note.code not in known)),
    )


def _duration(info: VideoInfo) -> Fraction:
    """Seconds of the planned frames."""
    return Fraction(info.frames or 1) / info.fps if info.fps else Fraction(0)


def _memory(trials: list[Trial]) -> int | None:
    """Bytes that a run needs at most.

    It includes what the trials used, and what they were too short to fill.
    """
    peak = peak_memory()
    return None if peak is None else peak + max((trial.pending for trial in trials), default=0)


def _free(target: Path) -> int:
    """Bytes free in the folder of ``target``."""
    folder = next(folder for folder in target.resolve().parents if folder.exists())
    return shutil.disk_usage(folder).free
