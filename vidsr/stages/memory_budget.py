"""The memory that a run needs, its limit (`--memory 4G`), and the division of the limit among the parts of the run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd

from vidsr.errors import DeviceError, Notes, OptionError
from vidsr.frames import SUBSAMPLING, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.runtime.free_memory import default_limit
from vidsr.runtime.process import processors

BASE = 450 << 20  # PyTorch, FFmpeg, Python and their code, without any frame
QUEUE = 256 << 20  # planes that wait for the next thread, without a limit
IN_FLIGHT = 6  # batches held at a time, before and after upscaling: two queues and three threads
# x264, measured at 7680x4320 in slices: frames held besides the lookahead, and bytes per pixel of each
HELD, HELD_BYTES = 10, 5.5
AROUND = 4  # frames held besides those that are encoded at a time
LOOKAHEAD = {"ultrafast": 0, "superfast": 0, "veryfast": 10, "faster": 20, "fast": 30, "slow": 50, "medium": 40}
LONGEST_LOOKAHEAD = 60  # of the slower presets
DECODED = 8  # frames that a decoder holds, of the source or of packets that are checked
NETWORK_BYTES, NETWORK_PIXELS = 256, 1 << 19  # of a network call: bytes per source pixel, and pixels at least
FLOAT_BYTES = 12  # per output pixel, of the floats of one frame on its way
# Of a still, measured at 12 million pixels: bytes per pixel of the source and of the output on their way, and per
# source pixel of a restoration that works on the whole image
SOURCE_BYTES, OUTPUT_BYTES, RESTORED_BYTES = 130, 40, 180
LUMA_BYTES = 16  # per source pixel, of luma that is restored tile by tile
ENCODED = 2  # bytes of an encoded image while it grows, of each byte of pixels at most
LEAST_ROWS = 128  # source rows of a strip
LEAST_NETWORK = 256 << 20  # bytes of a network call on a still; in smaller tiles it computes little but the halo


@dataclass(frozen=True)
class MemoryBudget:
    """Bytes that the parts of a run may hold; None without a limit."""

    network: int | None = None  # one call of a network
    planes: int | None = None  # frames between decoder and encoder
    encoder: int | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self.planes is not None

    @property
    def queue(self) -> int:
        """Bytes of one queue."""
        return QUEUE if self.planes is None else min(QUEUE, self.planes // IN_FLIGHT)

    def frames(self, before: VideoInfo, after: VideoInfo) -> int:
        """Return how many frames may form one batch."""
        if self.planes is None:
            return 1 << 30
        return max(1, self.planes // (IN_FLIGHT * (frame_bytes(before) + frame_bytes(after))))


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that a run takes, estimated from the sizes of its frames."""

    whole: int  # without a limit
    least: int  # with the smallest batches, tiles, strips and lookahead
    held: int  # throughout the run, whatever the limit


def clip_need(source: VideoInfo, output: VideoInfo, encoding: Encoding, held: int) -> MemoryNeed:
    """Return what a clip needs; ``held``: bytes that its stages hold throughout the run."""
    pixels, output_pixels = source.width * source.height, output.width * output.height
    decoded = DECODED * frame_bytes(source)
    floats = FLOAT_BYTES * output_pixels
    frame = HELD_BYTES * output_pixels if encoding.codec in ("libx264", "libx265") else frame_bytes(output)
    frames = source.frames or LONGEST_LOOKAHEAD  # a short clip does not fill the encoder
    usual = min(frames, HELD + AROUND + LOOKAHEAD.get(encoding.arguments.get("preset", ""), LONGEST_LOOKAHEAD))
    in_flight = min(2 * QUEUE, IN_FLIGHT * (frame_bytes(source) + frame_bytes(output)))
    network = NETWORK_BYTES * max(pixels, NETWORK_PIXELS)
    least = BASE + held + decoded + floats + int(min(frames, HELD + 1) * frame)
    checked = DECODED * frame_bytes(output)  # without a limit, as the encoder works; else after it
    whole = BASE + held + decoded + 2 * floats + network + in_flight + int(usual * frame) + checked
    return MemoryNeed(whole, least, held)


def still_need(source: VideoInfo, output: VideoInfo, restored: bool, tiled: bool) -> MemoryNeed:
    """Return what a still image needs.

    ``restored``: whether its luma is restored; ``tiled``: by networks, which work on tiles.
    """
    pixels, output_pixels = source.width * source.height, output.width * output.height
    restoring = (LUMA_BYTES if tiled else RESTORED_BYTES) * pixels if restored else 0
    files = 2 * _image_bytes(source) + (1 + ENCODED) * _image_bytes(output)
    whole = BASE + SOURCE_BYTES * pixels + OUTPUT_BYTES * output_pixels + (RESTORED_BYTES * pixels if restored else 0)
    if not has_strips(source.height, output.height):
        return MemoryNeed(whole, whole, whole)
    held = files + restoring
    least = BASE + held + LEAST_NETWORK + LEAST_ROWS * row_bytes(source, output)
    return MemoryNeed(whole, min(whole, least), held)


def row_bytes(source: VideoInfo, output: VideoInfo) -> int:
    """Return the bytes that one source row of a still takes on its way, with the output rows that come of it."""
    rows = SOURCE_BYTES * source.width + OUTPUT_BYTES * output.width * Fraction(output.height, source.height)
    return int(rows)


def has_strips(height: int, output_height: int) -> bool:
    """Whether few source rows become a whole number of output rows, so that strips can be resized alone."""
    return row_ratio(height, output_height)[0] <= LEAST_ROWS


def row_ratio(height: int, output_height: int) -> tuple[int, int]:
    """Return the smallest numbers of source rows and output rows of equal height."""
    common = gcd(height, output_height)
    return height // common, output_height // common


def _image_bytes(info: VideoInfo) -> int:
    """Return the bytes of an image's pixels."""
    return info.width * info.height * (1 if info.chroma == "gray" else 3) * (1 if info.depth == 8 else 2)


def limit_memory(memory: int | None, need: MemoryNeed, output: VideoInfo, notes: Notes) -> int | None:
    """Return the limit of a run: ``memory``, else `default_limit` if the run would exceed it; None for no limit.

    Raises:
        OptionError: ``memory`` is below what the run needs.
        DeviceError: that is more than the free memory.
    """
    if memory is not None:
        if need.least > memory:
            raise OptionError(
                f"--memory {memory >> 20}M is too little for this run: give {(need.least >> 20) + 1}M or more"
            )
        return memory
    limit = default_limit()
    if limit is None or need.whole <= limit:
        return None
    if need.least > limit:
        raise DeviceError(
            f"an output of {output.width}x{output.height} needs {(need.least >> 20) + 1}M of memory and {limit >> 20}M "
            f"are free: choose a smaller output, or try --memory {(need.least >> 20) + 1}M"
        )
    notes.info("memory_limited", f"memory limited to {limit >> 20}M, 80 % of what is free (--memory sets another)")
    return limit


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
