"""Audio, subtitles, chapters, fonts, covers and tags: copied unchanged, or noted as left out."""

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.clips import make_clip, make_frame
from vidsr import enhance, verify
from vidsr.errors import InputError, Notes
from vidsr.options.codecs import Encoding
from vidsr.video import VideoReader, VideoWriter, lost_streams, streams

FAST = Encoding(preset="ultrafast")
SECOND = Fraction(1)


def copy(source: Path, target: Path, start: Fraction | None = None, end: Fraction | None = None) -> Path:
    """Pass the clip through reader and writer unchanged."""
    with (
        VideoReader(source, start, end) as reader,
        VideoWriter(target, reader.info, FAST, source, start, end) as writer,
    ):
        for batch in reader.batches(8):
            writer.write(batch)
    return target


def packets(path: Path, index: int) -> list[tuple[Fraction, str]]:
    """(time, hash) of every packet of a stream."""
    with av.open(str(path)) as container:
        stream = container.streams[index]
        return [
            ((packet.pts or 0) * packet.time_base, hashlib.sha256(bytes(packet)).hexdigest())
            for packet in container.demux(stream)
            if packet.size
        ]


def kinds(path: Path) -> list[tuple[str, str | None, str | None]]:
    return [(s.type, s.codec, s.language) for s in streams(path)]


RICH = {"frames": 60, "audio": 2, "chapters": True, "metadata": {"title": "A title", "unusual": "kept"}}


