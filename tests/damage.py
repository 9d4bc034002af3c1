"""Good outputs of vidsr, and kinds of damage to them that `vidsr verify` must name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.stream import AttachmentStream

from tests.clips import make_clip
from vidsr import enhance
from vidsr.errors import InputError
from vidsr.frames import HdrInfo, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.pipeline.verify import verify_files
from vidsr.video import VideoReader, VideoWriter
from vidsr.video.containers import is_cover

Outputs = Callable[[str, bool], tuple[Path, Path]]

FRAMES, GOP = 40, 10
EMPTY_TEXT = 2  # bytes
QUARTER_TURN = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)  # display matrix
FORMATS = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov", ".webm": "webm"}
TAGS = {"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1}
X265_HDR = "log-level=none:pools=none:frame-threads=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)"
X265_HDR += "WP(15635,16450)L(10000000,1):max-cll=1000,400"
SOURCES: dict[str, dict[str, Any]] = {
    ".mkv": {"audio": 2, "subtitles": "ass", "font": b"font" * 99, "chapters": True, "metadata": {"comment": "good"}},
    ".mp4": {"audio": 2, "subtitles": "mov_text", "cover": True, "chapters": True, "metadata": {"comment": "good"}},
    ".mov": {"audio": 2, "chapters": True, "metadata": {"comment": "good"}},
    ".webm": {"audio": 2, "chapters": True, "metadata": {"comment": "good"}, "codec": "libvpx-vp9"},
}


def good_output(folder: Path, suffix: str) -> tuple[Path, Path]:
    """Return a clip and its upscale, each with everything that files of that suffix hold."""
    source, target = folder / f"source{suffix}", folder / f"good{suffix}"
    make_clip(source, FRAMES, gop=GOP, tags=TAGS, **SOURCES[suffix])
    encoder: dict[str, Any] = {"preset": "ultrafast", "encoder_options": (f"g={GOP}", "bf=0")}
    if suffix == ".webm":
        encoder = {"codec": "libvpx-vp9", "encoder_options": (f"g={GOP}",)}
    enhance(source, target, scale=2, model="nearest", log=False, **encoder)
    return source, target


def hdr_output(folder: Path, suffix: str) -> tuple[Path, Path]:
    """Return an HDR10 clip and its copy at the same size."""
    source, target = folder / f"hdr{suffix}", folder / f"good-hdr{suffix}"
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 16, "color_range": 1}
    make_clip(source, 10, pix_fmt="yuv420p10le", codec="libx265", tags=tags, options={"x265-params": X265_HDR})
    enhance(source, target, scale=1, codec="libx265", preset="ultrafast", log=False)
    return source, target


@dataclass
class Parts:
    """The parts of a file that can be damaged before it is written again."""

    kinds: list[str]  # of every stream: video, audio0, audio1, subtitle, cover, attachment
    packets: list[tuple[int, av.Packet[Any], bytes]]  # number of the stream, packet, data
    tags: dict[str, str]
    stream_tags: list[dict[str, str]]
    dispositions: list[Any]
    chapters: list[Any]
    attachments: dict[int, bytes]
    order: list[int]

    def of(self, kind: str) -> list[tuple[int, av.Packet[Any], bytes]]:
        """Return the packets of one stream."""
        return [entry for entry in self.packets if self.kinds[entry[0]] == kind]

    def drop(self, kind: str, numbers: range | tuple[int, ...]) -> None:
        """Leave out packets of one stream."""
        entries = self.of(kind)
        gone = [id(entries[number][1]) for number in numbers]
        self.packets = [entry for entry in self.packets if id(entry[1]) not in gone]

    def shift(self, kind: str, seconds: Fraction, numbers: range | None = None) -> None:
        """Move packets of one stream."""
        entries = self.of(kind)
        for number in range(len(entries)) if numbers is None else numbers:
            _, packet, _ = entries[number]
            ticks = round(seconds / packet.time_base)
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks

    def change(self, kind: str, number: int, edit: Callable[[bytes], bytes]) -> None:
        """Replace the data of one packet."""
        chosen = self.of(kind)[number]
        self.packets = [(s, p, edit(data) if p is chosen[1] else data) for s, p, data in self.packets]

    def double(self, kind: str, number: int) -> None:
        """Write one packet twice, the second time a little later."""
        chosen = self.of(kind)[number]
        place = next(i for i, entry in enumerate(self.packets) if entry[1] is chosen[1])
        again = _copied(chosen[1], chosen[2])
        again.pts, again.dts = again.pts + 2, again.dts + 2
        self.packets.insert(place + 1, (chosen[0], again, chosen[2]))

    def lose(self, kind: str) -> None:
        """Leave out a stream."""
        self.order.remove(self.kinds.index(kind))


def _copied(packet: av.Packet[Any], data: bytes) -> av.Packet[Any]:
    copy = av.Packet(data)
    copy.time_base, copy.pts, copy.dts, copy.duration = packet.time_base, packet.pts, packet.dts, packet.duration
    copy.is_keyframe = packet.is_keyframe
    return copy


def _stream_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a stream as FFmpeg's muxers take them: MP4 reads back a title as a name."""
    return {"title" if key == "name" else key: value for key, value in tags.items()}


