"""The memory limit of a run (`--memory 4G`), divided among its parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vidsr.errors import Notes, OptionError
from vidsr.frames import SUBSAMPLING, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.runtime.process import processors

BASE = 450 << 20  # PyTorch, FFmpeg, Python and their code, without any frame
QUEUE = 256 << 20  # planes that wait for the next thread, without a limit
IN_FLIGHT = 6  # batches held at a time, before and after upscaling: two queues and three threads
# x264, measured at 7680x4320 in slices: frames held besides the lookahead, and bytes per pixel of each
HELD, HELD_BYTES = 10, 5.5
AROUND = 4  # frames held besides those that are encoded at a time
LOOKAHEAD = {"ultrafast": 0, "superfast": 0, "veryfast": 10, "faster": 20, "fast": 30, "slow": 50, "medium": 40}
LONGEST_LOOKAHEAD = 60  # of the slower presets


@dataclass(frozen=True)
class MemoryBudget:
    """Bytes that the parts of a run may hold; None without a limit."""

    network: int | None = None  # one call of a network
    planes: int | None = None  # frames between decoder and encoder
    encoder: int | None = None

    @property
    def queue(self) -> int:
        """Bytes of one queue."""
        return QUEUE if self.planes is None else min(QUEUE, self.planes // IN_FLIGHT)

    def frames(self, before: VideoInfo, after: VideoInfo) -> int:
        """Return how many frames may form one batch."""
        if self.planes is None:
            return 1 << 30
        return max(1, self.planes // (IN_FLIGHT * (frame_bytes(before) + frame_bytes(after))))


def divide_memory(memory: int | None, held: int = 0) -> MemoryBudget:
    """Return a quarter for the network, a quarter for frames, and half for the encoder.

    ``held``: bytes that the stages hold throughout the run.

    Raises:
        OptionError: the limit is below what any run needs.
    """
    if memory is None:
        return MemoryBudget()
    needed = BASE + held
    rest = memory - needed
    if rest < BASE // 4:
        raise OptionError(
            f"--memory {memory >> 20}M is too little for this run: give {(needed + BASE // 4) >> 20}M or more"
        )
    return MemoryBudget(rest // 4, rest // 4, rest // 2)


def frame_bytes(info: VideoInfo) -> int:
    """Return the bytes of one frame's planes."""
    sx, sy = SUBSAMPLING[info.chroma]
    chroma = 0 if info.chroma == "gray" else 2 * info.width * info.height // (sx * sy)
    return (info.width * info.height + chroma) * (1 if info.depth == 8 else 2)


def limit_encoder(encoding: Encoding, info: VideoInfo, limit: int | None, notes: Notes) -> Encoding:
    """Return ``encoding`` changed to hold no more frames than ``limit`` bytes allow; ``notes`` receives every change.

    The encoder then works on slices of one frame instead of several frames, and has a shorter lookahead.
    """
    if limit is None or encoding.codec not in ("libx264", "libx265") or "rc-lookahead" in dict(encoding.options):
        return encoding
    usual = LOOKAHEAD.get(encoding.arguments["preset"], LONGEST_LOOKAHEAD)
    held = int(limit / (HELD_BYTES * info.width * info.height))
    at_a_time = encoding.frame_threads(info.height, processors()) or 3 * processors() // 2
    if held >= HELD + AROUND + at_a_time + usual:
        return encoding
    encoding, fits = replace(encoding, slices=True), max(1, held - HELD)
    if fits >= usual:
        notes.info("encoder_memory_limited", f"{encoding.codec} works on slices of a frame, to stay within --memory")
        return encoding
    text = f"{encoding.codec} looks {fits} frames ahead instead of {usual}, to stay within --memory"
    notes.info("encoder_memory_limited", text)
    return replace(encoding, options=(*encoding.options, ("rc-lookahead", str(fits))))
