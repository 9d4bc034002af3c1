"""Synthetic clips whose frames show their number as black and white blocks.

The blocks survive coding and scaling.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

os.environ.setdefault("SVT_LOG", "1")  # before SVT-AV1 is first used: keeps it from printing its settings

import av
import numpy as np
import numpy.typing as npt

ROWS, COLUMNS = 4, 4
BITS = ROWS * COLUMNS - 2  # the first block is always black and the last always white, as references
BLACK, WHITE, TEXTURE = 0.18, 0.72, 0.1  # as fractions of the largest code value
AUDIO_RATE = 48_000
CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".ts": "mpegts"}


def numbered_luma(number: int, size: tuple[int, int], depth: int = 8) -> npt.NDArray[Any]:
    """Return luma (H x W code values) that shows ``number`` under a fine ramp.

    The ramp keeps neighbouring samples from being equal.
    """
    width, height = size
    bits = [0, *((number >> i) & 1 for i in range(BITS)), 1]
    blocks = np.where(np.reshape(bits, (ROWS, COLUMNS)), WHITE, BLACK)
    rows, columns = np.arange(height) * ROWS // height, np.arange(width) * COLUMNS // width
    ramp = TEXTURE * (np.arange(width)[None] / width + np.arange(height)[:, None] / height) / 2
    values = (blocks[np.ix_(rows, columns)] + ramp) * ((1 << depth) - 1)
    return np.round(values).astype(np.uint8 if depth == 8 else np.uint16)


def numbered_chroma(number: int, size: tuple[int, int], depth: int = 8) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return both chroma planes: ramps along different axes that move with the number."""
    width, height = size
    shift = 0.02 * (number % 8)
    u = np.broadcast_to(0.3 + shift + 0.25 * np.arange(width) / width, (height, width))
    v = np.broadcast_to(0.4 + shift + 0.25 * np.arange(height)[:, None] / height, (height, width))
    dtype = np.uint8 if depth == 8 else np.uint16
    return tuple(np.round(plane * ((1 << depth) - 1)).astype(dtype) for plane in (u, v))  # type: ignore[return-value]