def written_again(good: Path, target: Path, damage: Callable[[Parts], object]) -> None:
    """Write the packets of ``good`` to ``target`` after ``damage`` to its parts."""
    with av.open(str(good)) as old:
        kinds, numbers = [], {"audio": 0, "subtitle": 0}
        for stream in old.streams:
            kind = "cover" if is_cover(stream) else stream.type
            kinds.append(f"audio{numbers['audio']}" if kind == "audio" else kind)
            numbers["audio"] += kind == "audio"
        kept = [s.index for s in old.streams if s.type != "data"]
        parts = Parts(
            kinds=kinds,
            packets=[(p.stream.index, p, bytes(p)) for p in old.demux() if p.size and p.stream.index in kept],
            tags=dict(old.metadata),
            stream_tags=[_stream_tags(stream.metadata) for stream in old.streams],
            dispositions=[stream.disposition for stream in old.streams],
            chapters=old.chapters(),
            attachments={s.index: s.data for s in old.streams if isinstance(s, AttachmentStream)},
            order=kept,
        )
        damage(parts)
        options = {"movflags": "use_metadata_tags"} if good.suffix == ".mov" else {}
        if good.suffix in (".mp4", ".mov"):
            options["movie_timescale"] = "12800"
        with av.open(str(target), "w", format=FORMATS[good.suffix], container_options=options) as new:
            copies: dict[int, Any] = {}
            for index in parts.order:
                stream = old.streams[index]
                if isinstance(stream, AttachmentStream):
                    attachment = new.add_attachment(stream.name or "", stream.mimetype or "", parts.attachments[index])
                    attachment.metadata.update(parts.stream_tags[index])
                    continue
                copies[index] = copy = new.add_stream_from_template(stream, opaque=True)
                copy.metadata.update(parts.stream_tags[index])
                copy.disposition = parts.dispositions[index]
            new.metadata.update(parts.tags)
            new.set_chapters(parts.chapters)
            entries = [(s, _copied(p, data)) for s, p, data in parts.packets if s in copies]
            for index, packet in sorted(entries, key=lambda one: (one[1].dts or 0) * one[1].time_base):
                packet.stream = copies[index]
                if is_cover(old.streams[index]):
                    packet.pts = packet.dts = 0
                new.mux(packet)


