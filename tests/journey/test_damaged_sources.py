"""Damaged sources that are complete: what can be read is written, verified and counted; exit code 4."""

from dataclasses import replace
from pathlib import Path

import av
import pytest

from tests.clips import make_clip
from tests.commands import run_vidsr
from vidsr import enhance
from vidsr.errors import ExitCode, Notes, OutputError
from vidsr.frames import FrameBatch
from vidsr.options.codecs import Encoding
from vidsr.pipeline.report import RunReport
from vidsr.video import VideoReader, VideoWriter
from vidsr.video.containers import lost_tags, stream_tags

QUICK = {"scale": 1, "model": "nearest", "preset": "ultrafast", "log": False}


def remuxed(source: Path, target: Path, language: str = "deu", empty: bool = False, most: int = 999) -> Path:
    """Copy a clip packet for packet, with a language of its audio, and perhaps a second track without packets.

    ``most``: how many packets of audio to copy.
    """
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        copies = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        copies[1].metadata["language"] = language
        if empty:
            new.add_stream_from_template(old.streams.audio[0])
        for packet in old.demux():
            most -= packet.stream.type == "audio"
            if packet.size and (packet.stream.type == "video" or most >= 0):
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
    return target


def move_audio(source: Path, target: Path, number: int, milliseconds: int) -> Path:
    """Copy a Matroska file with audio packet ``number`` that begins ``milliseconds`` before the one that it follows.

    Its time stands in the two bytes before the block's flags.
    """
    with av.open(str(source)) as clip:
        payloads = [bytes(packet) for packet in clip.demux(audio=0) if packet.size][number - 1 : number + 1]
    data = bytearray(source.read_bytes())
    before, at = (data.index(payload) - 3 for payload in payloads)
    time = int.from_bytes(data[before : before + 2], "big", signed=True) - milliseconds
    data[at : at + 2] = time.to_bytes(2, "big", signed=True)
    target.write_bytes(data)
    return target


@pytest.fixture(scope="module")
def sounding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(
        tmp_path_factory.mktemp("damaged") / "a.mkv", frames=25, size=(64, 48), audio=True, options={"bf": "0"}
    )


def verified(source: Path, target: Path) -> RunReport:
    report = enhance(source, target, **QUICK)
    assert report.verification is not None and report.verification.ok
    return report


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_track_without_packets_is_no_lost_track(sounding: Path, tmp_path: Path, suffix: str) -> None:
    """A damaged Matroska file that lists its tracks twice: MP4 has no track without packets."""
    source = remuxed(sounding, tmp_path / "b.mkv", empty=True)
    verified(source, tmp_path / f"c{suffix}")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_audio_that_ends_before_playback_begins_is_verified(sounding: Path, tmp_path: Path, suffix: str) -> None:
    """Of the audio of a damaged clip the first packet was left, the codec's pre-roll: MP4 begins it at zero."""
    source = remuxed(sounding, tmp_path / "b.mkv", most=1)
    with av.open(str(source)) as clip:
        assert [packet.pts for packet in clip.demux(audio=0) if packet.size] == [-21]
    verified(source, tmp_path / f"c{suffix}")


@pytest.mark.parametrize("matrix", [(-721354752, 0, 0, 0, 65536), (65536, 3584, 0, 0, 65536)])
def test_a_display_matrix_that_distorts_is_left_out_of_matroska_with_a_note(
    sounding: Path, tmp_path: Path, matrix: tuple[int, ...]
) -> None:
    """A damaged matrix: Matroska stores angles, and the missing rotation failed the verification."""
    with VideoReader(sounding) as reader:
        info = replace(reader.info, display_matrix=(*matrix, 0, 0, 0, 1 << 30))
        with VideoWriter(tmp_path / "b.mp4", info, Encoding(preset="ultrafast")) as writer:
            for batch in reader.batches(25):
                writer.write(batch)
    notes = Notes()
    for suffix in (".mkv", ".mp4"):
        report = enhance(tmp_path / "b.mp4", tmp_path / f"c{suffix}", on_note=notes.add, **QUICK)
        assert report.verification is not None and report.verification.ok
    assert sum("Matroska cannot hold it" in text for text in notes.texts) == 1


@pytest.mark.parametrize("milliseconds", [0, 1, 21])
def test_a_packet_at_the_time_of_an_earlier_one_is_moved_and_counted(
    sounding: Path, tmp_path: Path, milliseconds: int
) -> None:
    """One packet of a damaged clip lay 21 ms before its place: the repair was held against the output."""
    source = move_audio(sounding, tmp_path / "b.mkv", 10, milliseconds)
    report = verified(source, tmp_path / "c.mp4")
    assert report.counts["packet_times_repaired"] == 1


