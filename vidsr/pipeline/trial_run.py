"""What a run costs, learned from a few real frames: the run itself on a part of the clip, its result thrown away."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter

from vidsr.errors import InputError, Note, Notes
from vidsr.frames import VideoInfo
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.image_sequence import file_bytes
from vidsr.options.paths import Job
from vidsr.pipeline.run import enhance_file
from vidsr.video import PacketSizes, inspect_file, packet_sizes

SOONEST = (1, 4)  # frames of the first two runs: the first pays for what is done once, the second warms up
GROWTH = 4  # from one run to the next, as far as the time allows
KEYFRAME_DISTANCE = 250  # of FFmpeg's encoders, unless a scene cut comes first
LOOKAHEAD = 60  # frames that an encoder holds before it writes one


@dataclass(frozen=True)
class Trial:
    """Seconds and bytes of a run, as straight lines over its source frames. Times in seconds, sizes in bytes."""

    frames: int  # source frames of the last run, the one that counts
    setup: float  # what a run costs before its first frame
    per_frame: float  # of each source frame
    checking: float  # of each source frame, in the verification
    made: int  # output frames of the last run
    span: Fraction  # seconds of the clip in the last run
    sizes: PacketSizes | None  # of its result; None if nothing is written
    file: int  # bytes of its result
    pending: int  # bytes of memory that a longer run fills and the last one did not
    notes: tuple[Note, ...]

    def seconds(self, frames: int) -> float:
        """Of a run over that many source frames."""
        return self.setup + (self.per_frame + self.checking) * frames

    def bytes(self, frames: int, duration: Fraction) -> int:
        """Of the result of that many output frames and seconds."""
        if self.sizes is None:  # numbered pictures, a still one, or nothing
            return round(self.file * Fraction(frames, self.made))
        keys, others = self.sizes.keys, self.sizes.others
        key = sum(keys) / max(1, len(keys))
        other = sum(others) / len(others) if others else key
        cuts = 1 + round(
            frames * (len(keys) - 1) / self.made
        )  # a keyframe for each, as often as in the part that was run
        count = max(cuts, -(-frames // KEYFRAME_DISTANCE)) if others else frames
        other_streams: float = self.sizes.other_streams
        overhead = self.file - sum(keys) - sum(others) - other_streams
        if self.span:
            other_streams *= float(duration / self.span)
        return round(overhead + key * count + other * (frames - count) + other_streams)


def trial_run(source: Path, name: str, info: VideoInfo, options: EnhanceOptions, seconds: float) -> Trial:
    """Runs parts of ``source`` that grow until about ``seconds`` are spent, into a folder that is deleted.

    ``name`` is that of the result, ``info`` the facts of the source with the frames that a run will read.

    Raises:
        VidsrError: what the run itself would raise.
    """
    deadline = perf_counter() + seconds
    walls: list[tuple[int, float]] = []  # (frames, seconds) of each run
    with tempfile.TemporaryDirectory() as folder:
        job = Job(source, Path(folder) / name)
        assert job.output is not None
        middle: VideoInfo | None = info
        while frames := _next_length(walls, info.frames or 1, deadline - perf_counter()):
            notes = Notes()
            begun = perf_counter()
            try:
                report = enhance_file(job, _part(options, middle, frames), on_note=notes.add)
            except InputError:
                if middle is None:
                    raise
                middle = None  # headers that promise more than there is
                continue
            walls.append((frames, perf_counter() - begun))
        is_clip = job.output.exists() and not job.is_image
        begun = perf_counter()
        if is_clip and options.verify:
            inspect_file(job.output)
        checking = (perf_counter() - begun) / walls[-1][0]
        setup, per_frame = _line(walls)
        output = report.output
        samples = output.width * output.height * (2 if output.chroma == "420" else 3) * (1 if output.depth == 8 else 2)
        return Trial(
            frames=walls[-1][0],
            setup=setup,
            per_frame=per_frame,
            checking=checking,
            made=report.frames,
            span=Fraction(walls[-1][0]) / (info.fps or 1),
            sizes=packet_sizes(job.output) if is_clip else None,
            file=file_bytes(job.output),
            pending=max(0, LOOKAHEAD - report.frames) * samples if is_clip else 0,
            notes=tuple(notes),
        )


def _next_length(walls: list[tuple[int, float]], most: int, left: float) -> int:
    """Source frames of the next run; 0 when enough is known or no time is left."""
    if not walls:
        return min(SOONEST[0], most)
    done, last = walls[-1]
    if done >= most and len(walls) > 1:
        return 0
    if len(walls) == 1:
        return min(SOONEST[1], most) if last * SOONEST[1] < 2 * left else 0
    _, per_frame = _line(walls)
    if len(walls) == len(SOONEST):
        per_frame /= 2  # half of it, or more, is what every run costs before its first frame
    fitting = int(left / per_frame)
    wanted = min(most, done * GROWTH, fitting)
    return wanted if wanted >= 2 * done or wanted == most else 0


def _line(walls: list[tuple[int, float]]) -> tuple[float, float]:
    """(seconds before the first frame, seconds per frame) through the last two warm runs, and what was cold on top."""
    (_, cold), *warm = walls
    if not warm:
        return 0.0, cold / walls[0][0]
    n, seconds = warm[-1]
    per_frame = seconds / n
    if len(warm) > 1 and n > warm[-2][0]:
        per_frame = min(per_frame, max((seconds - warm[-2][1]) / (n - warm[-2][0]), per_frame / 2))
    begin = seconds - per_frame * n
    return begin + max(0.0, cold - begin - per_frame * walls[0][0]), per_frame


def _part(options: EnhanceOptions, info: VideoInfo | None, frames: int) -> EnhanceOptions:
    """Return ``options`` for ``frames`` frames, from the middle of the clip if ``info`` gives its length.

    The trial is not verified. Its log, if any, lies next to the output.
    """
    start = options.start
    if info is not None and info.fps and info.frames and info.frames > frames:
        start = (start or Fraction(0)) + Fraction((info.frames - frames) // 2) / info.fps
    return replace(
        options, start=start, end=None, frames=frames, log=options.log is not False, verify=False, overwrite=True
    )


def peak_memory() -> int | None:
    """Bytes of memory that this process has used at most; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
