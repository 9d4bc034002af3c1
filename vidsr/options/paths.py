"""From what the user names (clips, images, folders) to the list of (source, target) files of a run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from vidsr.errors import InputError, OptionError, OutputError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.image_sequence import ImageSequence, is_sequence
from vidsr.options.parse import decimal

PIPE = Path("-")  # the standard input or output

OutputKind = Literal["clip", "planes", "images"]  # what is written: an encoder's work, y4m or raw, numbered pictures

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
CLIP_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".vob", ".wmv", ".flv"}
    | {".3gp", ".ogv", ".y4m", ".mxf", ".dv", ".asf"}
)
# Containers that are written; what comes in another one goes out as Matroska, which carries everything.
WRITTEN = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm"})
# What a codec can not be put in goes to the container behind it.
CONTAINERS: dict[str, tuple[frozenset[str], str]] = {
    "ffv1": (frozenset({".mkv"}), ".mkv"),
    "prores_ks": (frozenset({".mov", ".mkv"}), ".mov"),
    "libvpx-vp9": (frozenset({".webm", ".mkv", ".mp4", ".m4v"}), ".webm"),
    "libsvtav1": (frozenset({".mp4", ".m4v", ".mkv", ".webm"}), ".mp4"),
}
NOT_IN_WEBM = (frozenset({".mp4", ".m4v", ".mov", ".mkv"}), ".mkv")


@dataclass(frozen=True)
class Job:
    """One file to enhance. ``output`` None: beside the source, named after what was done."""

    source: Path
    output: Path | None
    root: Path | None = None  # the output folder in which a folder's tree is kept
    below: Path = Path()  # the source's place in that tree

    @property
    def output_kind(self) -> OutputKind:
        """What is made of the source, if it is no still picture."""
        if self.output is None:
            return "clip"
        if is_sequence(self.output):
            return "images"
        return "planes" if self.output == PIPE or self.output.suffix.lower() == ".y4m" else "clip"

    @property
    def is_image(self) -> bool:
        """Whether the source is a still picture, by its name."""
        return is_image(self.source)


@dataclass(frozen=True)
class JobList:
    """The files to enhance, in order, and the files of folders that are not clips."""

    jobs: tuple[Job, ...]
    skipped: tuple[Path, ...]


def is_image(path: Path) -> bool:
    """Whether the file is a still picture, by its name; numbered pictures are a clip."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_sequence(path)


def list_jobs(inputs: Iterable[Path], output: Path | None, options: EnhanceOptions) -> JobList:
    """Every file named by ``inputs``; folders are walked recursively, their tree kept below the output folder.

    A single file with ``output`` that is not a folder (nor ends in a slash) is written to exactly that path. Numbered
    pictures (``%05d.png``) are one input or output, and so are the standard input and output, ``-``.

    Raises:
        InputError: an input does not exist, or a folder holds no clip.
        OptionError: several inputs and an output that is one file, or a pipe without an output.
    """
    inputs = list(inputs)
    for path in inputs:
        if is_sequence(path):
            ImageSequence(path).contiguous_numbers()
        elif path != PIPE and not path.exists():
            raise InputError(f"{path} does not exist: check the path")
    one_file = len(inputs) == 1 and not inputs[0].is_dir()
    if one_file and output is not None and (output == PIPE or (not output.is_dir() and output.suffix)):
        return JobList((Job(inputs[0], output),), ())
    if output is not None and (
        output.is_file() or output.suffix.lower() in CLIP_SUFFIXES or is_sequence(output) or output == PIPE
    ):
        raise OptionError(f"--output {output} is one file and there are several inputs: name a folder")
    if PIPE in inputs:
        raise OptionError("- is the standard input, which gives a result no name: name a file with --output, or -")
    jobs: list[Job] = []
    skipped: list[Path] = []
    for path in inputs:
        if not path.is_dir():
            jobs.append(Job(path, None, output))
            continue
        found, others = _walk(path)
        root = output if output is not None else path.with_name(f"{path.resolve().name}.{_folder_tag(options)}")
        jobs += [Job(file, None, root, file.parent.relative_to(path)) for file in found]
        skipped += others
        if not found:
            raise InputError(f"{path} holds no clip and no image: name a folder that does")
    return JobList(tuple(jobs), tuple(skipped))


def partial_path(target: Path) -> Path:
    """Where a result is written until it is whole."""
    return target.with_name(f"{target.stem}.part{target.suffix}")


