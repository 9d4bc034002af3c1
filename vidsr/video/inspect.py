"""Contents of a finished file, for verification, and its packet sizes.

Decodes every frame and takes the time and digest of every other packet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Stream

from vidsr.errors import InputError
from vidsr.frames import VideoInfo
from vidsr.options.source import Reading
from vidsr.video.chapters import Chapter, read_chapters
from vidsr.video.containers import can_carry, container_format, file_tags, is_cover, stream_tags
from vidsr.video.demux import begins_between_keyframes, packets
from vidsr.video.packet_check import set_up_decoder
from vidsr.video.payload import DIGEST_BYTES, payload_digest
from vidsr.video.probe import first_frame, to_file_clock, video_info, video_stream, video_tracks
from vidsr.video.source import is_pipe, open_source, readable
from vidsr.video.stream_copy import is_dropped
from vidsr.video.streams import other_streams, stream_info

MPEG_AUDIO = ("mp1", "mp2", "mp3")  # three layers of one format, which MP4 does not distinguish
ADTS_START, ADTS_MASK = b"\xff\xf0", b"\xff\xf6"


class CopiedPacket(NamedTuple):
    """The properties of a packet that a copy keeps."""

    time: Fraction  # seconds
    duration: Fraction  # seconds; 0 where the container stores none
    digest: bytes


@dataclass
class Track:
    """A stream with its packets; the enhanced video stream has none here."""

    type: str
    codec: str | None
    language: str | None
    title: str | None
    disposition: tuple[str, ...]
    tags: dict[str, str] = field(default_factory=dict)  # other tags, by name in lower case
    packets: list[CopiedPacket] = field(default_factory=list)
    timed: bool = True  # False for covers and attached files, whose packet times have no meaning

    def __str__(self) -> str:
        return " ".join(word for word in (self.type, self.codec, self.language) if word)


@dataclass
class FileContents:
    """The contents of a file that verification compares."""

    path: Path
    info: VideoInfo
    tick: Fraction  # time base of the video stream, seconds
    times: list[Fraction]  # of its frames, seconds
    video: Track  # the video stream
    tracks: list[Track]  # the other streams
    chapters: list[Chapter]
    tags: dict[str, str]  # of the file, by name in lower case
    problems: Counter[str] = field(default_factory=Counter)
    video_track: int = 1  # number of the inspected video stream in a file that holds it and ``tracks``
    end: Fraction | None = None  # of the last frame, seconds; None where the container stores no duration
    repeated_packets: int = 0  # packets of the video stream that equal the one before
    packets: list[bytes] = field(default_factory=list)  # digest of each, without what containers rewrite; not decoded


@dataclass(frozen=True)
class ExpectedContents:
    """The expected contents of a finished file, as its writer states them."""

    path: Path
    info: VideoInfo  # as encoded
    times: tuple[Fraction, ...]  # of every frame, seconds on the file's own clock
    source: Path | None  # the clip whose other streams were copied, from ``start`` to ``end`` of its clock
    start: Fraction | None = None
    end: Fraction | None = None
    reading: Reading = field(default_factory=Reading)  # of the source
    copy_problems: Mapping[str, int] = field(default_factory=dict)  # of the copied streams, by name
    packets: tuple[bytes, ...] = ()  # digest of each video packet, where its frames were decoded and checked before


@dataclass
class PacketSizes:
    """Sizes of the packets of a clip in bytes."""

    keys: list[int] = field(default_factory=list)  # of each keyframe
    others: list[int] = field(default_factory=list)  # of each other frame
    other_streams: int = 0  # all other streams together


def packet_sizes(path: Path) -> PacketSizes:
    """Return the sizes of all packets of the file.

    Raises:
        InputError: the file is not a clip.
    """
    sizes = PacketSizes()
    with readable(path), open_source(path) as container:
        video = video_stream(container, path)
        for packet in packets(container, list(container.streams)):
            if packet.stream is not video:
                sizes.other_streams += packet.size
            elif packet.size:
                (sizes.keys if packet.is_keyframe else sizes.others).append(packet.size)
    return sizes


def inspect_file(
    path: Path, carried_to: Path | None = None, decode: bool = True, reading: Reading | None = None
) -> FileContents:
    """Read the whole file once and return its contents.

    Only the tracks that a copy in the container of ``carried_to``, or of the file itself, can hold.

    Without ``decode``, the frame times are those of the video packets.

    Raises:
        InputError: the file cannot be opened, or none of its frames can be decoded.
    """
    if is_pipe(path):
        raise InputError(f"{path} is a pipe, which can be read only once: name a file")
    with readable(path), open_source(path, reading) as opened:
        video = video_stream(opened, path, reading)
        info = video_info(opened, video, first_frame(opened, video, path))
        container = None if carried_to is None else container_format(carried_to)
        holder = container_format(path) if container is None else container
        kept = [s for s in other_streams(opened, video) if can_carry(s, holder)]
        tracks = {stream.index: _track(stream, container) for stream in kept}
        contents = FileContents(
            path,
            info,
            tick=info.time_base or Fraction(1),
            times=[],
            video=_track(video, container),
            tracks=list(tracks.values()),
            chapters=read_chapters(opened),
            tags=_tags(opened),
            video_track=1 + sum(stream in kept and stream.index < video.index for stream in video_tracks(opened)),
        )
        is_early = begins_between_keyframes(opened, video)
    _read_packets(contents, tracks, decode, container or "", reading)
    contents.times.sort()
    if is_early and contents.times:
        delay = -min(contents.times[0], Fraction(0))
        contents.times = [time + delay for time in contents.times]
        contents.end = None if contents.end is None else contents.end + delay
    return contents


def file_clock(
    path: Path, start: Fraction | None, end: Fraction | None, reading: Reading | None = None
) -> tuple[Fraction | None, Fraction | None]:
    """Convert ``start`` and ``end``, seconds from where playback of ``path`` begins, to the file's own clock."""
    with readable(path), open_source(path, reading) as opened:
        return to_file_clock(opened, start, end)