def encoded_again(source: Path, good: Path, target: Path, change: Callable[[VideoInfo], VideoInfo]) -> None:
    """Encode the frames of ``good`` again as a clip with other properties; copy the streams of ``source``."""
    with VideoReader(good) as reader:
        codec = "libvpx-vp9" if good.suffix == ".webm" else "libx265" if reader.info.hdr else "libx264"
        encoding = Encoding(codec, preset=None if codec == "libvpx-vp9" else "ultrafast")
        info = change(reader.info)
        with VideoWriter(target, info, encoding, source) as writer:
            for batch in reader.batches(8):
                y, uv = batch.y[..., : info.height, : info.width], batch.uv
                assert uv is not None
                writer.write(replace(batch, y=y, uv=uv[..., : info.height // 2, : info.width // 2]))


def other_color(**tags: str) -> Callable[[VideoInfo], VideoInfo]:
    """Return a change of colour tags."""
    return lambda info: replace(info, color=replace(info.color, **tags))  # type: ignore[arg-type]


def other_light(info: VideoInfo) -> VideoInfo:
    """Change the content light level of HDR10."""
    assert info.hdr is not None
    return replace(info, hdr=replace(info.hdr, max_cll=500))


def scaled_times(parts: Parts) -> None:
    """Play the picture 2 % slower."""
    for _, packet, _ in parts.of("video"):
        packet.pts, packet.dts = round(packet.pts * 1.02), round(packet.dts * 1.02)


def long_last_frame(parts: Parts) -> None:
    """Show the last frame for a second."""
    packet = parts.of("video")[-1][1]
    packet.duration = round(1 / packet.time_base)


def short_subtitle(parts: Parts) -> None:
    """Show a subtitle for half as long."""
    entries = parts.of("subtitle")
    number = next(number for number, (_, _, data) in enumerate(entries) if len(data) > EMPTY_TEXT)
    packet, (_, following, data) = entries[number][1], entries[number + 1]
    packet.duration //= 2
    if len(data) == EMPTY_TEXT:  # the gap between two subtitles of MP4
        following.pts = following.dts = packet.pts + packet.duration
        following.duration += packet.duration


def inverted(data: bytes) -> bytes:
    """Invert the last bytes."""
    return data[:-4] + bytes(255 - value for value in data[-4:])


def zeroed(data: bytes) -> bytes:
    """Zero all but the first bytes."""
    return data[:5] + bytes(len(data) - 5)


def other_tag(kind: str, key: str, value: str) -> Callable[[Parts], object]:
    """Return a change of a tag of one stream."""

    def change(parts: Parts) -> None:
        parts.stream_tags[parts.kinds.index(kind)][key] = value

    return change


def other_file_tag(value: str | None) -> Callable[[Parts], object]:
    """Return a change of the comment of the file; None removes it."""

    def change(parts: Parts) -> None:
        key = next(key for key in parts.tags if key.lower() == "comment")
        del parts.tags[key]
        if value is not None:
            parts.tags[key] = value

    return change


def other_disposition(kind: str, flag: str) -> Callable[[Parts], object]:
    """Return the change of a stream's dispositions to a single one."""

    def change(parts: Parts) -> None:
        parts.dispositions[parts.kinds.index(kind)] = av.stream.Disposition[flag]

    return change


def other_chapter(**changes: Any) -> Callable[[Parts], object]:
    """Return a change of the second chapter."""

    def change(parts: Parts) -> None:
        parts.chapters[1] = {**parts.chapters[1], **changes}

    return change


def late_chapter(parts: Parts) -> None:
    """Begin the second chapter, and end the first, a fifth of a second later."""
    ticks = round(Fraction(1, 5) / parts.chapters[1]["time_base"])
    first, second = parts.chapters
    parts.chapters = [{**first, "end": first["end"] + ticks}, {**second, "start": second["start"] + ticks}]


def other_font(parts: Parts) -> None:
    """Change a byte of the font."""
    (index,) = parts.attachments
    parts.attachments[index] = inverted(parts.attachments[index])


def swapped_audio(parts: Parts) -> None:
    """Swap the audio tracks."""
    a, b = (parts.order.index(parts.kinds.index(kind)) for kind in ("audio0", "audio1"))
    parts.order[a], parts.order[b] = parts.order[b], parts.order[a]


ALL, MP4, MKV, H264 = (".mkv", ".mp4", ".mov", ".webm"), (".mp4",), (".mkv",), (".mkv", ".mp4", ".mov")
TEXT = (".mkv", ".mp4")
# kind of damage -> suffixes of the files that can have it, a pattern for a check that must fail, the damage
REMUXED: dict[str, tuple[tuple[str, ...], str, Callable[[Parts], object]]] = {
    "first frames lost": (ALL, "^frames$", lambda p: p.drop("video", range(GOP))),
    "one frame lost": (H264, "^frames$", lambda p: p.drop("video", (GOP - 1,))),
    "last frame lost": (ALL, "^frames$", lambda p: p.drop("video", (-1,))),
    "second half lost": (ALL, "^frames$", lambda p: p.drop("video", range(20, FRAMES))),
    "all but one frame lost": (ALL, "^frames$", lambda p: p.drop("video", range(1, FRAMES))),
    "gap in the middle": (ALL, "^largest gap$", lambda p: p.drop("video", range(GOP, 2 * GOP))),
    "one frame doubled": (H264, "^(frames|doubled frames)$", lambda p: p.double("video", 15)),
    "one frame late": (ALL, "^frame times$", lambda p: p.shift("video", Fraction(1, 100), range(15, 16))),
    "picture late": (ALL, "^frame times$", lambda p: p.shift("video", Fraction(1, 25))),
    "picture slow": (ALL, "^frame times$", scaled_times),
    "last frame long": (H264, "^end of the last frame$", long_last_frame),
    "frame undecodable": (ALL, "^(every frame decodes|frames)$", lambda p: p.change("video", 15, zeroed)),
    "audio lost": (ALL, "^copied streams$", lambda p: p.lose("audio1")),
    "audio packet lost": (ALL, "packets$", lambda p: p.drop("audio0", (20,))),
    "audio changed": (ALL, "equal packets$", lambda p: p.change("audio0", 20, inverted)),
    "audio late": (ALL, "drift$", lambda p: p.shift("audio0", Fraction(1, 50))),
    "audio packet doubled": (ALL, "packets$", lambda p: p.double("audio0", 20)),
    "audio tracks swapped": (ALL, "^copied streams$", swapped_audio),
    "audio language": (ALL, "^copied streams$", other_tag("audio0", "language", "spa")),
    "audio title": ((".mkv", ".mp4", ".webm"), "audio.* title$", other_tag("audio0", "title", "Other")),
    "audio forced": ((".mkv", ".mp4", ".webm"), "audio.* dispositions$", other_disposition("audio0", "forced")),
    "video language": (ALL, "^video stream: language$", other_tag("video", "language", "spa")),
    "video title": ((".mkv", ".mp4", ".webm"), "^video stream: title$", other_tag("video", "title", "Other")),
    "subtitle lost": (TEXT, "^copied streams$", lambda p: p.lose("subtitle")),
    "subtitle changed": (TEXT, "subtitle.* equal packets$", lambda p: p.change("subtitle", 2, inverted)),
    "subtitle short": (TEXT, "subtitle.*(durations|packets)$", short_subtitle),
    "subtitle late": (TEXT, "subtitle.*(drift|packets)$", lambda p: p.shift("subtitle", Fraction(1, 20))),
    "chapter title": (ALL, "^chapters$", other_chapter(metadata={"title": "Other"})),
    "chapter late": (ALL, "^chapter times$", late_chapter),
    "chapters lost": (ALL, "^chapters$", lambda p: p.chapters.clear()),
    "file tag changed": (ALL, "^file tag comment$", other_file_tag("other")),
    "file tag lost": (ALL, "^file tag comment$", other_file_tag(None)),
    "font changed": (MKV, "attachment.* equal packets$", other_font),
    "font lost": (MKV, "^copied streams$", lambda p: p.lose("attachment")),
    "cover changed": (MP4, "video mjpeg.* equal packets$", lambda p: p.change("cover", 0, inverted)),
    "cover lost": (MP4, "^copied streams$", lambda p: p.lose("cover")),
}  # fmt: skip
ENCODED: dict[str, tuple[tuple[str, ...], str, Callable[[VideoInfo], VideoInfo]]] = {
    "sides cut off": (ALL, "^size ratio$", lambda info: replace(info, width=info.width // 2)),
    "sample aspect ratio": (H264, "^sample aspect ratio$", lambda info: replace(info, sar=Fraction(4, 3))),
    "rotation": (H264, "^rotation$", lambda info: replace(info, display_matrix=QUARTER_TURN)),
    "matrix": (ALL, "^matrix$", other_color(matrix="bt2020nc")),
    "primaries": (ALL, "^primaries$", other_color(primaries="bt2020")),
    "transfer": (ALL, "^transfer$", other_color(transfer="smpte2084")),
    "range": (ALL, "^range$", other_color(range="full")),
    "chroma location": (H264, "^chroma location$", other_color(chroma_location="topleft")),
}  # fmt: skip
HDR: dict[str, tuple[tuple[str, ...], str, Callable[[VideoInfo], VideoInfo]]] = {
    "HDR10 metadata lost": (TEXT, "^HDR10 metadata$", lambda info: replace(info, hdr=HdrInfo(max_cll=1))),
    "content light level": (TEXT, "^HDR10 metadata$", other_light),
}
CUT = "file cut off"
KINDS = {**{name: one[0] for table in (REMUXED, ENCODED, HDR) for name, one in table.items()}, CUT: ALL}  # type: ignore[attr-defined]


def damaged(kind: str, source: Path, good: Path, target: Path) -> str:
    """Write ``good`` with damage of that kind to ``target``; return a pattern for a check that must fail."""
    if kind == CUT:
        data = good.read_bytes()
        target.write_bytes(data[: len(data) * 2 // 3])
        return "^frames$|cannot be read"
    if kind in REMUXED:
        _, pattern, damage = REMUXED[kind]
        written_again(good, target, damage)
        return pattern
    _, pattern, change = (ENCODED | HDR)[kind]
    encoded_again(source, good, target, change)
    return pattern


def found_differences(source: Path, target: Path) -> list[str]:
    """Return the names of the checks that fail, or the error that refuses the file."""
    try:
        return [check.name for check in verify_files(source, target).failures]
    except InputError as error:
        return [str(error)]


def names(pattern: str, found: Sequence[str]) -> bool:
    """Whether one of the differences matches the pattern."""
    return any(re.search(pattern, name) for name in found)


def good_outputs(folder: Path) -> Outputs:
    """Return a function that makes a clip and its good output of a suffix, with HDR10 or not."""
    return lambda suffix, hdr: (hdr_output if hdr else good_output)(folder, suffix)


def combinations() -> Iterator[tuple[str, str]]:
    """Every kind of damage with every suffix of a file that can have it."""
    return ((kind, suffix) for kind, suffixes in KINDS.items() for suffix in suffixes)
