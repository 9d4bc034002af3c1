"""Input and output paths: from the clips, images and folders of a command line to the files of a run."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vidsr.errors import InputError, OptionError, OutputError, ignore
from vidsr.options.codecs import AUTO
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.frame_rate import Times
from vidsr.options.image_sequence import ImageSequence, is_sequence
from vidsr.options.input_folder import (
    CLIP_SUFFIXES,
    IMAGE_SUFFIXES,
    OWN_OUTPUT,
    REPORT,
    OnFolder,
    is_animation,
    search,
    side_file,
)
from vidsr.options.parse import decimal
from vidsr.runtime.unfinished import is_unfinished

ADDRESS = re.compile(r"[a-z]{3,}:/", re.IGNORECASE)  # of a network; Path merges the slashes
PIPE = Path("-")  # standard input or output
FRAME_LOG = ".frames.csv"  # added to the name of an output

OutputKind = Literal["clip", "planes", "images"]  # an encoded file; y4m or raw planes; an image sequence

# Containers that are written. A source in another container gives Matroska, which holds every stream.
WRITTEN = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm"})
FRAMES_ONLY = frozenset({".gif", ".apng", ".png", ".webp"})  # sources without other streams, which any container holds
ANIMATED = frozenset({".png", ".webp"})  # images that may be animations
# Containers that accept a codec, and the one to fall back to.
CONTAINERS: dict[str, tuple[frozenset[str], str]] = {
    AUTO: (WRITTEN, ".mkv"),
    "ffv1": (frozenset({".mkv"}), ".mkv"),
    "prores_ks": (frozenset({".mov", ".mkv"}), ".mov"),
    "libvpx-vp9": (frozenset({".webm", ".mkv", ".mp4", ".m4v"}), ".webm"),
    "libsvtav1": (frozenset({".mp4", ".m4v", ".mkv", ".webm"}), ".mp4"),
}
OTHER_CODECS = (frozenset({".mp4", ".m4v", ".mov", ".mkv"}), ".mkv")


@dataclass(frozen=True)
class Job:
    """One file to enhance; without ``output`` it goes next to the source, named after the options."""

    source: Path
    output: Path | None
    root: Path | None = None  # output folder that keeps the tree of an input folder
    below: Path = Path()  # folder of the source in that tree
    stem: str | None = None  # of the output's name, where that of the source would clash with another job
    inputs: tuple[Path, ...] = ()  # all inputs of the run, which no job may replace

    @property
    def output_kind(self) -> OutputKind:
        """The kind of output of a source that is not an image."""
        if self.output is None:
            return "clip"
        if is_sequence(self.output):
            return "images"
        return "planes" if self.output == PIPE or self.output.suffix.lower() == ".y4m" else "clip"

    @property
    def is_image(self) -> bool:
        """Whether the source is an image, judged by its name."""
        return is_image(self.source)


@dataclass(frozen=True)
class JobList:
    """The files to enhance, in order, and the other files of the folders."""

    jobs: tuple[Job, ...]
    skipped: Mapping[Path, str] = field(default_factory=dict)  # file -> why it is not enhanced
    unreadable: Mapping[Path, str] = field(default_factory=dict)  # folder -> why it cannot be read
    finished: tuple[Path, ...] = ()  # sources whose output is complete


def is_image(path: Path) -> bool:
    """Whether the file is an image, judged by its name; image sequences and animations are clips."""
    suffix = path.suffix.lower()
    return suffix in IMAGE_SUFFIXES and not is_sequence(path) and not (suffix in ANIMATED and is_animation(path))


def list_jobs(
    inputs: Iterable[Path], output: Path | None, options: EnhanceOptions, on_folder: OnFolder = ignore
) -> JobList:
    """Return a job for every file of ``inputs``; folders are searched recursively and keep their tree.

    A single file with an ``output`` that is not a folder (and has a suffix) is written to exactly that path. An image
    sequence (``%05d.png``) is one input or output, and so is the standard input or output, ``-``.
    ``on_folder`` receives every folder that is searched.

    Raises:
        InputError: an input does not exist, or a folder contains neither clip nor image.
        OptionError: the output is one file for several inputs, or the standard input has no output.
    """
    inputs = list(inputs)
    check_inputs(inputs)
    if output == PIPE and sys.stdout is None:
        raise OutputError("- is the standard output, which is closed: name a file, or open it")
    one_file = len(inputs) == 1 and not inputs[0].is_dir()
    if one_file and output is not None and (output == PIPE or (not output.is_dir() and output.suffix)):
        return JobList((Job(inputs[0], output),))
    if output is not None and (
        output.is_file() or output.suffix.lower() in CLIP_SUFFIXES or is_sequence(output) or output == PIPE
    ):
        raise OptionError(f"--output {output} is one file for several inputs: name a folder")
    if PIPE in inputs:
        raise OptionError(
            "- (the standard input) gives the output no name: name one with --output, or - for standard output"
        )
    jobs: list[Job] = []
    skipped: dict[Path, str] = {}
    unreadable: dict[Path, str] = {}
    for path in inputs:
        if not path.is_dir():
            jobs.append(Job(path, None, output))
            continue
        found = search(path, output, on_folder)
        root = output if output is not None else _next_to(path, _tag(options))
        jobs += [Job(file, None, root, file.parent.relative_to(path)) for file in found.chosen]
        skipped |= found.skipped
        unreadable |= found.unreadable
        if not found.chosen:
            remedy = "name the files to enhance them again" if OWN_OUTPUT in found.left_out.values() else ""
            remedy = remedy or "name another folder"
            raise InputError(f"{path} contains no clip and no image{_some(found.left_out)}: {remedy}")
    return JobList(tuple(jobs), skipped, unreadable)


def expand_patterns(inputs: Iterable[Path]) -> list[Path]:
    """Return ``inputs`` with patterns such as ``*.mp4``, which a shell leaves as they are in quotes, expanded.

    Raises:
        InputError: no file matches a pattern.
    """
    expanded: list[Path] = []
    for path in inputs:
        if not set(str(path)) & set("*?[") or path.exists() or is_sequence(path):
            expanded.append(path)
            continue
        start = Path(path.anchor)
        found = sorted(start.glob(str(path.relative_to(start))))
        if not found:
            raise InputError(f"no file matches {path}: check the pattern and the folder")
        expanded += found
    return expanded


def check_inputs(inputs: Iterable[Path]) -> None:
    """Refuse inputs that do not exist, and unfinished files.

    Raises:
        InputError: a file, or an image of a sequence, is missing.
    """
    for path in inputs:
        if is_sequence(path):
            ImageSequence(path).contiguous_numbers()
        elif is_unfinished(path):
            raise InputError(f"{path} is the unfinished file of another run: name the clip that the run reads")
        elif ADDRESS.match(str(path)):
            address = str(path).replace(":/", "://", 1)
            raise InputError(f"{address} is an address: download it first, for example with yt-dlp, and name the file")
        elif path != PIPE and not path.exists():
            raise InputError(f"{path} does not exist: check the path")


def _next_to(folder: Path, tag: str) -> Path:
    """Return the default output folder of an input folder; ``.`` and ``..`` have no name of their own."""
    folder = folder.resolve() if folder.name in ("", "..") else folder
    return folder.with_name(f"{folder.resolve().name}.{tag}")


def _some(left_out: Mapping[Path, str]) -> str:
    """Return the first of the files that look like clips and are none, for a message."""
    return next((f" ({path.name} is {reason})" for path, reason in left_out.items()), "")


def frame_log_path(source: Path, target: Path, options: EnhanceOptions) -> Path | None:
    """Return the path of the per-frame log; None without one, as by default for a pipe.

    Raises:
        OutputError: it would replace the source, the output, the reference, or another file without ``overwrite``.
    """
    if options.log is False or (target == PIPE and not isinstance(options.log, Path)):
        return None
    if options.log is None:
        return side_file(target, FRAME_LOG)
    return _asked_file("--log", options.log, FRAME_LOG, source, target, options)


def asked_report_path(source: Path, target: Path, options: EnhanceOptions) -> Path | None:
    """Return the path of the report that ``--report`` asks for; None without one.

    Raises:
        OutputError: see `frame_log_path`.
    """
    if options.report is False or (target == PIPE and not isinstance(options.report, Path)):
        return None
    return _asked_file("--report", options.report, REPORT, source, target, options)


def _asked_file(
    flag: str, asked: Path | Literal[True], suffix: str, source: Path, target: Path, options: EnhanceOptions
) -> Path:
    """Return the file that ``flag`` names: next to ``target`` (True), in a folder, or exactly that one."""
    if asked is True:
        return target.with_name(f"{target.name}{suffix}")
    if asked.is_dir():
        return asked / f"{'stdout' if target == PIPE else target.name}{suffix}"
    if asked.resolve() in {path.resolve() for path in (source, target, options.reference) if path is not None}:
        raise OutputError(f"{flag} {asked} would replace a clip of this run: name another file, or none")
    if asked.exists() and not (asked.is_file() and options.overwrite):
        remedy = "name another file, or give --overwrite" if asked.is_file() else "name a file, or none"
        raise OutputError(f"{flag} {asked} exists: {remedy}")
    return asked


def output_stem(job: Job) -> str:
    """Return the part of the output's name that says what the source is.

    The clip of an image sequence is named after the sequence's folder and lies next to it.
    """
    return job.stem or (job.source.parent.resolve().name if is_sequence(job.source) else job.source.stem)


def output_path(job: Job, options: EnhanceOptions, check: bool = True) -> Path:
    """Return the output path of ``job``, such as ``clip.x4.2x.mp4``.

    With ``check``, it is one that may be written.

    Raises:
        OutputError: the output would replace its own source, or an existing file without ``overwrite``.
    """
    target = job.output
    if target is None:
        source = job.source.parent.resolve() if is_sequence(job.source) else job.source
        folder = source.parent if job.root is None else job.root / job.below
        suffix = job.source.suffix if job.is_image else container(job.source, options)
        target = folder / f"{output_stem(job)}.{_tag(options)}{suffix}"
    if target == PIPE or not check:
        return target
    if is_sequence(target):
        return _free_sequence(ImageSequence(target), job.source, options)
    if target.exists() and job.source.exists() and target.samefile(job.source):
        raise OutputError(f"{target} is the input itself: choose another --output")
    if target.is_dir():
        raise OutputError(f"{target} is a folder: name a file, or end the folder with a slash")
    if target.exists() and not options.overwrite:
        raise OutputError(f"{target} exists: choose another --output, or give --overwrite")
    return target


def _free_sequence(target: ImageSequence, source: Path, options: EnhanceOptions) -> Path:
    """Return the pattern of the sequence ``target``, if its images may be written."""
    if is_sequence(source) and source.parent.resolve() == target.pattern.parent.resolve():
        inputs = ImageSequence(source)
        if {target.path(n) for n in target.numbers} & {inputs.path(n) for n in inputs.numbers}:
            raise OutputError(f"{target.pattern} is the input itself: choose another --output")
    if target.numbers and not options.overwrite:
        there = f"{len(target.numbers)} images, such as {target.path(target.numbers[0]).name}"
        raise OutputError(f"{target.pattern} has {there}: choose another --output, or give --overwrite")
    return target.pattern


def container(source: Path, options: EnhanceOptions) -> str:
    """Return the suffix of the output: that of ``source``, or of a container that accepts the codec."""
    suffix = source.suffix.lower()
    if suffix not in WRITTEN:
        suffix = ".mp4" if suffix in FRAMES_ONLY or is_sequence(source) else ".mkv"
    allowed, fallback = CONTAINERS.get(options.encoding.codec, OTHER_CODECS)
    return suffix if suffix in allowed else fallback


def _tag(options: EnhanceOptions) -> str:
    """Return the part of a file or folder name that tells what was asked for: x4.2x, deblur.1080p.60fps."""
    clock = options.clock
    rate = "" if clock is None else str(clock) if isinstance(clock, Times) else f"{decimal(clock.fps)}fps"
    slow = "" if options.slow_motion == 1 else f"slow{decimal(options.slow_motion)}x"
    smooth = "smooth" if options.repeats == "interpolate" else ""
    tasks = [] if options.clean else [one.task for one in options.restorations]
    tags = (*tasks, options.output_size.tag, slow, smooth, rate)
    return ".".join(tag for tag in tags if tag) or "vidsr"