def _tags(opened: InputContainer) -> dict[str, str]:
    """Return the tags of the file that a copy keeps, without QuickTime's repetitions for one language."""
    tags = file_tags(opened.metadata)
    return {
        key.lower(): value
        for key, value in tags.items()
        if key.partition("-")[0] not in opened.metadata or "-" not in key
    }


def _read_packets(
    contents: FileContents, tracks: dict[int, Track], decode: bool, container: str, reading: Reading | None
) -> None:
    with readable(contents.path), open_source(contents.path, reading) as opened:
        video = video_stream(opened, contents.path, reading)
        set_up_decoder(video.codec_context)
        codec = video.codec_context.codec.canonical_name
        last = b""
        for packet in packets(opened, list(opened.streams)):
            if packet.stream.index in tracks:
                _add(tracks[packet.stream.index], packet, container)
                continue
            if packet.stream is not video:
                continue
            if packet.size:
                contents.repeated_packets += last == (last := _digest(bytes(packet)))
                if packet.pts is not None and packet.duration:
                    end = (packet.pts + packet.duration) * packet.time_base
                    contents.end = end if contents.end is None else max(contents.end, end)
                if not decode:
                    contents.packets.append(payload_digest(bytes(packet), codec, in_container=True))
            if not decode:
                if packet.pts is not None and not packet.is_discard:
                    contents.times.append(packet.pts * packet.time_base)
            else:
                _decode(contents, video.codec_context, packet)


def _decode(contents: FileContents, context: av.VideoCodecContext, packet: Packet[Stream]) -> None:
    try:
        frames = context.decode(packet if packet.size else None)
    except av.FFmpegError:
        contents.problems["undecodable_packets"] += 1
        return
    for frame in frames:
        contents.problems["damaged_frames"] += frame.is_corrupt
        if frame.pts is not None:
            contents.times.append(frame.pts * contents.tick)
        else:
            contents.problems["frames_without_time"] += 1


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
    track.tags = {key.lower(): value for key, value in tags.items()}
    track.timed = stream.type != "attachment" and not is_cover(stream)
    if isinstance(stream, AttachmentStream):
        track.packets.append(CopiedPacket(Fraction(0), Fraction(0), _digest(stream.data)))
    return track


def _add(track: Track, packet: Packet[Stream], container: str) -> None:
    if not packet.size or is_dropped(packet, container):
        return
    stamp = packet.pts if packet.pts is not None else packet.dts
    duration = (packet.duration or 0) * packet.time_base
    track.packets.append(CopiedPacket((stamp or 0) * packet.time_base, duration, _digest(bytes(packet))))


def _digest(data: bytes) -> bytes:
    """Return a short hash without the ADTS header, which AAC has in transport streams only."""
    if len(data) > 7 and bytes(a & b for a, b in zip(data, ADTS_MASK, strict=False)) == ADTS_START:
        data = data[7 if data[1] & 1 else 9 :]
    return blake2b(data, digest_size=DIGEST_BYTES).digest()
