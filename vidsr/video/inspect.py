"""What a finished file really holds: every frame decoded, every other packet's time and content."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path

import av
from av.packet import Packet
from av.stream import AttachmentStream, Stream
from av.video.stream import VideoStream

from vidsr.errors import InputError
from vidsr.frames import VideoInfo
from vidsr.options.source import Reading
from vidsr.runtime import processors
from vidsr.video.containers import can_carry, container_format, is_cover
from vidsr.video.demux import packets
from vidsr.video.probe import MICROSECONDS, first_frame, picture_stream, video_info
from vidsr.video.source import is_pipe, open_source
from vidsr.video.stream_copy import is_left_out, others
from vidsr.video.streams import stream_info
from vidsr.video.tags import file_tags, stream_tags

LARGE = 1920 * 1088  # samples of a picture; of larger ones fewer are held
MOST_THREADS = 16  # as FFmpeg has it
DIGEST = 8  # bytes; equal packets are counted in order, so that chance has little to do
MPEG_AUDIO = ("mp1", "mp2", "mp3")  # one format in three layers, which MP4 does not tell apart
ADTS_START, ADTS_MASK = b"\xff\xf0", b"\xff\xf6"


@dataclass
class Track:
    """One stream beside the picture: what it is, and its packets as (time in seconds, digest)."""

    type: str
    codec: str | None
    language: str | None
    title: str | None
    disposition: tuple[str, ...]
    packets: list[tuple[Fraction, bytes]] = field(default_factory=list)
    timed: bool = True  # False for covers and attached files, whose packets mean nothing in time

    def __str__(self) -> str:
        return " ".join(word for word in (self.type, self.codec, self.language) if word)


@dataclass
class Facts:
    """All of a file that a run must get right."""

    path: Path
    info: VideoInfo
    tick: Fraction  # of the picture's stamps
    times: list[Fraction]  # of its frames, in seconds
    tracks: list[Track]
    chapters: list[tuple[Fraction, Fraction, str]]  # start, end, title
    tags: dict[str, str]
    problems: Counter[str] = field(default_factory=Counter)


def read_facts(
    path: Path, carried_to: Path | None = None, decode: bool = True, reading: Reading | None = None
) -> Facts:
    """Reads the whole file once. With ``carried_to``, only tracks that a file of that suffix can hold.

    Without ``decode`` the times are those that the container says of the picture's packets.

    Raises:
        InputError: the file cannot be opened, or no frame of it decodes.
    """
    if is_pipe(path):
        raise InputError(f"{path} is a pipe, which can be read only once: name a file")
    with open_source(path, reading) as opened:
        picture = picture_stream(opened, path)
        info = video_info(opened, picture, first_frame(opened, picture, path))
        container = None if carried_to is None else container_format(carried_to)
        kept = [s for s in others(opened, picture) if container is None or can_carry(s, container)]
        tracks = {stream.index: _track(stream, container) for stream in kept}
        chapters = [
            (c["start"] * base, c["end"] * base, c["metadata"].get("title", ""))
            for c in opened.chapters()
            for base in [c["time_base"] or Fraction(1, MICROSECONDS)]
        ]
        tags = file_tags(opened.metadata)
    facts = Facts(path, info, info.time_base or Fraction(1), [], list(tracks.values()), chapters, tags)
    _read_packets(facts, tracks, decode, container or "", reading)
    facts.times.sort()
    return facts


def _read_packets(
    facts: Facts, tracks: dict[int, Track], decode: bool, container: str, reading: Reading | None
) -> None:
    with open_source(facts.path, reading) as opened:
        picture = picture_stream(opened, facts.path)
        picture.codec_context.thread_type = "AUTO"
        picture.codec_context.thread_count = _threads(picture)
        # nobody sees these pictures, and smoothing their blocks cannot fail: a tenth of the decoding
        picture.codec_context.options = {"skip_loop_filter": "all"}
        for packet in packets(opened, list(opened.streams)):
            if packet.stream.index in tracks:
                _add(tracks[packet.stream.index], packet, container)
            elif packet.stream is not picture:
                continue
            elif not decode:
                if packet.pts is not None and not packet.is_discard:
                    facts.times.append(packet.pts * packet.time_base)
            else:
                _decode(facts, picture.codec_context, packet)


def _threads(picture: VideoStream) -> int:
    """Pictures to decode side by side; 0 leaves it to the decoder, as for pictures so large that memory counts.

    Its threads wait for rows of the pictures before: with its own choice, one more than there are processors, a third
    of two processors stays idle.
    """
    return min(5 * processors() // 2, MOST_THREADS) if picture.width * picture.height <= LARGE else 0


def _decode(facts: Facts, context: av.VideoCodecContext, packet: Packet[Stream]) -> None:
    try:
        frames = context.decode(packet if packet.size else None)
    except av.FFmpegError:
        facts.problems["packets that do not decode"] += 1
        return
    for frame in frames:
        facts.problems["damaged frames"] += frame.is_corrupt
        if frame.pts is not None:
            facts.times.append(frame.pts * facts.tick)
        else:
            facts.problems["frames without a time"] += 1


def _track(stream: Stream, container: str | None) -> Track:
    info = stream_info(stream)
    tags = stream_tags(container or "", stream.metadata)
    language = tags.get("language")
    track = Track(
        info.type,
        "mpeg audio" if info.codec in MPEG_AUDIO else info.codec,
        None if language == "und" else language,
        info.title,
        info.disposition,
    )
    track.timed = stream.type != "attachment" and not is_cover(stream)
    if isinstance(stream, AttachmentStream):
        track.packets.append((Fraction(0), _digest(stream.data)))
    return track


def _add(track: Track, packet: Packet[Stream], container: str) -> None:
    if not packet.size or is_left_out(packet, container):
        return
    stamp = packet.pts if packet.pts is not None else packet.dts
    track.packets.append(((stamp or 0) * packet.time_base, _digest(bytes(packet))))


def _digest(data: bytes) -> bytes:
    """A short hash; the header that AAC has in transport streams only is left out."""
    if len(data) > 7 and bytes(a & b for a, b in zip(data, ADTS_MASK, strict=False)) == ADTS_START:
        data = data[7 if data[1] & 1 else 9 :]
    return blake2b(data, digest_size=DIGEST).digest()
