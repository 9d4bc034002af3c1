"""How the memory that a run may take is shared out: `--memory 4G`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vidsr.errors import Notes, OptionError
from vidsr.frames import SUBSAMPLING, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.runtime import processors

BASE = 450 << 20  # PyTorch, FFmpeg, Python and their code: what a run takes that enlarges nothing
QUEUE = 256 << 20  # of planes waiting for the next thread, where nothing else is asked
IN_FLIGHT = 6  # planes of a frame, larger and smaller, on their way at a time: two queues and three threads
# of x264, measured at 7680x4320 in slices: frames held whatever the lookahead, and bytes per pixel of each
HELD, HELD_BYTES = 10, 5.5
AROUND = 4  # frames held besides those that it works on at a time
LOOKAHEAD = {"ultrafast": 0, "superfast": 0, "veryfast": 10, "faster": 20, "fast": 30, "slow": 50, "medium": 40}
LONGEST = 60  # of the slower presets


@dataclass(frozen=True)
class Share:
    """What the parts of a run may hold, bytes; None where only the machine is the limit."""

    network: int | None = None  # one call of a network
    planes: int | None = None  # frames on their way
    encoder: int | None = None

    @property
    def queue(self) -> int:
        """Of one queue."""
        return QUEUE if self.planes is None else min(QUEUE, self.planes // IN_FLIGHT)

    def frames(self, before: VideoInfo, after: VideoInfo) -> int:
        """How many frames may travel as one batch."""
        if self.planes is None:
            return 1 << 30
        return max(1, self.planes // (IN_FLIGHT * (frame_bytes(before) + frame_bytes(after))))


def share(memory: int | None, held: int = 0) -> Share:
    """A quarter to the network, a quarter to the frames on their way, half to the encoder.

    ``held``: bytes that the stages hold throughout, whatever else is asked.

    Raises:
        OptionError: it is less than any run takes.
    """
    if memory is None:
        return Share()
    needed = BASE + held
    rest = memory - needed
    if rest < BASE // 4:
        raise OptionError(
            f"--memory {memory >> 20}M is less than such a run takes: give {(needed + BASE // 4) >> 20}M or more"
        )
    return Share(rest // 4, rest // 4, rest // 2)


def frame_bytes(info: VideoInfo) -> int:
    """Of one frame's planes."""
    sx, sy = SUBSAMPLING[info.chroma]
    chroma = 0 if info.chroma == "gray" else 2 * info.width * info.height // (sx * sy)
    return (info.width * info.height + chroma) * (1 if info.depth == 8 else 2)


def within(encoding: Encoding, info: VideoInfo, limit: int | None, notes: Notes) -> Encoding:
    """``encoding`` that holds no more frames than ``limit`` bytes allow; ``notes`` gets every change.

    It then works on slices of one picture instead of on several pictures, and looks less far ahead.
    """
    if limit is None or encoding.codec not in ("libx264", "libx265") or "rc-lookahead" in dict(encoding.options):
        return encoding
    usual = LOOKAHEAD.get(encoding.arguments["preset"], LONGEST)
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