def frame_log_path(source: Path, target: Path, options: EnhanceOptions) -> Path | None:
    """Where the per-frame log of a run goes; None if none is written, as beside a pipe.

    Raises:
        OutputError: it would replace the source, the result, the reference, or another file without ``overwrite``.
    """
    if options.log is False or (options.log is True and target == PIPE):
        return None
    if options.log is True:
        return target.with_name(f"{target.name}.frames.csv")
    log = options.log
    if log.resolve() in {path.resolve() for path in (source, target, options.reference) if path is not None}:
        raise OutputError(f"--log {log} is a clip of this run, which it would replace: name another, or none")
    if log.exists() and not (log.is_file() and options.overwrite):
        remedy = "name another, or give --overwrite" if log.is_file() else "name a file, or none"
        raise OutputError(f"--log {log} exists: {remedy}")
    return log


def output_path(job: Job, options: EnhanceOptions, fps: Fraction | None) -> Path:
    """Where the result of ``job`` goes, once the output rate is known: ``clip.x4.48fps.mp4``.

    Raises:
        OutputError: the result would replace its own source, or an existing file without ``overwrite``.
    """
    target = job.output
    if target is None:
        # a sequence is called after its folder, and its clip lies beside that
        source = job.source.parent.resolve() if is_sequence(job.source) else job.source
        folder = source.parent if job.root is None else job.root / job.below
        suffix = job.source.suffix if job.is_image else container(job.source, options)
        name = source.name if is_sequence(job.source) else source.stem
        target = folder / f"{name}.{_tag(options, fps)}{suffix}"
    if target == PIPE:
        return target
    if is_sequence(target):
        return _free_sequence(ImageSequence(target), job.source, options)
    if target.exists() and job.source.exists() and target.samefile(job.source):
        raise OutputError(f"{target} is the input itself: choose another --output")
    part = partial_path(target)
    if part.exists() and job.source.exists() and part.samefile(job.source):
        raise OutputError(f"{target} is called {part.name} until it is whole, as the input is: choose another --output")
    if target.is_dir():
        raise OutputError(f"{target} is a folder: name a file, or end the folder with a slash")
    if target.exists() and not options.overwrite:
        raise OutputError(f"{target} exists: choose another --output, or give --overwrite")
    return target


def _free_sequence(target: ImageSequence, source: Path, options: EnhanceOptions) -> Path:
    """The pattern of ``target``, if its pictures may be written."""
    if is_sequence(source) and source.parent.resolve() == target.pattern.parent.resolve():
        mine, theirs = ImageSequence(source), target
        if {theirs.path(n) for n in theirs.numbers} & {mine.path(n) for n in mine.numbers}:
            raise OutputError(f"{target.pattern} is the input itself: choose another --output")
    if target.numbers and not options.overwrite:
        there = f"{len(target.numbers)} pictures such as {target.path(target.numbers[0]).name}"
        raise OutputError(f"{target.pattern}: {there} exist: choose another --output, or give --overwrite")
    return target.pattern


def container(source: Path, options: EnhanceOptions) -> str:
    """The suffix of the same container family as ``source`` that takes the codec asked for."""
    suffix = source.suffix.lower()
    suffix = suffix if suffix in WRITTEN else ".mkv"
    allowed, instead = CONTAINERS.get(options.encoding.codec, NOT_IN_WEBM)
    return suffix if suffix in allowed else instead


def _tag(options: EnhanceOptions, fps: Fraction | None) -> str:
    return _joined(options, "" if options.clock is None or fps is None else f"{decimal(fps)}fps")


def _folder_tag(options: EnhanceOptions) -> str:
    return _joined(options, "" if options.clock is None else str(options.clock).replace(" ", ""))


def _joined(options: EnhanceOptions, rate: str) -> str:
    """What is done, for a file name."""
    slow = "" if options.slow_motion == 1 else f"slow{decimal(options.slow_motion)}x"
    smooth = "smooth" if options.repeats == "interpolate" else ""
    tags = (*(wanted.task for wanted in options.restorations), options.output_size.tag, slow, smooth, rate)
    return ".".join(tag for tag in tags if tag) or "vidsr"


def _walk(folder: Path) -> tuple[list[Path], list[Path]]:
    """(files to enhance, other files) below ``folder``: its clips; or, where it holds none, its images."""
    files = sorted(_files(folder))
    clips = [file for file in files if file.suffix.lower() in CLIP_SUFFIXES]
    chosen = clips or [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    return chosen, [file for file in files if file not in set(chosen)]


def _files(folder: Path) -> Iterator[Path]:
    # os.walk does not follow links to folders, so a loop of links ends
    for parent, _, names in os.walk(folder):
        for name in names:
            if not name.startswith("."):
                yield Path(parent, name)
