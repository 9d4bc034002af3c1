"""The checks of everything else in a finished file: tags, dispositions, copied streams and chapters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from vidsr.pipeline.video_checks import MILLISECOND, Check, close, equal
from vidsr.video import MATROSKA, FileContents, Track, container_format
from vidsr.video.chapters import Chapter, copied_chapters
from vidsr.video.containers import CREATED, MP4_LIKE, free_tags, lost_tags, same_moment
from vidsr.video.inspect import CopiedPacket

PLACE_TOLERANCE = 1e-4  # degrees and metres
# Tags of a stream that its new file states in its own way
OWN_TAGS = ("language", "vendor_id", "handler_name", "filename", "mimetype")
# Tags that FFmpeg's Matroska muxer does not write: for a file, and for a stream
MATROSKA_LOST = ("encoding_tool", "stereo_mode")
MATROSKA_LOST_OF_STREAMS = (*MATROSKA_LOST, "creation_time")
# The dispositions that a copy in each container keeps
DISPOSITIONS = {
    "matroska": ("default", "dub", "original", "comment", "forced", "hearing_impaired", "visual_impaired"),
    "webm": ("default", "forced"),
    "mp4": ("default", "dub", "comment", "forced"),
    "mov": ("default",),
}


@dataclass(frozen=True)
class CopiedRange:
    """The part of the source that was copied, on its clock, and by how much the clock of the output is late."""

    start: Fraction | None = None
    end: Fraction | None = None
    shift: Fraction = Fraction(0)

    def of(self, track: Track) -> list[CopiedPacket]:
        """Return the packets to expect, with the times to expect."""
        if not track.timed:
            return track.packets
        return [
            packet._replace(time=packet.time - (self.start or 0) + self.shift)
            for packet in track.packets
            if (not self.start or packet.time >= self.start) and (self.end is None or packet.time < self.end)
        ]


def file_checks(source: FileContents, target: FileContents) -> Iterator[Check]:
    """Compare the tags of the file and of its video stream."""
    container = container_format(target.path)
    has_cover = any(track.type == "video" and not track.timed for track in target.tracks)
    lost = free_tags(container, source.tags) if has_cover else []
    lost += MATROSKA_LOST if container in MATROSKA else ()
    yield from tag_checks("file tag", source.tags, target.tags, lost)
    yield equal("video stream: language", source.video.language, target.video.language)
    yield from stream_tag_checks("video stream", source.video, target.video, container, source)
    yield from disposition_checks("video stream", source.video, target.video, container, source)


def tag_checks(name: str, wanted: Mapping[str, str], found: Mapping[str, str], lost: Iterable[str]) -> Iterator[Check]:
    """Compare each tag that the container can hold; a title must not be added."""
    for key, value in wanted.items():
        if key not in lost:
            text = found.get(key, "none")
            yield Check(f"{name} {key}", value, text, same_value(key, value, text))
    if "title" not in wanted:
        yield equal(f"{name} title", "none", found.get("title", "none"))


def same_value(key: str, one: str, other: str) -> bool:
    """Whether two values of a tag are the same after the rounding of MP4."""
    is_place, is_moment = "location" in key, key == CREATED
    return one == other or (is_place and same_place(one, other)) or (is_moment and same_moment(one, other))


def same_place(a: str, b: str) -> bool:
    """Whether two places in ISO 6709 are the same after the rounding of MP4."""
    numbers = [[float(number) for number in re.findall(r"[+-][\d.]+", place)] for place in (a, b)]
    if not numbers[0] or len(numbers[0]) != len(numbers[1]):
        return False
    return all(abs(x - y) <= PLACE_TOLERANCE for x, y in zip(*numbers, strict=True))


def stream_tag_checks(name: str, before: Track, after: Track, container: str, source: FileContents) -> Iterator[Check]:
    """Compare the tags of one stream."""
    lost = {*OWN_TAGS, *lost_tags(container, before.tags, source.tags)}
    lost |= set(MATROSKA_LOST_OF_STREAMS) if container in MATROSKA else set()
    yield from tag_checks(f"{name}:", before.tags, after.tags, lost)


def disposition_checks(name: str, before: Track, after: Track, container: str, source: FileContents) -> Iterator[Check]:
    """Compare the dispositions that the container keeps."""
    if not before.timed or container not in DISPOSITIONS:
        return
    wanted, found = (
        ", ".join(flag for flag in DISPOSITIONS[container] if flag in one.disposition) or "none"
        for one in (before, after)
    )
    if wanted != found and container in MP4_LIKE and "default" not in before.disposition:
        alike = [track for track in (source.video, *source.tracks) if track.type == before.type and track.timed]
        if alike[0] is before and not any("default" in track.disposition for track in alike):
            wanted = "default" if wanted == "none" else f"default, {wanted}"  # MP4 plays the first one
    yield equal(f"{name}: dispositions", wanted, found)


def track_checks(
    source: FileContents, target: FileContents, copied: CopiedRange, problems: Mapping[str, int]
) -> Iterator[Check]:
    """Compare the copied streams packet by packet, and the chapters.

    ``problems``: what the copy had to leave out or repair, by name.
    """
    container, left = container_format(target.path), Counter(problems)
    wanted = source.tracks
    if len(wanted) != len(target.tracks):  # MP4 has no track without packets
        wanted = [track for track in wanted if copied.of(track)]
    yield equal("copied streams", words(wanted), words(target.tracks))
    if len(wanted) == len(target.tracks):
        for number, (before, after) in enumerate(zip(wanted, target.tracks, strict=True), 1):
            name = f"copied stream {number} ({after})"
            packets = copied.of(before)
            yield from packet_checks(name, from_zero(packets) if container in MP4_LIKE else packets, after, left)
            yield from stream_tag_checks(name, before, after, container, source)
            yield from disposition_checks(name, before, after, container, source)
            if after.type == "attachment":
                yield equal(f"{name}: name", before.title, after.title)
    chapters = copied_chapters(source.chapters, copied.start, copied.end, container)
    yield from chapter_checks(chapters, target, copied.shift)


def chapter_checks(wanted: Sequence[Chapter], target: FileContents, shift: Fraction) -> Iterator[Check]:
    """Compare titles and times of the chapters."""
    found = target.chapters
    yield equal("chapters", [chapter.title for chapter in wanted], [chapter.title for chapter in found])
    if wanted and len(wanted) == len(found):
        differences = (
            max(abs(one.start - other.start), abs(one.end - other.end))
            for one, other in zip(wanted, found, strict=True)
        )
        yield close("chapter times", Fraction(0), max(differences), MILLISECOND + abs(shift))


def packet_checks(name: str, wanted: list[CopiedPacket], after: Track, left: Counter[str]) -> Iterator[Check]:
    """Compare all packets of one stream; ``left`` holds the problems of the copy that are not yet accounted for."""
    if left["damaged_packets_left_out"]:
        kept = _kept(wanted, after.packets)
        gone = min(len(wanted) - len(kept), left["damaged_packets_left_out"])
        if len(wanted) - gone == len(kept):
            wanted = kept
            left["damaged_packets_left_out"] -= gone
    yield equal(f"{name}: packets", len(wanted), len(after.packets))
    pairs = list(zip(wanted, after.packets, strict=False))
    yield equal(f"{name}: equal packets", len(wanted), sum(a.digest == b.digest for a, b in pairs))
    if not after.timed or not pairs:
        return
    drifts = sorted(abs(a.time - b.time) for a, b in pairs)
    late = sum(drift > MILLISECOND for drift in drifts)
    if 0 < late <= left["packet_times_repaired"]:
        left["packet_times_repaired"] -= late
        drifts = drifts[:-late] or [Fraction(0)]
    yield close(f"{name}: drift", Fraction(0), drifts[-1], MILLISECOND)
    # each packet of audio lasts until the next one, in MP4 through a gap too; the last one may be cut by a sample count
    longest = max(packet.duration for packet in wanted)
    is_text = after.type == "subtitle"
    changes = [abs(a.duration - b.duration) for a, b in (pairs if is_text else pairs[-1:]) if a.duration]
    allowed = MILLISECOND if is_text else max(longest, MILLISECOND)
    yield close(f"{name}: durations", Fraction(0), max(changes, default=Fraction(0)), allowed)


def from_zero(packets: list[CopiedPacket]) -> list[CopiedPacket]:
    """Return the packets of a stream at their times in MP4, which begins at zero what ends before playback begins."""
    if not packets or max(packet.time + packet.duration for packet in packets) > 0:
        return packets
    return [packet._replace(time=packet.time - packets[0].time) for packet in packets]


def _kept(wanted: list[CopiedPacket], found: list[CopiedPacket]) -> list[CopiedPacket]:
    """Return the packets of ``wanted`` that ``found`` has in the same order."""
    rest, kept = iter(wanted), []
    for packet in found:
        match = next((one for one in rest if one.digest == packet.digest), None)
        if match is None:
            break
        kept.append(match)
    return kept


def words(tracks: Iterable[Track]) -> str:
    """Return the kinds of streams in one line."""
    return ", ".join(str(track) for track in tracks) or "none"
