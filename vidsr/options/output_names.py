"""Everything that a run will write: results, frame logs and reports, compared with the inputs and with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidsr.errors import OptionError, OutputError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.image_sequence import ImageSequence, is_sequence
from vidsr.options.input_folder import REPORT, side_file
from vidsr.options.paths import PIPE, Job, JobList, asked_report_path, frame_log_path, output_path, output_stem

FileId = tuple[int, int]  # device and inode


@dataclass(frozen=True)
class OutputNames:
    """The files that one job writes."""

    result: Path
    log: Path | None = None
    report: Path | None = None  # the hidden one, which later runs read
    asked_report: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """All of them; of an image sequence its pattern."""
        return [
            path
            for path in (self.result, self.log, self.report, self.asked_report)
            if path is not None and path != PIPE
        ]


def report_path(result: Path) -> Path:
    """Return the path of the report of ``result``, which later runs read."""
    return side_file(result, REPORT)


def output_names(job: Job, options: EnhanceOptions) -> OutputNames:
    """Return the files that ``job`` writes.

    Raises:
        OutputError: one of them would replace an input, the reference, another of them, or an existing file without
            ``overwrite``.
    """
    result = output_path(job, options)
    if job.is_image:
        names = OutputNames(result, None, report_path(result))
    else:
        has_report = result != PIPE and not options.encoding.is_null
        log = frame_log_path(job.source, result, options)
        asked = asked_report_path(job.source, result, options)
        names = OutputNames(result, log, report_path(result) if has_report else None, asked)
    _refuse_equal(names)
    inputs = job.inputs or (job.source,)
    _refuse_inputs(names, _file_ids([*inputs, *(() if options.reference is None else (options.reference,))]))
    return names


def distinct_outputs(listed: JobList, options: EnhanceOptions) -> JobList:
    """Return the jobs with output names that differ: on a clash with the suffix of the source, ``a.avi.x2.mkv``.

    Raises:
        OptionError: two jobs would write the same file.
        OutputError: with ``overwrite``, a job would replace an input of another job.
    """
    sources = tuple(job.source for job in listed.jobs)
    jobs = [replace(job, inputs=sources) for job in listed.jobs]
    clashes = Counter(map(_place, _names(jobs, options)))
    jobs = [
        replace(job, stem=job.source.name) if clashes[_place(name)] > 1 and output_stem(job) == job.source.stem else job
        for job, name in zip(jobs, _names(jobs, options), strict=True)
    ]
    first: dict[Path, Path] = {}
    for job, name in zip(jobs, _names(jobs, options), strict=True):
        other = first.setdefault(_place(name), job.source)
        if other is not job.source:
            raise OptionError(
                f"{other} and {job.source} would both be written to {name}: enhance them in two runs, into two folders"
            )
    if options.overwrite:  # otherwise such a job alone is refused, because its output exists
        _refuse_inputs_of_others(jobs, options)
    return replace(listed, jobs=tuple(jobs))


def _names(jobs: Sequence[Job], options: EnhanceOptions) -> Iterator[Path]:
    """Yield the result of each job."""
    replacing = replace(options, overwrite=True)
    for job in jobs:
        yield output_path(job, replacing, check=False)


def _place(path: Path) -> Path:
    return path if path == PIPE else path.parent.resolve() / path.name


def _refuse_inputs_of_others(jobs: Sequence[Job], options: EnhanceOptions) -> None:
    inputs = _file_ids([job.source for job in jobs])
    for name in _names(jobs, options):
        if name != PIPE:
            _refuse_inputs(OutputNames(name, None, report_path(name)), inputs)


def _refuse_equal(names: OutputNames) -> None:
    places = [_place(path) for path in names.paths]
    for path, place in zip(names.paths, places, strict=True):
        if places.count(place) > 1:
            raise OutputError(
                f"{path} would be written twice in one run: name other files with --log and --report, or none"
            )


def refuse_inputs(paths: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse to write to ``paths`` if one of them is one of the ``inputs``, by whatever name or link.

    Raises:
        OutputError: it is.
    """
    ids = _file_ids(inputs)
    for path in paths:
        if not _file_ids([path]).isdisjoint(ids):
            raise OutputError(f"{path} is an input of this run: choose another --output")


def _refuse_inputs(names: OutputNames, inputs: set[FileId]) -> None:
    for path in names.paths:
        if not _file_ids([path]).isdisjoint(inputs):
            raise OutputError(f"{path} is an input of this run: choose another --output")


def _file_ids(paths: Iterable[Path]) -> set[FileId]:
    """Return the identities of the files that exist, links followed."""
    found = set()
    for path in paths:
        sequence = ImageSequence(path) if path != PIPE and is_sequence(path) else None
        for file in [path] if sequence is None else map(sequence.path, sequence.numbers):
            try:
                status = file.stat()
            except OSError:  # not there
                continue
            found.add((status.st_dev, status.st_ino))
    return found
