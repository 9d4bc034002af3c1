"""Metadata tags: which are still true of a new file, and which a container cannot hold."""

from __future__ import annotations

from collections.abc import Mapping

# Written by every muxer itself, or true of the old file only.
OF_THE_FILE = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "rotate", "alpha_mode"}
)
STATISTICS = ("bps", "number_of_frames", "number_of_bytes", "_statistics_")  # of Matroska, per stream
# What MP4 holds in places of its own; anything else goes into a list of free keys, which fewer players read.
MP4_KEYS = frozenset(
    {"title", "artist", "author", "album_artist", "album", "composer", "date", "comment", "genre", "copyright"}
    | {"grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "location"}
    | {"creation_time", "compilation", "disc", "track", "hd_video", "media_type", "season_number", "episode_sort"}
)
MOV_STREAM_KEYS = frozenset({"language", "handler_name", "creation_time", "vendor_id", "timecode"}) | {
    "filename",
    "mimetype",  # of a cover that was an attached file: its codec says as much
}
STREAM_KEYS = {"mov": MOV_STREAM_KEYS, "mp4": MOV_STREAM_KEYS | {"title", "name"}}
# QuickTime knows languages by a list of its own, in which these have their older codes.
MOV_LANGUAGES = {"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi"}


def file_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a file that are still true of one made from it."""
    return {key: value for key, value in tags.items() if key.lower() not in OF_THE_FILE}


def stream_tags(container: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a stream for ``container``; a title that MP4 called a name is a title again."""
    kept = {key: value for key, value in file_tags(tags).items() if not key.lower().startswith(STATISTICS)}
    if "name" in kept:
        kept.setdefault("title", kept.pop("name"))
    if container == "mov" and "language" in kept:
        kept["language"] = MOV_LANGUAGES.get(kept["language"], kept["language"])
    return kept


def free_tags(container: str, tags: Mapping[str, str]) -> list[str]:
    """The tags of a file that the container has no place of its own for."""
    if container not in STREAM_KEYS:
        return []
    return sorted(key for key in file_tags(tags) if key.lower().partition("-")[0] not in MP4_KEYS)


def muxer_options(container: str, tags: Mapping[str, str], has_cover: bool) -> dict[str, str]:
    """The options that let the container hold all ``tags`` of the file; FFmpeg's MP4 holds a cover or free tags."""
    return {"movflags": "use_metadata_tags"} if free_tags(container, tags) and not has_cover else {}


def lost_tags(container: str, tags: Mapping[str, str]) -> list[str]:
    """The tags of a stream that the container cannot hold."""
    if container not in STREAM_KEYS:
        return []
    return sorted(key for key in stream_tags(container, tags) if key.lower() not in STREAM_KEYS[container])