def read_number(luma: npt.NDArray[Any]) -> int:
    """Return the number that a luma plane of any size or depth shows."""
    height, width = luma.shape
    means = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            top, left = (height * (4 * row + 1)) // (4 * ROWS), (width * (4 * column + 1)) // (4 * COLUMNS)
            bottom, right = -(-height * (4 * row + 3) // (4 * ROWS)), -(-width * (4 * column + 3) // (4 * COLUMNS))
            means.append(luma[top:bottom, left:right].astype(np.float64).mean())
    middle = (means[0] + means[-1]) / 2
    return sum(int(mean > middle) << i for i, mean in enumerate(means[1:-1]))


def make_frame(number: int, size: tuple[int, int], pix_fmt: str = "yuv420p") -> av.VideoFrame:
    """Return a frame that shows ``number``; libswscale converts it to formats other than planar Y'CbCr."""
    planar = pix_fmt if pix_fmt.startswith(("yuv4", "yuvj4", "gray")) and "411" not in pix_fmt else "yuv444p"
    frame = av.VideoFrame(*size, planar)
    depth = frame.format.components[0].bits
    planes = [numbered_luma(number, size, depth)]
    if len(frame.planes) == 3:
        planes += numbered_chroma(number, (frame.planes[1].width, frame.planes[1].height), depth)
    for plane, values in zip(frame.planes, planes, strict=True):
        lines = np.frombuffer(plane, values.dtype).reshape(plane.height, -1)
        lines[:, : plane.width] = values
    return frame if planar == pix_fmt else frame.reformat(format=pix_fmt)


def make_clip(
    path: Path,
    frames: int = 10,
    size: tuple[int, int] = (64, 48),
    fps: Fraction | int = 25,
    pix_fmt: str = "yuv420p",
    codec: str = "libx264",
    times: Sequence[Fraction] | None = None,
    audio: bool | int = False,
    audio_start: Fraction = Fraction(0),
    crf: float | None = None,
    gop: int | None = None,
    options: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    sar: Fraction = Fraction(1),
    rotation: int = 0,
    metadata: dict[str, str] | None = None,
    subtitles: str | None = None,
    chapters: bool = False,
    font: bytes | None = None,
    cover: bool = False,
) -> Path:
    """Write a clip and return its path. Frame i shows the number i.

    ``times`` replaces the constant rate ``fps``. ``audio`` is the number of audio tracks (AAC; Opus in WebM) with a
    tone from ``audio_start`` on. ``tags`` are attributes of the codec context (colorspace, color_range ...).
    ``subtitles`` is the codec of a subtitle track (ass, subrip, mov_text) that shows its own time every half second.
    """
    fps = Fraction(fps)
    if pix_fmt.startswith("yuvj") and codec != "mjpeg":  # other encoders support full range as a tag only
        pix_fmt, tags = pix_fmt.replace("yuvj", "yuv"), {"color_range": 2, **(tags or {})}
    times = [i / fps for i in range(frames)] if times is None else times
    tick = Fraction(1, np.lcm.reduce([1, *(t.denominator for t in times), int(fps.numerator)]))
    free_tags = {"movflags": "use_metadata_tags"} if metadata and not cover and path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", format=CONTAINERS.get(path.suffix), container_options=free_tags) as output:
        output.metadata.update(metadata or {})
        stream = output.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.time_base = stream.codec_context.time_base = tick
        stream.codec_context.sample_aspect_ratio = sar
        stream.codec_context.thread_count = 1
        stream.codec_context.options = _encoder_options(codec, crf, gop) | (options or {})
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        duration = max(times) + 1 / fps
        tones = [_Tone(output, track, audio_start, duration, path.suffix) for track in range(int(audio))]
        subtitle_track = None if subtitles is None else _Subtitles(output, subtitles, duration)
        if chapters:
            output.set_chapters(_chapters(duration))
        if font is not None:
            output.add_attachment("test.ttf", "font/ttf", font)
        cover_stream = _add_cover(output, path.suffix) if cover else None
        packets = [packet for tone in tones for packet in tone.packets]
        packets += [] if subtitle_track is None else subtitle_track.packets
        packets += _encode(stream, times, size, pix_fmt, 1 / fps, tick)
        if cover_stream is not None:
            output.mux(_cover_packet(cover_stream))
        for packet in sorted(packets, key=lambda p: (p.dts if p.dts is not None else p.pts) * p.time_base):
            output.mux(packet)
    return path


def _encode(
    stream: Any, times: Sequence[Fraction], size: tuple[int, int], pix_fmt: str, duration: Fraction, tick: Fraction
) -> list[Any]:
    """Return the packets of numbered frames at ``times``."""
    packets = []
    for number, time in enumerate(times):
        frame = make_frame(number, size, pix_fmt)
        frame.pts, frame.time_base = round(time / tick), tick
        frame.duration = round(duration / tick)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _encoder_options(codec: str, crf: float | None, gop: int | None) -> dict[str, str]:
    options = {"libx264": {"preset": "veryfast", "crf": "18"}, "libx265": {"preset": "ultrafast", "crf": "18"}}
    chosen = dict(options.get(codec, {}))
    if codec == "libx265":
        chosen["x265-params"] = "log-level=none:pools=none:frame-threads=1"
    if crf is not None:
        chosen["crf"] = f"{crf:g}"
    if gop is not None:
        chosen["g"] = str(gop)
    return chosen


class _Tone:
    """An encoded tone on its own track of ``output``.

    Its pitch rises, so that no two packets are equal.
    """

    def __init__(
        self, output: av.container.OutputContainer, track: int, start: Fraction, end: Fraction, suffix: str
    ) -> None:
        stream = output.add_stream("libopus" if suffix == ".webm" else "aac", rate=AUDIO_RATE)
        stream.layout = "stereo"
        stream.metadata["language"] = ("eng", "deu", "fra")[track % 3]
        stream.metadata["title"] = f"Track {track}"
        stream.codec_context.open()
        length = stream.codec_context.frame_size or 1024
        self.packets: list[Any] = []
        for block in range(round((end - start) * AUDIO_RATE) // length):
            seconds = np.arange(block * length, (block + 1) * length) / AUDIO_RATE
            phase = 2 * np.pi * (220 * (track + 1) * seconds + 30 * seconds**2)
            samples = np.tile((0.2 * np.sin(phase)).astype(np.float32), (2, 1))
            packed = stream.codec_context.format.name == "flt"
            values = np.ascontiguousarray(samples.T).reshape(1, -1) if packed else samples
            frame = av.AudioFrame.from_ndarray(values, format="flt" if packed else "fltp", layout="stereo")
            frame.sample_rate = AUDIO_RATE
            frame.pts = round(start * AUDIO_RATE) + block * length
            frame.time_base = Fraction(1, AUDIO_RATE)
            self.packets += stream.encode(frame)
        self.packets += stream.encode(None)


class _Subtitles:
    """A subtitle every half second, shown for 0.4 s."""

    def __init__(self, output: av.container.OutputContainer, codec: str, end: Fraction) -> None:
        stream = output.add_mux_stream(codec)
        stream.time_base = Fraction(1, 1000)
        stream.metadata["language"] = "eng"
        self.packets = []
        for i in range(int(end * 2)):
            text = f"at {500 * i} ms"
            packet = av.Packet(_subtitle(codec, i, text))
            packet.stream = stream
            packet.pts = packet.dts = 500 * i
            packet.duration, packet.time_base = 400, Fraction(1, 1000)
            self.packets.append(packet)


def _subtitle(codec: str, number: int, text: str) -> bytes:
    if codec == "ass":
        return f"{number},0,Default,,0,0,0,,{text}".encode()
    if codec == "mov_text":
        return len(text).to_bytes(2, "big") + text.encode()
    return text.encode()


def _chapters(duration: Fraction) -> list[Any]:
    half = int(duration * 500)
    base = Fraction(1, 1000)
    return [
        {"id": 1, "start": 0, "end": half, "time_base": base, "metadata": {"title": "First"}},
        {"id": 2, "start": half, "end": int(duration * 1000), "time_base": base, "metadata": {"title": "Second"}},
    ]


def _add_cover(output: av.container.OutputContainer, suffix: str) -> Any:
    if suffix == ".mkv":  # an attached file of any image
        context = av.CodecContext.create("mjpeg", "w")
        context.width, context.height, context.pix_fmt, context.time_base = 32, 32, "yuvj420p", Fraction(1)
        output.add_attachment("cover.jpg", "image/jpeg", bytes(context.encode(make_frame(1, (32, 32), "yuvj420p"))[0]))
        return None
    stream = output.add_stream("mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
    stream.disposition = av.stream.Disposition.attached_pic
    return stream


def _cover_packet(stream: Any) -> Any:
    (packet,) = stream.encode(make_frame(1, (32, 32), "yuvj420p")) or stream.encode(None)
    packet.pts = packet.dts = 0
    return packet
