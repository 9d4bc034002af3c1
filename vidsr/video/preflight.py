"""The streams that the output will carry, and notes on what it cannot carry."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.stream import Stream
from av.video.frame import VideoFrame

from vidsr.errors import Note
from vidsr.options.source import Reading
from vidsr.video.chapters import read_chapters, without_gaps
from vidsr.video.containers import (
    CONTAINERS,
    FRAMES_ONLY,
    MP4_LIKE,
    Y4M,
    can_carry,
    container_format,
    file_tags,
    free_tags,
    has_cover,
    is_timeless,
    lost_tags,
)
from vidsr.video.probe import first_frame, video_stream
from vidsr.video.sidedata import side_data
from vidsr.video.slow_audio import SlowMotion
from vidsr.video.source import has_copyable_streams, open_source, readable
from vidsr.video.streams import other_streams, stream_info

LOST_SIDE_DATA = {
    Type.A53_CC: "closed captions inside the frames",
    Type.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
    Type.DOVI_RPU_BUFFER: "Dolby Vision metadata",
    Type.SPHERICAL: "360 degree video metadata",
    Type.STEREO3D: "stereoscopic video metadata",
}


def carried_streams(
    source: Path, target: Path, reading: Reading | None = None, slow: SlowMotion | None = None
) -> list[str]:
    """Return a line for each stream of ``source`` that ``target`` will carry unchanged.

    Raises:
        InputError: the source cannot be opened.
        OutputError: the suffix of the target names no output container.
    """
    container = container_format(target)
    if not has_copyable_streams(source, reading):
        return []
    with readable(source), open_source(source) as opened:
        streams = other_streams(opened, video_stream(opened, source, reading))
        copied = [stream for stream in streams if slow is None or is_timeless(stream)]
        return [str(stream_info(stream)) for stream in copied if can_carry(stream, container)]


def lost_streams(
    source: Path, target: Path, reading: Reading | None = None, slow: SlowMotion | None = None
) -> list[Note]:
    """Return a note for everything in ``source`` that ``target`` cannot hold.

    Slow motion adds notes on the streams that it leaves out or slows down.

    Raises:
        InputError: the source cannot be opened.
        OutputError: the suffix of the target names no output container.
    """
    container = container_format(target)
    if not has_copyable_streams(source, reading):
        return []
    with readable(source), open_source(source) as opened:
        video = video_stream(opened, source, reading)
        streams = other_streams(opened, video)
        notes = []
        if slow is not None and container not in FRAMES_ONLY:
            notes += _lost_in_slow_motion(opened, streams, slow)
            streams = [stream for stream in streams if is_timeless(stream)]
        notes += _lost_by_container(opened, video, streams, target)
        return notes + _lost_side_data(first_frame(opened, video, source))


def _lost_in_slow_motion(opened: InputContainer, streams: Iterable[Stream], slow: SlowMotion) -> list[Note]:
    timed = [stream for stream in streams if not is_timeless(stream)]
    audio = next((stream for stream in timed if stream.type == "audio"), None) if slow.audio else None
    notes = [
        Note("stream_left_out", f"left out: {stream_info(stream)} (slow motion)")
        for stream in timed
        if stream is not audio
    ]
    if opened.chapters():
        notes.append(Note("chapters_left_out", "left out: chapters (slow motion)"))
    if audio is not None:
        notes.append(Note("audio_slowed", f"slowed down and encoded again: {stream_info(audio)}"))
    return notes


def _lost_by_container(opened: InputContainer, video: Stream, streams: Iterable[Stream], target: Path) -> list[Note]:
    container = container_format(target)
    kind = "y4m or raw video" if container == Y4M else target.suffix
    notes = []
    for stream in (video, *streams):
        if stream is not video and not can_carry(stream, container):
            notes.append(_lost_stream(stream, kind))
        elif keys := lost_tags(container, stream.metadata, opened.metadata):
            text = f"left out: tags {', '.join(keys)} of #{stream.index} ({kind} cannot hold them)"
            notes.append(Note("tags_left_out", text))
    if container in FRAMES_ONLY:
        counts = {"chapters": len(opened.chapters()), "tags": len(file_tags(opened.metadata))}
        if lost := [f"{count} {name}" for name, count in counts.items() if count]:
            notes.append(Note("metadata_left_out", f"left out: {', '.join(lost)} ({kind} holds frames only)"))
    if container in MP4_LIKE:
        chapters = read_chapters(opened)
        kept = {chapter.number for chapter in without_gaps(chapters)}
        lost = [repr(chapter.title) for chapter in chapters if chapter.number not in kept]
        if lost:
            text = f"left out: chapters {', '.join(lost)}, which begin with another one ({kind} holds one at a time)"
            notes.append(Note("chapters_left_out", text))
    if has_cover(opened, container) and (keys := free_tags(container, opened.metadata)):
        text = f"left out: tags {', '.join(keys)} ({kind} cannot hold them together with a cover)"
        notes.append(Note("tags_left_out", text))
    return notes


def _lost_stream(stream: Stream, kind: str) -> Note:
    keeper = next((suffix for suffix, name in CONTAINERS.items() if can_carry(stream, name)), None)
    remedy = f"{keeper} can" if keeper else "no output container can"
    return Note("stream_left_out", f"left out: {stream_info(stream)} ({kind} cannot hold it, {remedy})")


def _lost_side_data(frame: VideoFrame) -> list[Note]:
    found = side_data(frame)
    return [
        Note("side_data_left_out", f"left out: {name} (cannot be copied)")
        for kind, name in LOST_SIDE_DATA.items()
        if kind in found
    ]
