"""The single checks of a finished file: picture, times, streams, tags and chapters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from vidsr.frames import HdrInfo, VideoInfo
from vidsr.video import FileContents, Track, container_format
from vidsr.video.containers import free_tags, lost_tags
from vidsr.video.inspect import CopiedPacket

TAG_DEFAULTS = {"range": "limited", "chroma location": "left"}  # what players assume without a tag
MILLISECOND = Fraction(1, 1000)
HDR_CODECS = ("h264", "hevc", "av1")  # whose encoders write HDR10 metadata
SITING_CODECS = ("h264", "hevc")  # whose encoders write the chroma location
NO_EQUAL_PACKETS = ("h264", "hevc")  # codecs in which no packet equals the one before, even of frames that are equal
PLACE_TOLERANCE = 1e-4  # degrees and metres
HDR_TOLERANCE = Fraction(1, 1000)  # relative; encoders round to fixed points
MP4_LIKE = ("mp4", "mov")
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
class Check:
    """One comparison of an expected with a found value."""

    name: str
    expected: str
    found: str
    ok: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.found}" if self.ok else f"{self.name}: expected {self.expected}, found {self.found}"


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
            if (self.start is None or packet.time >= self.start) and (self.end is None or packet.time < self.end)
        ]

    def chapters(self, contents: FileContents) -> list[tuple[Fraction, Fraction, str]]:
        """Return the chapters to expect."""
        first, cut = self.start or Fraction(0), []
        for start, end, title in contents.chapters:
            begins, ends = max(start - first, Fraction(0)), (end if self.end is None else min(end, self.end)) - first
            if begins < ends:
                cut.append((begins, ends, title))
        return cut


def picture_checks(info: VideoInfo, target: FileContents) -> Iterator[Check]:
    """Compare the picture with ``info``, that of the plan."""
    found = target.info
    yield equal("size", f"{info.width}x{info.height}", f"{found.width}x{found.height}")
    chroma = "420" if info.chroma == "gray" and found.codec == "h264" else info.chroma  # as FFmpeg decodes grey H.264
    yield equal("pixel format", f"{chroma} {info.depth} bit", f"{found.chroma} {found.depth} bit")
    yield equal("sample aspect ratio", str(info.sar), str(found.sar))
    yield equal("rotation", info.rotation, found.rotation)
    yield from color_checks(info, target)


def shape_checks(info: VideoInfo, target: FileContents, rotates: bool = False) -> Iterator[Check]:
    """Compare the shape of the picture with that of the source, which has ``info``: its size may differ.

    ``rotates``: the file holds the picture as it is shown, as images do.
    """
    found = target.info
    width, height, sar = info.width, info.height, info.sar
    allowed = Fraction(2, found.width) + Fraction(2, found.height)  # sizes are rounded to even numbers
    if rotates:
        width, height, sar = (height, width, sar) if info.is_on_its_side else (width, height, sar)
        stored = shown = Fraction(width, height)
    else:
        stored, shown = Fraction(width, height), Fraction(width, height) * sar
    ratio = Fraction(found.width, found.height)
    is_square = found.sar == 1 and near(ratio, shown, allowed)  # --square-pixels
    yield Check(
        "size ratio",
        f"{width}x{height}, larger or smaller",
        f"{found.width}x{found.height}",
        near(ratio, stored, allowed) or is_square,
    )
    if not rotates:
        yield Check("sample aspect ratio", str(sar), str(found.sar), found.sar == sar or is_square)
        yield equal("rotation", info.rotation, found.rotation)


def near(a: Fraction, b: Fraction, allowed: Fraction) -> bool:
    """Whether two ratios differ by at most the share ``allowed``."""
    return abs(a / b - 1) <= allowed


def color_checks(info: VideoInfo, target: FileContents) -> Iterator[Check]:
    """Compare the tags of colour, chroma location and HDR10."""
    found = target.info
    # without colour there is no matrix, and x264 names none
    names = ("primaries", "transfer", "range")
    for name in names if info.chroma == "gray" else ("matrix", *names):
        expected = getattr(info.color, name)
        if expected is not None:  # an untagged source may be tagged by the encoder's own default
            yield equal(name, expected, getattr(found.color, name) or TAG_DEFAULTS.get(name))
    location = info.color.chroma_location
    if location is not None and info.chroma == found.chroma == "420" and found.codec in SITING_CODECS:
        yield equal("chroma location", location, found.color.chroma_location or TAG_DEFAULTS["chroma location"])
    if info.hdr is not None and found.codec in HDR_CODECS:
        yield Check("HDR10 metadata", hdr_text(info.hdr), hdr_text(found.hdr), same_hdr(info.hdr, found.hdr))


def hdr_text(hdr: HdrInfo | None) -> str:
    """Return the HDR10 metadata in one line."""
    if hdr is None:
        return "none"
    luminance = "" if hdr.luminance is None else f", {float(hdr.luminance[0]):g} to {float(hdr.luminance[1]):g} cd/m2"
    points = (*(hdr.primaries or ()), *(() if hdr.white is None else (hdr.white,)))
    places = "".join(f", {float(x):.3f} {float(y):.3f}" for x, y in points)
    return f"{hdr.max_cll} and {hdr.max_fall} cd/m2{luminance}{places}"


def same_hdr(a: HdrInfo, b: HdrInfo | None) -> bool:
    """Whether ``b`` is what an encoder writes for ``a``: the mastering display only if it is complete."""
    b = HdrInfo() if b is None else b
    if (a.max_cll, a.max_fall) != (b.max_cll, b.max_fall):
        return False
    if a.primaries is None or a.white is None or a.luminance is None:
        return True
    if b.primaries is None or b.white is None or b.luminance is None:
        return False
    pairs = zip((*a.primaries, a.white, a.luminance), (*b.primaries, b.white, b.luminance), strict=True)
    return all(
        abs(x - y) <= HDR_TOLERANCE * max(x, Fraction(1))
        for one, other in pairs
        for x, y in zip(one, other, strict=True)
    )


def time_checks(times: Sequence[Fraction], target: FileContents, shift: Fraction, fps: Fraction | None
                ) -> Iterator[Check]:  # fmt: skip
    """Compare the frames with ``times`` on the clock of the output, which is late by ``shift``."""
    yield equal("frames", len(times), len(target.times))
    yield decodes(target)
    yield in_order(target.times)
    if target.info.codec in NO_EQUAL_PACKETS:
        yield equal("doubled frames", 0, target.repeated_packets)
    if not times or not target.times:
        return
    allowed = allowed_rounding(times, target, shift)
    if len(times) == len(target.times):
        yield close("frame times", Fraction(0), worst_time(times, target, shift), allowed)
    else:
        yield close("first frame", times[0] + shift, target.times[0], allowed)
    yield close("largest gap", largest_gap(times), largest_gap(target.times), 2 * allowed)
    if target.end is not None:
        step = 1 / (fps or Fraction(25))
        yield close("end of the last frame", times[-1] + shift + step, target.end, step)


def allowed_rounding(times: Iterable[Fraction], target: FileContents, shift: Fraction) -> Fraction:
    """Return by how much the container may have rounded ``times``.

    A container with ticks of its own, as Matroska with its milliseconds, rounds to the nearest; a shift, twice.
    """
    if shift:
        return target.tick
    return Fraction(0) if all((time / target.tick).denominator == 1 for time in times) else target.tick / 2


def worst_time(times: Sequence[Fraction], target: FileContents, shift: Fraction) -> Fraction:
    """Return the largest difference of two frame times, for as many frames."""
    return max(abs(a + shift - b) for a, b in zip(times, target.times, strict=True))


def largest_gap(times: Iterable[Fraction]) -> Fraction:
    """Return the longest time from one frame to the next."""
    return max((b - a for a, b in pairwise(times)), default=Fraction(0))


def decodes(target: FileContents) -> Check:
    """Whether every frame could be decoded."""
    problems = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in target.problems.items() if count)
    return Check("every frame decodes", "yes", problems or "yes", not problems)


def in_order(times: list[Fraction]) -> Check:
    """Whether every frame comes after the one before."""
    found = all(a < b for a, b in pairwise(times))
    return equal("times strictly increase", "yes", "yes" if found else "no")


def file_checks(source: FileContents, target: FileContents) -> Iterator[Check]:
    """Compare the tags of the file and of its video stream."""
    container = container_format(target.path)
    has_cover = any(track.type == "video" and not track.timed for track in target.tracks)
    lost = free_tags(container, source.tags) if has_cover else []
    lost += MATROSKA_LOST if container in ("matroska", "webm") else ()
    yield from tag_checks("file tag", source.tags, target.tags, lost)
    yield equal("video stream: language", source.video.language, target.video.language)
    yield from stream_tag_checks("video stream", source.video, target.video, container)
    yield from disposition_checks("video stream", source.video, target.video, container, source)


def tag_checks(name: str, wanted: Mapping[str, str], found: Mapping[str, str], lost: Iterable[str]) -> Iterator[Check]:
    """Compare each tag that the container can hold; a title must not be added."""
    for key, value in wanted.items():
        if key not in lost:
            text = found.get(key, "none")
            yield Check(f"{name} {key}", value, text, value == text or ("location" in key and same_place(value, text)))
    if "title" not in wanted:
        yield equal(f"{name} title", "none", found.get("title", "none"))


def same_place(a: str, b: str) -> bool:
    """Whether two places in ISO 6709 are the same after the rounding of MP4."""
    numbers = [[float(number) for number in re.findall(r"[+-][\d.]+", place)] for place in (a, b)]
    if not numbers[0] or len(numbers[0]) != len(numbers[1]):
        return False
    return all(abs(x - y) <= PLACE_TOLERANCE for x, y in zip(*numbers, strict=True))


def stream_tag_checks(name: str, before: Track, after: Track, container: str) -> Iterator[Check]:
    """Compare the tags of one stream."""
    lost = {*OWN_TAGS, *lost_tags(container, before.tags)}
    lost |= set(MATROSKA_LOST_OF_STREAMS) if container in ("matroska", "webm") else set()
    yield from tag_checks(f"{name}:", before.tags, after.tags, lost)


def disposition_checks(name: str, before: Track, after: Track, container: str, source: FileContents) -> Iterator[Check]:
    """Compare the dispositions that the container keeps."""
    if not before.timed or container not in DISPOSITIONS:
        return
    wanted = [flag for flag in DISPOSITIONS[container] if flag in before.disposition]
    found = [flag for flag in DISPOSITIONS[container] if flag in after.disposition]
    if container in MP4_LIKE and "default" not in wanted:
        alike = [track for track in (source.video, *source.tracks) if track.type == before.type and track.timed]
        is_first = alike[0] is before
        if is_first and not any("default" in track.disposition for track in alike):
            wanted.insert(0, "default")  # MP4 plays the first one
    yield equal(f"{name}: dispositions", ", ".join(wanted) or "none", ", ".join(found) or "none")


def track_checks(
    source: FileContents, target: FileContents, copied: CopiedRange, problems: Mapping[str, int]
) -> Iterator[Check]:
    """Compare the copied streams packet by packet, and the chapters.

    ``problems``: what the copy had to leave out or repair, by name.
    """
    container, left = container_format(target.path), Counter(problems)
    yield equal("copied streams", words(source.tracks), words(target.tracks))
    if len(source.tracks) == len(target.tracks):
        for number, (before, after) in enumerate(zip(source.tracks, target.tracks, strict=True), 1):
            name = f"copied stream {number} ({after})"
            yield from packet_checks(name, copied.of(before), after, left)
            yield from stream_tag_checks(name, before, after, container)
            yield from disposition_checks(name, before, after, container, source)
            if after.type == "attachment":
                yield equal(f"{name}: name", before.title, after.title)
    yield from chapter_checks(copied.chapters(source), target, copied.shift)


def chapter_checks(
    wanted: Sequence[tuple[Fraction, Fraction, str]], target: FileContents, shift: Fraction
) -> Iterator[Check]:
    """Compare titles and times of the chapters."""
    titles, found = [title for *_, title in wanted], [title for *_, title in target.chapters]
    yield equal("chapters", titles, found)
    if wanted and len(wanted) == len(target.chapters):
        differences = (
            abs(a - b)
            for one, other in zip(wanted, target.chapters, strict=True)
            for a, b in zip(one[:2], other[:2], strict=True)
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


def equal(name: str, expected: object, found: object) -> Check:
    """Return the check that two values are equal."""
    return Check(name, str(expected), str(found), expected == found)


def close(name: str, expected: Fraction, found: Fraction, allowed: Fraction) -> Check:
    """Return the check that two times differ by at most ``allowed``."""
    within = f"{float(expected) * 1000:.6g} ms" + (f" within {float(allowed) * 1000:g} ms" if allowed else "")
    return Check(name, within, f"{float(found) * 1000:.6g} ms", abs(found - expected) <= allowed)