def test_matroska_with_two_audio_tracks_ass_subtitles_a_font_and_chapters(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", **RICH, subtitles="ass", font=b"not really a font" * 9)
    assert lost_streams(source, tmp_path / "b.mkv") == []
    target = copy(source, tmp_path / "b.mkv")
    assert kinds(target) == kinds(source)
    assert [kind for kind, _, _ in kinds(target)] == ["video", "audio", "audio", "subtitle", "attachment"]
    for index in (1, 2, 3):
        assert packets(target, index) == packets(source, index)
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert after.chapters() == before.chapters()
        assert after.streams[4].data == before.streams[4].data
        assert after.metadata["title"] == "A title"
        assert after.metadata["UNUSUAL"] == "kept"


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_mp4_with_late_audio_subtitles_chapters_cover_and_free_tags(tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / "a.mp4", **RICH, subtitles="mov_text", cover=True, audio_start=SECOND / 2)
    target = copy(source, tmp_path / f"b{suffix}")
    kept = 6 if suffix == ".mp4" else 5  # QuickTime has no place for a cover
    assert [kind[:2] for kind in kinds(target)] == [kind[:2] for kind in kinds(source)][:kept]
    assert ("mjpeg" in " ".join(map(str, lost_streams(source, target)))) == (suffix == ".mov")
    for index in {1, 2, 3, kept - 1} - {4}:
        assert packets(target, index) == packets(source, index)
    with av.open(str(target)) as after:
        assert [chapter["metadata"] for chapter in after.chapters()] == [{"title": "First"}, {"title": "Second"}]
        assert after.metadata["title"] == "A title"
    late = [packets(path, 1)[0][0] - packets(path, 0)[0][0] for path in (source, target)]
    assert late[0] == late[1] > 0.4


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_free_tags_of_a_phone_are_kept(tmp_path: Path, suffix: str) -> None:
    tags = {"title": "A title", "com.android.version": "9", "location": "-15.8355-048.0153/"}
    source = make_clip(tmp_path / "a.mp4", frames=2, metadata=tags)
    assert lost_streams(source, tmp_path / f"b{suffix}") == []
    with av.open(str(copy(source, tmp_path / f"b{suffix}"))) as after:
        found = {key.lower(): value for key, value in after.metadata.items()}
        assert found.items() >= tags.items()


def test_cover_becomes_an_attached_file_in_matroska(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", cover=True)
    target = copy(source, tmp_path / "b.mkv")
    assert [s.disposition for s in streams(target)][1] == ("attached_pic",)
    assert packets(target, 1)[0][1] == packets(source, 1)[0][1]


def test_cover_of_a_file_whose_title_is_invalid_utf8(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", cover=True, metadata={"title": "A title"})
    source.write_bytes(source.read_bytes().replace(b"A title", b"\xc1 title"))
    assert [s.disposition for s in streams(copy(source, tmp_path / "b.mkv"))][1] == ("attached_pic",)


def test_webm_keeps_opus(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.webm", codec="libvpx-vp9", audio=True)
    assert lost_streams(source, tmp_path / "b.webm") == []
    assert lost_streams(source, tmp_path / "b.mkv") == []
    assert packets(copy(source, tmp_path / "b.mkv"), 1) == packets(source, 1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("begin", [Fraction(4, 5), Fraction(12)])
def test_time_range_keeps_audio_and_video_in_sync_to_a_millisecond(
    tmp_path: Path, suffix: str, begin: Fraction
) -> None:
    """Content at time t of the source's clock is at t - start of the output's."""
    times = [Fraction(i, 25) for i in range(50)] + [begin + 2 + Fraction(i, 25) for i in range(50)]
    source = make_clip(tmp_path / "a.mkv", frames=100, times=times, audio=1, subtitles="subrip", gop=10, chapters=True)
    start, end = begin + 1, begin + 3
    target = copy(source, tmp_path / f"b{suffix}", start, end)
    before = {digest: time for time, digest in packets(source, 1)}
    after = packets(target, 1)
    assert after
    assert all(abs(before[digest] - start - time) <= Fraction(1, 1000) for time, digest in after)
    assert after[0][0] < Fraction(1, 40), "audio begins within a packet of the start"
    assert end - start - Fraction(1, 20) < after[-1][0] < end - start
    with av.open(str(target)) as container:
        last = max(chapter["end"] * chapter["time_base"] for chapter in container.chapters())
        assert last <= end - start


def test_time_range_of_a_clip_that_starts_late(tmp_path: Path) -> None:
    times = [Fraction(100) + Fraction(i, 25) for i in range(75)]
    source = make_clip(tmp_path / "a.ts", frames=75, times=times, audio=1, audio_start=Fraction(100), gop=10)
    target = copy(source, tmp_path / "b.mp4", SECOND, 2 * SECOND)
    assert packets(target, 0)[0][0] < Fraction(1, 25)
    assert len(packets(target, 0)) == 25
    assert packets(target, 1)[0][0] < Fraction(1, 40)
    assert packets(target, 1)[-1][0] < 1


def test_time_code_is_kept_by_mp4_and_matroska(tmp_path: Path) -> None:
    source = tmp_path / "a.mov"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.metadata["timecode"] = 64, 48, "01:02:03:04"
        output.mux(stream.encode(make_frame(0, (64, 48))))
        output.mux(stream.encode(None))
    assert [s.type for s in streams(source)] == ["video", "data"]
    for suffix in (".mov", ".mp4", ".mkv"):
        assert lost_streams(source, tmp_path / f"b{suffix}") == []
        with av.open(str(copy(source, tmp_path / f"b{suffix}"))) as after:
            tags = {key.lower(): value for key, value in after.streams.video[0].metadata.items()}
            assert tags["timecode"] == "01:02:03:04"


def test_clips_without_audio_and_without_video(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=3)
    assert [s.type for s in streams(copy(source, tmp_path / "b.mp4"))] == ["video"]
    with av.open(str(tmp_path / "c.wav"), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame(format="s16", layout="stereo", samples=100)
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
    with pytest.raises(InputError, match="has no video stream"):
        VideoReader(tmp_path / "c.wav")


def test_streams_as_json(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=25, fps=Fraction(30000, 1001), audio=True, sar=Fraction(4, 3))
    video, audio = (row.to_json() for row in streams(source))
    assert {key: video[key] for key in ("index", "type", "codec", "size", "fps", "sar", "pix_fmt")} == {
        "index": 0, "type": "video", "codec": "h264", "size": "64x48", "fps": "30000/1001", "sar": "4/3",
        "pix_fmt": "yuv420p",
    }  # fmt: skip
    assert (audio["codec"], audio["sample_rate"], audio["channels"], audio["language"]) == (
        "aac",
        48000,
        "stereo",
        "eng",
    )
    assert str(streams(source)[1]).startswith("#1 audio: aac, LC, 48000 Hz, stereo, eng, Track 0")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_second_video_stream_of_matroska_with_b_frames_keeps_its_times(tmp_path: Path, suffix: str) -> None:
    """The decoding times of its first packets are unknown."""
    with av.open(str(tmp_path / "two.mkv"), "w") as output:
        sources = [av.open(str(make_clip(tmp_path / f"{n}.mp4", 12, options={"bf": "2"}))) for n in (1, 2)]
        added = [output.add_stream_from_template(source.streams[0]) for source in sources]
        for source, stream in zip(sources, added, strict=True):
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = stream
                    output.mux(packet)
            source.close()
    before, after = (
        presentation_times(path, 1)
        for path in (tmp_path / "two.mkv", copy(tmp_path / "two.mkv", tmp_path / f"b{suffix}"))
    )
    assert [abs(a - b) < 0.0011 for a, b in zip(before, after, strict=True)] == [True] * 12


def presentation_times(path: Path, index: int) -> list[Fraction]:
    """Presentation times of the packets of a stream in file order."""
    with av.open(str(path)) as container:
        return [p.pts * p.time_base for p in container.demux(container.streams[index]) if p.size]


def test_streams_of_a_clip_in_which_ffmpeg_cannot_seek_are_copied_from_the_start(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mkv", 30, fps=2, audio=1)
    with av.open(str(source)) as old, av.open(str(tmp_path / "a.mkv"), "w") as new:
        copies = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.size:
                packet.stream, packet.is_keyframe = copies[packet.stream.index], False
                new.mux(packet)
    target = copy(tmp_path / "a.mkv", tmp_path / "b.mkv", start=Fraction(12))
    kept = [(time - 12, digest) for time, digest in packets(source, 1) if time >= 12]
    found = packets(target, 1)
    assert [digest for _, digest in found] == [digest for _, digest in kept]
    assert max(abs(a - b) for (a, _), (b, _) in zip(found, kept, strict=True)) <= Fraction(1, 1000)


@pytest.mark.parametrize("codec", ["libmp3lame", "mp2"])
@pytest.mark.parametrize("start", [Fraction(101, 100), Fraction(1, 2), Fraction(7, 5)])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_mpeg_audio_of_avi_is_shifted_exactly(tmp_path: Path, codec: str, start: Fraction, suffix: str) -> None:
    """One tick of such a stream is a whole packet of 26 ms."""
    source = tmp_path / "a.avi"
    with av.open(str(source), "w") as output:
        video, audio = output.add_stream("mpeg4", rate=25), output.add_stream(codec, rate=44100, layout="mono")
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        kind = audio.codec_context.format.name
        tone = 0.2 * np.sin(np.arange(3 * 44100) ** 1.2 / 9)  # its pitch rises, so that no two packets are equal
        samples = (tone * 32767).astype(np.int16) if kind.startswith("s16") else (tone * 2**31).astype(np.int32)
        sound = av.AudioFrame.from_ndarray(samples[None], format=kind, layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = 44100, 0, Fraction(1, 44100)
        mixed = audio.encode(sound) + audio.encode(None)
        for number in range(75):
            frame = make_frame(number, (64, 48))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            mixed += video.encode(frame)
        for packet in sorted(mixed + video.encode(None), key=lambda one: one.dts * one.time_base):
            output.mux(packet)
    target = copy(source, tmp_path / f"b{suffix}", start=start)
    kept = [(time - start, digest) for time, digest in packets(source, 1) if time >= start]
    found = packets(target, 1)
    assert [digest for _, digest in found] == [digest for _, digest in kept]
    assert max(abs(a - b) for (a, _), (b, _) in zip(found, kept, strict=True)) < Fraction(1, 1000)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_creation_time_with_a_fraction_of_a_second_is_kept(tmp_path: Path, suffix: str) -> None:
    """MP4 stores seconds, which failed the verification."""
    clip = make_clip(tmp_path / "a.mkv", 2, metadata={"creation_time": "2024-01-02T03:04:05.678901Z"})
    report = enhance(clip, tmp_path / f"b{suffix}", scale=1, preset="ultrafast", log=False)
    assert report.verification is not None and report.verification.ok
    with av.open(str(tmp_path / f"b{suffix}")) as output:
        assert output.metadata["creation_time"].startswith("2024-01-02T03:04:05.")


def test_a_creation_time_of_a_stream_that_is_not_that_of_the_file_is_noted(tmp_path: Path) -> None:
    """FFmpeg's MP4 muxer gives all streams the time of the file, which failed the verification."""
    made = make_clip(tmp_path / "a.mkv", 2, metadata={"creation_time": "2024-01-02T03:04:05Z"})
    clip = tmp_path / "b.mp4"
    enhance(made, clip, scale=1, preset="ultrafast", log=False)
    data = bytearray(clip.read_bytes())
    data[data.index(b"mdhd") + 11] ^= 127  # seconds of the stream, which follow four bytes of version and flags
    clip.write_bytes(data)
    notes = Notes()
    report = enhance(clip, tmp_path / "c.mp4", scale=1, preset="ultrafast", log=False, on_note=notes.add)
    assert report.verification is not None and report.verification.ok
    assert "left out: tags creation_time of #0 (.mp4 cannot hold them)" in notes.texts
    assert not any("creation_time" in note.text for note in lost_streams(made, tmp_path / "d.mp4"))


@pytest.mark.parametrize("change", ["audio that is off", "audio of an unknown codec"])
def test_a_file_has_no_difference_to_itself(tmp_path: Path, change: str) -> None:
    """MP4 switches the only audio track on, and cannot take what FFmpeg does not know: an output, not every file."""
    clip = make_clip(tmp_path / "a.mp4", 2, audio=1)
    data = bytearray(clip.read_bytes())
    if change == "audio that is off":
        data[data.rindex(b"tkhd") + 7] = 2
    else:
        at = data.index(b"mp4a")
        data[at : at + 4] = b"none"
    clip.write_bytes(data)
    assert verify(clip, clip).failures == ()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_start_of_zero_keeps_the_pre_roll_of_the_audio_codec(tmp_path: Path, suffix: str) -> None:
    """``--start 0`` of any MP4 with AAC failed the verification: "frame times: found 21 ms"."""
    clip = make_clip(tmp_path / "a.mp4", 2, audio=1)
    report = enhance(clip, tmp_path / f"b{suffix}", scale=1, start=0, preset="ultrafast", log=False)
    assert report.verification is not None and report.verification.ok
    assert verify(clip, tmp_path / f"b{suffix}", start=0).ok
    assert len(packets(tmp_path / f"b{suffix}", 1)) == len(packets(clip, 1))