def test_audio_packets_without_a_duration_are_all_played_from_mp4(sounding: Path, tmp_path: Path) -> None:
    """In a damaged Matroska file the codec's data was broken, and MP4 left out the last packet: exit code 5."""
    with av.open(str(sounding)) as clip:
        private = clip.streams.audio[0].codec_context.extradata
    assert private is not None
    source = tmp_path / "b.mkv"
    source.write_bytes(sounding.read_bytes().replace(private, bytes(len(private))))
    with av.open(str(source)) as clip:
        assert {packet.duration for packet in clip.demux(audio=0) if packet.size} == {0}
    verified(source, tmp_path / "c.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_d16_a_recording_with_a_damaged_audio_packet_is_verified_and_counted(tmp_path: Path, suffix: str) -> None:
    """The muxer refuses a packet whose ADTS header is broken: that was held against the output, as a bug of vidsr."""
    whole = make_clip(tmp_path / "a.ts", frames=25, size=(64, 48), audio=True, options={"bf": "0"})
    with av.open(str(whole)) as clip:
        beginnings = [bytes(packet)[:24] for packet in clip.demux(audio=0) if packet.size]
    data = bytearray(whole.read_bytes())
    at = next(data.index(one) for one in beginnings[10:] if data.count(one) == 1)  # in one piece
    data[at : at + 7] = bytes(7)  # the header
    source = tmp_path / "b.ts"
    source.write_bytes(data)
    report = verified(source, tmp_path / f"c{suffix}")
    assert sum(report.counts[name] for name in report.counts if "packet" in name), report.counts


@pytest.mark.parametrize(("language", "kept"), [("deu", True), ("d\x01u", False), ("de", False), ("DEU", False)])
def test_a_language_code_with_a_broken_byte_is_left_out_of_mp4(language: str, kept: bool) -> None:
    tags = {"language": language}
    assert (stream_tags("mp4", tags) == tags) is kept
    assert lost_tags("mp4", tags, {}) == ([] if kept else ["language"])
    assert stream_tags("matroska", tags) == tags and lost_tags("matroska", tags, {}) == []


def test_a_clip_with_a_broken_language_code_becomes_a_verified_mp4(sounding: Path, tmp_path: Path) -> None:
    source = remuxed(sounding, tmp_path / "b.mkv", language="fr9")
    notes = Notes()
    report = enhance(source, tmp_path / "c.mp4", on_note=notes.add, **QUICK)
    assert report.verification is not None and report.verification.ok
    assert any("left out: tags language of #1" in text for text in notes.texts)


def damaged_clip(path: Path) -> Path:
    """A clip whose middle frame cannot be decoded."""
    make_clip(path, frames=9, size=(64, 48), codec="mjpeg", pix_fmt="yuvj420p")
    with av.open(str(path)) as clip:
        packet = [bytes(packet) for packet in clip.demux(video=0) if packet.size][4]
    data = path.read_bytes()
    path.write_bytes(data.replace(packet, bytes(len(packet))))
    return path


def test_a_damaged_source_ends_with_exit_code_4_and_a_count(tmp_path: Path) -> None:
    damaged_clip(tmp_path / "a.mkv")
    arguments = ("--scale", "2", "--model", "nearest", "--preset", "ultrafast")
    result = run_vidsr("enhance", tmp_path / "a.mkv", *arguments)
    assert result.returncode == ExitCode.TRUNCATED, result.stderr
    assert "8 frames" in result.stderr and "damaged  verified" in result.stderr
    whole = make_clip(tmp_path / "b.mkv", frames=3, size=(64, 48))
    assert run_vidsr("enhance", whole, *arguments).returncode == ExitCode.DONE


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (av.error.OSError(28, "No space left on device", ""), "no space left on device): check the disk"),
        (
            av.error.InvalidDataError(1094995529, "Invalid data found", ""),
            "invalid data found): choose another container",
        ),
    ],
)
def test_a_packet_that_the_muxer_refuses_is_not_blamed_on_the_disk(
    sounding: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def refuse(*_: object) -> None:
        raise error

    with (
        VideoReader(sounding) as reader,
        pytest.raises(OutputError) as raised,
        VideoWriter(tmp_path / "b.mkv", reader.info, Encoding(preset="ultrafast")) as writer,
    ):
        monkeypatch.setattr(writer, "_output", Refusing(writer._output, refuse))
        for batch in reader.batches(25):
            writer.write(batch)
    assert words in str(raised.value)
    assert list(tmp_path.iterdir()) == []


class Refusing:
    """An output container whose muxer accepts no packet."""

    def __init__(self, output: object, refuse: object) -> None:
        self._output, self.mux = output, refuse

    def __getattr__(self, name: str) -> object:
        return getattr(self._output, name)


@pytest.mark.parametrize("fate", ["grows", "is replaced"])
def test_a_source_that_changes_during_a_run_is_named_and_not_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    """The verification failed, with exit code 5 and a line about the output."""
    clip = make_clip(tmp_path / "a.mkv", frames=6, size=(64, 48), audio=True)
    other = make_clip(tmp_path / "b.mkv", frames=4, size=(64, 48))
    write = VideoWriter.write

    def change(writer: VideoWriter, batch: FrameBatch) -> None:
        if fate == "grows":
            clip.write_bytes(clip.read_bytes() + b"more")
        elif other.exists():
            other.replace(clip)
        write(writer, batch)

    monkeypatch.setattr(VideoWriter, "write", change)
    result = run_vidsr("enhance", clip, "-o", tmp_path / "out.mkv", "--scale", "2", "--model", "nearest")
    assert result.returncode == ExitCode.BAD_REQUEST
    line = "a.mkv changed while it was being read: give the same command again once nothing writes to it"
    assert f"{line}; kept as out.failed.mkv" in result.stderr
    assert not (tmp_path / "out.mkv").exists()
