"""Trial runs: the run itself on parts of a clip, whose time and size predict those of the whole."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter

from vidsr.errors import InputError, Note, Notes
from vidsr.frames import VideoInfo
from vidsr.kernels.jit import compile_time
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.image_sequence import file_bytes
from vidsr.options.paths import Job
from vidsr.pipeline.run import enhance_file
from vidsr.video import PacketSizes, inspect_file, packet_sizes

FIRST_LENGTHS = (1, 4)  # frames of the first two runs: the first includes one-time costs, the second warms up
GROWTH = 4  # of the length from one run to the next, as far as time allows
KEYFRAME_DISTANCE = 250  # frames, of FFmpeg's encoders, unless a scene cut comes first
LOOKAHEAD = 60  # frames that an encoder holds before it writes the first


@dataclass(frozen=True)
class Trial:
    """Time (seconds) and size (bytes) of a run, as linear functions of its source frames."""

    frames: int  # source frames of the last run, which the other fields describe
    setup: float  # seconds before the first frame
    per_frame: float  # seconds per source frame
    checking: float  # seconds per source frame, of the verification
    made: int  # output frames
    span: Fraction  # seconds of the clip
    sizes: PacketSizes | None  # of the output; None for images, or if nothing is written
    file: int  # bytes of the output
    pending: int  # bytes of memory that only a longer run fills
    notes: tuple[Note, ...]

    def seconds(self, frames: int) -> float:
        """Return the seconds of a run over ``frames`` source frames."""
        return self.setup + (self.per_frame + self.checking) * frames

    def bytes(self, frames: int, duration: Fraction) -> int:
        """Return the bytes of an output of ``frames`` frames and ``duration`` seconds."""
        if self.sizes is None:  # images, or nothing
            return round(self.file * Fraction(frames, self.made))
        keys, others = self.sizes.keys, self.sizes.others
        key = sum(keys) / max(1, len(keys))
        other = sum(others) / len(others) if others else key
        # as many scene cuts per frame as in the trial, each with a keyframe
        cuts = 1 + round(frames * (len(keys) - 1) / self.made)
        count = max(cuts, -(-frames // KEYFRAME_DISTANCE)) if others else frames
        other_streams: float = self.sizes.other_streams
        overhead = self.file - sum(keys) - sum(others) - other_streams
        if self.span:
            other_streams *= float(duration / self.span)
        return round(overhead + key * count + other * (frames - count) + other_streams)


def trial_run(source: Path, name: str, info: VideoInfo, options: EnhanceOptions, seconds: float) -> Trial:
    """Run growing parts of ``source`` for about ``seconds``, into a temporary folder.

    ``name`` is the file name of the output. ``info``: of the source, with the number of frames that a run reads.

    Raises:
        VidsrError: as the run itself.
    """
    deadline = perf_counter() + seconds
    runs: list[tuple[int, float]] = []  # (frames, seconds) of each run
    compiling = 0.0  # seconds that the run spends again
    with tempfile.TemporaryDirectory() as folder:
        job = Job(source, Path(folder) / name)
        assert job.output is not None
        middle: VideoInfo | None = info
        while frames := _next_length(runs, info.frames or 1, deadline - perf_counter()):
            notes = Notes()
            begun = perf_counter()
            try:
                with compile_time() as compiled:
                    report = enhance_file(job, _part(options, middle, frames), on_note=notes.add)
            except InputError:
                if middle is None:
                    raise
                middle = None  # the clip is shorter than its headers say
                continue
            # on a fresh installation, the kernels are compiled now and the run loads them
            runs.append((frames, perf_counter() - begun - compiled.seconds))
            deadline += compiled.seconds
            compiling += compiled.of_every_process
        is_clip = job.output.exists() and not job.is_image
        begun = perf_counter()
        if is_clip and options.verify:
            inspect_file(job.output)
        checking = (perf_counter() - begun) / runs[-1][0]
        setup, per_frame = _line(runs)
        output = report.output
        samples = output.width * output.height * (2 if output.chroma == "420" else 3) * (1 if output.depth == 8 else 2)
        return Trial(
            frames=runs[-1][0],
            setup=compiling + setup,
            per_frame=per_frame,
            checking=checking,
            made=report.frames,
            span=Fraction(runs[-1][0]) / (info.fps or 1),
            sizes=packet_sizes(job.output) if is_clip else None,
            file=file_bytes(job.output),
            pending=max(0, LOOKAHEAD - report.frames) * samples if is_clip else 0,
            notes=tuple(notes),
        )


def _next_length(runs: list[tuple[int, float]], most: int, left: float) -> int:
    """Return the source frames of the next run.

    It is 0 when the estimate is good enough or no time is left.
    """
    if not runs:
        return min(FIRST_LENGTHS[0], most)
    done, last = runs[-1]
    if done >= most and len(runs) > 1:
        return 0
    if len(runs) == 1:
        return min(FIRST_LENGTHS[1], most) if last * FIRST_LENGTHS[1] < 2 * left else 0
    _, per_frame = _line(runs)
    if len(runs) == len(FIRST_LENGTHS):
        per_frame /= 2  # at least half of it is the setup
    fitting = int(left / per_frame)
    wanted = min(most, done * GROWTH, fitting)
    return wanted if wanted >= 2 * done or wanted == most else 0


def _line(runs: list[tuple[int, float]]) -> tuple[float, float]:
    """Return seconds before the first frame and per frame, from the last two warm runs; one-time costs are setup."""
    (_, cold), *warm = runs
    if not warm:
        return 0.0, cold / runs[0][0]
    n, seconds = warm[-1]
    per_frame = seconds / n
    if len(warm) > 1 and n > warm[-2][0]:
        per_frame = min(per_frame, max((seconds - warm[-2][1]) / (n - warm[-2][0]), per_frame / 2))
    begin = seconds - per_frame * n
    return begin + max(0.0, cold - begin - per_frame * runs[0][0]), per_frame


def _part(options: EnhanceOptions, info: VideoInfo | None, frames: int) -> EnhanceOptions:
    """Return ``options`` for ``frames`` frames, from the middle of the clip if ``info`` gives its length.

    The trial is not verified.
    """
    start = options.start
    if info is not None and info.fps and info.frames and info.frames > frames:
        start = (start or Fraction(0)) + Fraction((info.frames - frames) // 2) / info.fps
    log = False if options.log is False else None
    return replace(options, start=start, end=None, frames=frames, log=log, report=False, verify=False, overwrite=True)


def peak_memory() -> int | None:
    """Return the peak memory of this process in bytes.

    None where the system does not tell.
    """
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
