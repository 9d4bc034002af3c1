"""Output containers: their names, and the streams and metadata tags that each can hold."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Disposition, Stream
from av.video.stream import VideoStream

from vidsr.errors import OutputError
from vidsr.options.image_sequence import is_sequence
from vidsr.options.output_mark import MARK, TAG

# Ordered by how much each keeps: a note about a lost stream names the first container that keeps it.
CONTAINERS = {".mkv": "matroska", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".webm": "webm"}
MATROSKA, MP4_LIKE = ("matroska", "webm"), ("mp4", "mov")
Y4M, IMAGES = "yuv4mpegpipe", "image2"
FRAMES_ONLY = (Y4M, IMAGES)  # no audio, subtitles, chapters, tags or times

# Tags that every muxer writes itself, or that describe the source file only
FILE_SPECIFIC_TAGS = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "encoding_tool", "duration", "rotate"}
    | {"alpha_mode", TAG.lower()}
)
STATISTICS_TAGS = ("bps", "number_of_frames", "number_of_bytes", "_statistics_")  # of Matroska streams
# Tags with a field of their own in MP4. Others go into a list of free keys, which fewer players read.
MP4_TAGS = frozenset(
    {"title", "artist", "author", "album_artist", "album", "composer", "date", "comment", "genre", "copyright"}
    | {"grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "location"}
    | {"creation_time", "compilation", "disc", "track", "hd_video", "media_type", "season_number", "episode_sort"}
)
CREATED = "creation_time"
MOV_STREAM_TAGS = frozenset({"language", "handler_name", CREATED, "vendor_id", "timecode"}) | {
    "filename",
    "mimetype",  # of a cover that was an attached file; its codec says the same
}
STREAM_TAGS = {"mov": MOV_STREAM_TAGS, "mp4": MOV_STREAM_TAGS | {"title", "name"}}
LETTERS = r"[`-\x7f]{3}"  # of a language in MP4: five bits each
# QuickTime's own list of languages uses the older codes of these.
MOV_LANGUAGES = {"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi"}


def container_format(path: Path) -> str:
    """Return FFmpeg's name of the container that the suffix of ``path`` selects; ``-`` selects y4m.

    Raises:
        OutputError: the suffix names no output container.
    """
    if str(path) == "-" or path.suffix.lower() == ".y4m":
        return Y4M
    if is_sequence(path):
        return IMAGES
    name = CONTAINERS.get(path.suffix.lower())
    if name is None:
        raise OutputError(f"{path} names no output container: end the name in {', '.join(CONTAINERS)}")
    return name


def can_carry(stream: Stream, container: str) -> bool:
    """Whether packets of ``stream`` can be copied into ``container``.

    Tested by writing the header of an empty file.
    """
    if container in FRAMES_ONLY:
        return False
    if stream.type == "attachment":
        return container == "matroska"
    if is_cover(stream):
        return container in ("matroska", "mp4")
    if stream.type != "data" and stream.codec_context is None:
        return False  # without a decoder PyAV cannot copy its parameters
    scratch = av.open(io.BytesIO(), "w", format=container)
    try:
        scratch.add_stream_from_template(stream, opaque=True)
        scratch.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    finally:
        with suppress(av.FFmpegError):
            scratch.close()
    return True


def is_cover(stream: Stream) -> bool:
    """Whether the stream is a cover image."""
    return isinstance(stream, VideoStream) and bool(stream.disposition & Disposition.attached_pic)


def has_cover(opened: InputContainer, container: str) -> bool:
    """Whether the file has a cover that ``container`` can hold."""
    return any(is_cover(stream) and can_carry(stream, container) for stream in opened.streams)


def is_timeless(stream: Stream) -> bool:
    """Whether the stream has no place in time: a font or a cover."""
    return isinstance(stream, AttachmentStream) or is_cover(stream)


def file_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a file that also hold for a file made from it."""
    return {key: value for key, value in tags.items() if key.lower() not in FILE_SPECIFIC_TAGS}


def stream_tags(container: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a stream for ``container``. MP4's ``name`` becomes ``title``."""
    kept = {key: value for key, value in file_tags(tags).items() if not key.lower().startswith(STATISTICS_TAGS)}
    if "name" in kept:
        kept.setdefault("title", kept.pop("name"))
    if container == "mov" and "language" in kept:
        kept["language"] = MOV_LANGUAGES.get(kept["language"], kept["language"])
    if not has_language(container, kept):
        kept.pop("language")
    return kept


def has_language(container: str, tags: Mapping[str, str]) -> bool:
    """Whether the container can hold the language of a stream: MP4 takes three small letters only."""
    return container not in STREAM_TAGS or re.fullmatch(LETTERS, tags.get("language", "und")) is not None


def free_tags(container: str, tags: Mapping[str, str]) -> list[str]:
    """Return the tags of a file for which the container has no field of its own."""
    if container not in STREAM_TAGS:
        return []
    return sorted(key for key in file_tags(tags) if key.lower().partition("-")[0] not in MP4_TAGS)


def muxer_options(container: str, tags: Mapping[str, str], has_cover: bool) -> dict[str, str]:
    """Return the muxer options that let the container hold all ``tags`` of the file.

    FFmpeg's MP4 muxer writes either a cover or free tags.
    """
    return {"movflags": "use_metadata_tags"} if free_tags(container, tags) and not has_cover else {}


def mark_output(output: OutputContainer, stream: VideoStream, container: str) -> None:
    """Write the mark of vidsr, by which a later run over the folder leaves the file out."""
    if container == "mov":
        stream.metadata["encoder"] = MARK
    else:
        output.metadata["encoding_tool" if container == "mp4" else TAG] = MARK


def lost_tags(container: str, tags: Mapping[str, str], of_file: Mapping[str, str]) -> list[str]:
    """Return the tags of a stream that the container cannot hold; MP4's streams have the creation time ``of_file``."""
    if container not in STREAM_TAGS:
        return []
    lost = [key for key in stream_tags(container, tags) if key.lower() not in STREAM_TAGS[container]]
    if CREATED in tags and not same_moment(tags[CREATED], of_file.get(CREATED, "")):
        lost.append(CREATED)
    return sorted(lost if has_language(container, tags) else [*lost, "language"])


def same_moment(one: str, other: str) -> bool:
    """Whether two times in ISO 8601 are the same after the rounding of MP4, to seconds."""
    try:
        times = [datetime.fromisoformat(text).timestamp() for text in (one, other)]
    except (ValueError, OverflowError, OSError):
        return one == other
    return abs(times[0] - times[1]) < 1
