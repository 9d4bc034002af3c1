"""The streams of a file, with their properties."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import AttachmentStream, DataStream, Discard, Disposition, Stream
from av.video.stream import VideoStream

from vidsr.video.probe import frame_rate, sample_aspect_ratio
from vidsr.video.source import open_source, readable


@dataclass(frozen=True)
class StreamInfo:
    """Properties of one stream; None where the file has no value."""

    index: int
    type: str  # video, audio, subtitle, data, attachment
    codec: str | None
    profile: str | None = None
    language: str | None = None
    title: str | None = None
    disposition: tuple[str, ...] = ()
    start: float | None = None  # seconds
    duration: float | None = None  # seconds
    bit_rate: int | None = None
    size: str | None = None  # width x height
    pix_fmt: str | None = None
    fps: str | None = None  # exact, as a fraction
    sar: str | None = None
    sample_rate: int | None = None
    channels: str | None = None
    metadata: dict[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the known properties as a dictionary for JSON."""
        return {key: value for key, value in asdict(self).items() if value not in (None, (), {})}

    def __str__(self) -> str:
        """Return one line for people."""
        parts = [self.codec, self.profile, self.size, self.pix_fmt]
        parts += [f"{float(Fraction(self.fps)):.5g} fps"] if self.fps else []
        parts += [f"{self.sample_rate} Hz"] if self.sample_rate else []
        parts += [self.channels, self.language, self.title]
        parts += [f"{self.bit_rate / 1000:.0f} kb/s"] if self.bit_rate else []
        parts += [", ".join(self.disposition)]
        return f"#{self.index} {self.type}: {', '.join(str(part) for part in parts if part)}"


def streams(path: Path) -> list[StreamInfo]:
    """Return all streams of the file, in file order.

    Raises:
        InputError: the file cannot be opened.
    """
    with readable(path), open_source(path) as container:
        return [stream_info(stream) for stream in container.streams]


def other_streams(container: InputContainer, video: VideoStream) -> list[Stream]:
    """Return all streams except ``video``.

    Tracks that MP4 makes of tags are left out too: chapter titles and the time code.
    """
    return [
        stream
        for stream in container.streams
        if stream is not video
        and not (stream.type == "data" and (stream.discard is Discard.all or "timecode" in stream.metadata))
    ]


def stream_info(stream: Stream) -> StreamInfo:
    """Return the properties of ``stream``."""
    context = stream.codec_context
    base = stream.time_base
    common: dict[str, Any] = {
        "index": stream.index,
        "type": stream.type,
        "codec": _codec_name(stream),
        "language": stream.language,
        "title": next((stream.metadata[key] for key in ("title", "name", "filename") if key in stream.metadata), None),
        "disposition": tuple(_dispositions(stream)),
        "start": float(stream.start_time * base) if base and stream.start_time is not None else None,
        "duration": float(stream.duration * base) if base and stream.duration is not None else None,
        "metadata": dict(stream.metadata),
    }
    if context is None:
        return StreamInfo(**common)
    common |= {"profile": context.profile}
    if stream.type in ("audio", "video"):
        common |= {"bit_rate": context.bit_rate or None}
    if isinstance(stream, VideoStream):
        common |= {
            "size": f"{stream.width}x{stream.height}",
            "pix_fmt": stream.pix_fmt,
            "fps": str(frame_rate(stream)),
            "sar": str(sample_aspect_ratio(stream)),
        }
    if isinstance(stream, AudioStream):
        common |= {"sample_rate": stream.codec_context.sample_rate, "channels": stream.codec_context.layout.name}
    return StreamInfo(**common)


def _codec_name(stream: Stream) -> str | None:
    if stream.codec_context is not None:
        return stream.codec_context.codec.canonical_name
    if isinstance(stream, AttachmentStream):
        return stream.mimetype
    return stream.name if isinstance(stream, DataStream) else None


def _dispositions(stream: Stream) -> Iterator[str]:
    return (flag.name for flag in Disposition if flag & stream.disposition and flag.name)
