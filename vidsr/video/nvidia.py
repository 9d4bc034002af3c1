"""Decode and encode on an NVIDIA GPU (NVDEC, NVENC).

Without a suitable GPU, the CPU does it, with a note.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache

import av
from av.codec import CodecContext
from av.codec.codec import UnknownCodecError
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.errors import Notes
from vidsr.options.codecs import Encoding
from vidsr.video.formats import PLANAR
from vidsr.video.source import reason

EXACT = ("nv12", "nv16", "p010le", "p210le", "yuv444p")  # NVDEC formats with exact code values of 8 and 10 bits
DEEPEST = 12  # bits that FFmpeg's own decoders output; NVDEC shifts other depths up to 16
TEST_SIZE = (640, 480)  # supported by every encoder


class Nvdec:
    """The GPU decoder, if ``wanted`` and available; ``notes`` gets the reason when the CPU decodes instead."""

    def __init__(self, wanted: bool, notes: Notes) -> None:
        self._notes = notes
        problem = cuda_problem() if wanted else None
        self._used = wanted and problem is None
        if problem is not None:
            self._note(problem)

    @property
    def hwaccel(self) -> HWAccel | None:
        """The accelerator to open a file with; None for the CPU."""
        return cuda_hwaccel() if self._used else None

    def is_exact(self, stream: VideoStream, first: VideoFrame) -> bool:
        """Whether frames like ``first`` hold exact code values.

        If not, the GPU is switched off: open the file again.
        """
        name = first.format.name
        if not self._used:
            return True
        if not is_supported(stream) or is_decoded_by_ffmpeg(name):
            self._note(f"NVDEC does not support {stream.codec_context.name} in {name}")
        elif is_shifted(name):
            self._note(f"NVDEC does not output exact code values of {name}")
            self._used = False
        return self._used

    def _note(self, problem: str) -> None:
        self._notes.info("decoded_on_cpu", f"decoded on the CPU: {problem}")


def is_supported(stream: VideoStream) -> bool:
    """Whether the GPU has a decoder for the stream's codec."""
    return bool(stream.codec_context.is_hwaccel)


def cuda_hwaccel() -> HWAccel:
    """Return NVDEC with frames copied to the CPU.

    FFmpeg's own decoder is used for codecs that the GPU lacks.
    """
    return HWAccel("cuda", allow_software_fallback=True)


def cuda_problem() -> str | None:
    """Return why this machine cannot decode on a GPU; None if it can."""
    if "cuda" not in hwdevices_available():
        return "this build of FFmpeg has no CUDA"
    try:
        CodecContext.create("h264", "r", hwaccel=cuda_hwaccel())
    except (av.FFmpegError, NotImplementedError) as error:
        return f"no CUDA device ({reason(error)})"
    return None


def usable_encoding(encoding: Encoding, notes: Notes) -> Encoding:
    """Return ``encoding``, or a CPU encoder if the GPU encoder does not start.

    The CPU encoder writes the same format; ``notes`` gets the reason.

    An ``encoding`` with encoder-specific options is returned unchanged, because another encoder does not know them.
    """
    fallback = encoding.table_entry.fallback
    problem = nvenc_problem(encoding.codec) if fallback and not encoding.options else None
    if problem is None:
        return encoding
    preset = "" if encoding.preset is None else f"; preset {encoding.preset} is ignored"
    notes.info("encoded_on_cpu", f"encoded by {fallback} on the CPU: {problem}{preset}")
    return replace(encoding, codec=fallback, preset=None)


@cache
def nvenc_problem(codec: str) -> str | None:
    """Return why the GPU encoder ``codec`` does not start on this machine; None if it does."""
    try:
        context = CodecContext.create(codec, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = *TEST_SIZE, "yuv420p"
        context.time_base = Fraction(1, 25)
        context.open()
    except UnknownCodecError:
        return f"this build of FFmpeg has no {codec}"
    except (av.FFmpegError, ValueError) as error:
        return f"{codec} does not start ({reason(error)})"
    return None


def is_decoded_by_ffmpeg(pix_fmt: str) -> bool:
    """Whether frames of that format come from FFmpeg's own decoder although NVDEC was requested."""
    name = pix_fmt.replace("yuvj", "yuv")
    return name not in EXACT and name in PLANAR and PLANAR[name][1] <= DEEPEST


def is_shifted(pix_fmt: str) -> bool:
    """Whether NVDEC frames of that format hold shifted code values."""
    return pix_fmt not in EXACT and not is_decoded_by_ffmpeg(pix_fmt)
