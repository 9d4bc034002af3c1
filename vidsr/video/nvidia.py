"""Decoding and encoding on an NVIDIA GPU (NVDEC, NVENC); where it can not, the CPU does it, and it is said why."""

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

EXACT = ("nv12", "nv16", "p010le", "p210le", "yuv444p")  # as NVDEC gives the code values of 8 and 10 bits
DEEPEST = 12  # bits that FFmpeg's own decoders of the same codecs give; in 16, NVDEC gives others shifted up
TRIED = (640, 480)  # a size that every encoder takes


class Nvdec:
    """The GPU's decoder, if ``wanted`` and there; ``notes`` gets a line where the CPU decodes instead."""

    def __init__(self, wanted: bool, notes: Notes) -> None:
        self._notes = notes
        problem = cuda_problem() if wanted else None
        self._used = wanted and problem is None
        if problem is not None:
            self._tell(problem)

    @property
    def hwaccel(self) -> HWAccel | None:
        """What to open a file with."""
        return asked() if self._used else None

    def gives_codes(self, stream: VideoStream, first: VideoFrame) -> bool:
        """Whether pictures like the ``first`` hold code values; else the file is to be opened anew, without a GPU."""
        name = first.format.name
        if not self._used:
            return True
        if not is_taken(stream) or is_decoded_by_ffmpeg(name):
            self._tell(f"NVDEC does not take {stream.codec_context.name} of {name}")
        elif is_shifted(name):
            self._tell(f"NVDEC does not give the values of {name} as they are")
            self._used = False
        return self._used

    def _tell(self, problem: str) -> None:
        self._notes.info("decoded_on_cpu", f"decoded on the CPU: {problem}")


def is_taken(stream: VideoStream) -> bool:
    """Whether the GPU has a decoder for the stream's codec."""
    return bool(stream.codec_context.is_hwaccel)


def asked() -> HWAccel:
    """NVDEC as FFmpeg is asked for it: frames copied to the CPU, and its own decoder where the GPU has none."""
    return HWAccel("cuda", allow_software_fallback=True)


def cuda_problem() -> str | None:
    """Why nothing can be decoded on a GPU here; None if it can."""
    if "cuda" not in hwdevices_available():
        return "this build of FFmpeg has no CUDA"
    try:
        CodecContext.create("h264", "r", hwaccel=asked())
    except (av.FFmpegError, NotImplementedError) as error:
        return f"no CUDA device ({reason(error)})"
    return None


def usable_encoding(encoding: Encoding, notes: Notes) -> Encoding:
    """``encoding``, or on the CPU in the same format where the GPU's encoder does not start; ``notes`` gets the reason.

    Options in the encoder's own words mean nothing to another one: with them it stays, and will say why it fails.
    """
    instead = encoding.table_entry.fallback
    problem = nvenc_problem(encoding.codec) if instead and not encoding.options else None
    if problem is None:
        return encoding
    preset = "" if encoding.preset is None else f", not in preset {encoding.preset}, which it does not have"
    notes.info("encoded_on_cpu", f"encoded by {instead} on the CPU: {problem}{preset}")
    return replace(encoding, codec=instead, preset=None)


@cache
def nvenc_problem(codec: str) -> str | None:
    """Why the GPU's encoder ``codec`` can not be used here; None if it can."""
    try:
        context = CodecContext.create(codec, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = *TRIED, "yuv420p"
        context.time_base = Fraction(1, 25)
        context.open()
    except UnknownCodecError:
        return f"this build of FFmpeg has no {codec}"
    except (av.FFmpegError, ValueError) as error:
        return f"{codec} does not start ({reason(error)})"
    return None


def is_decoded_by_ffmpeg(pix_fmt: str) -> bool:
    """Whether pictures of that format, asked of NVDEC, come from FFmpeg's own decoder."""
    name = pix_fmt.replace("yuvj", "yuv")
    return name not in EXACT and name in PLANAR and PLANAR[name][1] <= DEEPEST


def is_shifted(pix_fmt: str) -> bool:
    """Whether pictures of that format, asked of NVDEC, hold other numbers than the code values."""
    return pix_fmt not in EXACT and not is_decoded_by_ffmpeg(pix_fmt)
