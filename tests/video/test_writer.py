"""Writing clips: lossless with a lossless codec, exact times, the tags of the source, complete or no file."""

import math
import os
import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.clips import make_clip, read_number
from tests.limits import no_more_than
from tests.tiers import examples
from vidsr.errors import Notes, OptionError, OutputError
from vidsr.frames import Chroma, ColorInfo, FrameBatch, HdrInfo, Origin, VideoInfo
from vidsr.options.codecs import CODECS, Encoding
from vidsr.runtime.output_file import OutputFile
from vidsr.runtime.unfinished import is_unfinished
from vidsr.video import NullWriter, VideoReader, VideoWriter, nearest_format, open_writer, probe
from vidsr.video.encoder import MATROSKA_TICK, next_stamp, tick
from vidsr.video.sidedata import scaled_matrix

FFV1 = Encoding("ffv1")
FAST = Encoding(preset="ultrafast")


def some_frames(info: VideoInfo, n: int = 5, times: list[Fraction] | None = None) -> FrameBatch:
    random = np.random.default_rng(info.depth)
    width, height = info.chroma_size

    def plane(channels: int, height: int, width: int) -> torch.Tensor:
        codes = random.integers(0, info.peak + 1, (n, channels, height, width))
        return torch.from_numpy(codes.astype(np.uint8 if info.depth == 8 else np.uint16))

    times = times or [i / (info.fps or Fraction(25)) for i in range(n)]
    uv = None if info.chroma == "gray" else plane(2, height, width)
    return FrameBatch(plane(1, info.height, info.width), uv, tuple(times), tuple(Origin(i) for i in range(n)))


def write(path: Path, batch: FrameBatch, info: VideoInfo, encoding: Encoding, **arguments: Any) -> VideoInfo:
    with VideoWriter(path, info, encoding, **arguments) as writer:
        writer.write(batch)
    return probe(path)


def read(path: Path) -> FrameBatch:
    with VideoReader(path) as reader:
        (batch,) = reader.batches(1000)
    return batch


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


CHROMAS: list[Chroma] = ["gray", "420", "422", "444"]


@pytest.mark.parametrize("size", [(64, 48), (65, 49), (1921, 16)])
@pytest.mark.parametrize(("chroma", "depth"), list(product(CHROMAS, [8, 10, 12])))
def test_ffv1_returns_every_code_value(tmp_path: Path, chroma: Chroma, depth: int, size: tuple[int, int]) -> None:
    info = VideoInfo(*size, Fraction(25), chroma, depth)
    batch = some_frames(info)
    found = write(tmp_path / "a.mkv", batch, info, FFV1)
    assert (found.chroma, found.depth, found.width, found.height) == (chroma, depth, *size)
    back = read(tmp_path / "a.mkv")
    assert torch.equal(back.y, batch.y)
    assert back.times == batch.times
    assert (batch.uv is None) or (back.uv is not None and torch.equal(back.uv, batch.uv))


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(120)])
def test_frame_times_are_exact_after_three_hours(tmp_path: Path, suffix: str, fps: Fraction) -> None:
    info = VideoInfo(64, 48, fps, time_base=None)
    hops = [int(fps * seconds) for seconds in range(0, 3 * 3600 + 1, 900)]  # MP4 has 32 bits from frame to frame
    times = [i / fps for hop in hops for i in (hop, hop + 1)]
    found = write(tmp_path / f"a{suffix}", some_frames(info, len(times), times), info, FAST)
    assert list(read(tmp_path / f"a{suffix}").times) == times
    assert found.time_base is not None


@given(
    stamps=st.lists(st.integers(0, 10**6), min_size=2, max_size=6, unique=True).map(sorted),
    base=st.sampled_from([Fraction(1, 1000), Fraction(1, 90000), Fraction(1001, 30000), Fraction(1, 48000)]),
)
@examples(15)
def test_mp4_keeps_any_frame_times_of_the_source(
    tmp_path_factory: pytest.TempPathFactory, stamps: list[int], base: Fraction
) -> None:
    path = tmp_path_factory.mktemp("t") / "a.mp4"
    info = VideoInfo(64, 48, Fraction(25), time_base=base)
    times = [stamp * base for stamp in stamps]
    write(path, some_frames(info, len(times), times), info, FAST)
    assert list(read(path).times) == times


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_matroska_rounds_times_to_milliseconds_once(tmp_path: Path, suffix: str) -> None:
    info = VideoInfo(64, 64, Fraction(60000, 1001))
    times = [3 * 3600 + i / Fraction(60000, 1001) for i in range(40)]
    write(tmp_path / f"a{suffix}", some_frames(info, 40, times), info, Encoding("libvpx-vp9", preset="8"))
    back = read(tmp_path / f"a{suffix}").times
    assert max(abs(a - b) for a, b in zip(times, back, strict=True)) <= Fraction(1, 2000)


@pytest.mark.parametrize(
    ("ticks", "milliseconds"),
    [
        ([0, 3600, 3601, 3602, 7200], [0, 40, 41, 42, 80]),
        ([0, 30, 60, 90], [0, 1, 2, 3]),  # the last one would be at 1 ms
        ([0, 45, 90], [0, 1, 2]),
        ([0, 90, 180], [0, 1, 2]),
    ],
)
def test_frames_closer_than_the_milliseconds_of_matroska_stay_in_order(
    tmp_path: Path, ticks: list[int], milliseconds: list[int]
) -> None:
    """A damaged AVI, and a clip of variable rate at twice its rate, failed: "times strictly increase: no"."""
    times = [Fraction(tick, 90_000) for tick in ticks]
    info = VideoInfo(64, 48, Fraction(25), time_base=Fraction(1, 90_000))
    with VideoWriter(tmp_path / "a.mkv", info, FFV1) as writer:
        writer.write(some_frames(info, len(times), times))
    back = read(tmp_path / "a.mkv").times
    assert list(back) == [Fraction(number, 1000) for number in milliseconds]
    assert max(abs(a - b) for a, b in zip(writer.expected.times, back, strict=True)) <= Fraction(1, 2000)


@given(
    times=st.lists(st.integers(0, 3000), min_size=1, max_size=12).map(sorted),
    base=st.sampled_from([Fraction(1, 1000), Fraction(1, 90_000), Fraction(1001, 60_000), Fraction(1, 1200)]),
)
@examples(30)
def test_the_next_stamp_is_the_first_one_that_is_later_in_the_encoder_and_in_the_file(
    times: list[int], base: Fraction
) -> None:
    def in_file(stamp: int) -> int:
        return math.floor(stamp * base / MATROSKA_TICK + Fraction(1, 2))

    last = None
    for time in times:
        stamp = round(Fraction(time, 48_000) / base)
        while last is not None and (stamp <= last or in_file(stamp) <= in_file(last)):
            stamp += 1
        assert next_stamp(Fraction(time, 48_000), last, base, MATROSKA_TICK) == stamp
        last = stamp


@pytest.mark.parametrize(
    ("codec", "option", "refused"),
    [
        ("libx264", "x264-params=foo=bar:keyint=9", "foo"),
        ("libx264", "x264-params=keyint=abc", "keyint"),
        ("libx265", "x265-params=foo=bar", "foo"),
        ("libsvtav1", "svtav1-params=foo=bar", "foo"),
    ],
)
def test_d17_a_parameter_that_the_library_of_the_encoder_ignores_is_refused(
    tmp_path: Path, codec: str, option: str, refused: str
) -> None:
    info = VideoInfo(64, 64, Fraction(25))
    with pytest.raises(OptionError, match=f"does not know {refused}, or refuses its value"):
        VideoWriter(tmp_path / "a.mkv", info, Encoding.parse(codec, options=[option]))
    assert not list(tmp_path.iterdir())
    known = f"{option.partition('=')[0]}=keyint=9"
    VideoWriter(tmp_path / "a.mkv", info, Encoding.parse(codec, options=[known]))._abandon()


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_d17_a_rate_finer_than_the_milliseconds_of_matroska_is_refused_before_the_work(
    tmp_path: Path, suffix: str
) -> None:
    codec = "libx264" if suffix == ".mkv" else "libvpx-vp9"
    with pytest.raises(OptionError, match=r"keeps times to a millisecond, too coarse for 2000 frames per second"):
        VideoWriter(tmp_path / f"a{suffix}", VideoInfo(64, 48, Fraction(2000)), Encoding(codec))
    assert not list(tmp_path.iterdir())
    VideoWriter(tmp_path / f"a{suffix}", VideoInfo(64, 48, Fraction(1000)), Encoding(codec))._abandon()


def test_times_within_one_tick_stay_in_order(tmp_path: Path) -> None:
    info = VideoInfo(64, 48, Fraction(25), time_base=Fraction(1, 1000))
    times = [Fraction(0), Fraction(1, 10000), Fraction(2, 10000), Fraction(1, 10)]
    write(tmp_path / "a.mp4", some_frames(info, 4, times), info, FAST)
    assert [int(time * 1000) for time in read(tmp_path / "a.mp4").times] == [0, 1, 2, 100]


def test_time_base_is_that_of_the_source_or_fits_the_rate() -> None:
    assert tick(VideoInfo(2, 2, Fraction(25), time_base=Fraction(1, 12800))) == Fraction(1, 12800)
    for fps in (Fraction(24000, 1001), Fraction(144), Fraction(1, 3)):
        assert (1 / fps / tick(VideoInfo(2, 2, fps))).denominator == 1


def test_start_moves_times_to_zero(tmp_path: Path) -> None:
    info = VideoInfo(64, 48, Fraction(25))
    batch = some_frames(info, 3, [10 + Fraction(i, 25) for i in range(3)])
    write(tmp_path / "a.mp4", batch, info, FAST, start=Fraction(10))
    assert list(read(tmp_path / "a.mp4").times) == [Fraction(i, 25) for i in range(3)]


COLORS = [
    ColorInfo("bt709", "bt709", "bt709", "limited", "left"),
    ColorInfo("bt709", "bt709", "iec61966-2-1", "full", "center"),
    ColorInfo("smpte170m", "smpte170m", "smpte170m", "limited", "left"),
    ColorInfo("bt470bg", "bt470bg", "bt709", "limited", "topleft"),
    ColorInfo("bt2020nc", "bt2020", "smpte2084", "limited", "topleft"),
    ColorInfo("bt2020nc", "bt2020", "arib-std-b67", "limited", "left"),
]
ENCODERS = [("libx264", ".mp4", 10), ("libx264", ".mkv", 8), ("libx265", ".mp4", 10), ("libx265", ".mkv", 8)]
ENCODERS += [("libsvtav1", ".mp4", 10), ("libvpx-vp9", ".webm", 8), ("ffv1", ".mkv", 10), ("prores_ks", ".mov", 10)]


def quick(codec: str) -> Encoding:
    speed = CODECS[codec].speed
    presets = {"libsvtav1": "12", "libvpx-vp9": "8"}
    return Encoding(codec, preset=None if speed is None else presets.get(codec, "ultrafast"))


def ffprobe(path: Path) -> dict[str, str]:
    entries = "stream=color_range,color_space,color_transfer,color_primaries,chroma_location,sample_aspect_ratio"
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "default=nk=0:nw=1"]
    text = subprocess.run([*command, str(path)], capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.mark.parametrize("color", COLORS, ids=lambda c: f"{c.matrix}-{c.transfer}-{c.range}")
@pytest.mark.parametrize(("codec", "suffix", "depth"), ENCODERS)
def test_colour_tags_read_back_the_same(tmp_path: Path, codec: str, suffix: str, depth: int, color: ColorInfo) -> None:
    if codec in ("libvpx-vp9", "libsvtav1", "prores_ks", "ffv1"):  # neither stream nor container can hold it
        color = replace(color, chroma_location=None)
    chroma: Chroma = "422" if codec == "prores_ks" else "420"
    container_holds_all = (codec, suffix) not in {("libvpx-vp9", ".webm"), ("ffv1", ".mkv")}
    sar = Fraction(4, 3) if container_holds_all else Fraction(1)
    info = VideoInfo(64, 64, Fraction(25), chroma, depth, color, sar=sar)
    with VideoWriter(tmp_path / f"a{suffix}", info, quick(codec)) as writer:
        writer.write(some_frames(info, 2))
    found = probe(tmp_path / f"a{suffix}")
    if (codec, color.range) == ("prores_ks", "full"):
        assert "full range" in writer.notes.texts[0]
        return
    assert not writer.notes
    assert replace(found.color, chroma_location=color.chroma_location and found.color.chroma_location) == color
    assert found.sar == sar
    if shutil.which("ffprobe"):
        fields = ffprobe(tmp_path / f"a{suffix}")
        assert (fields["color_space"], fields["color_primaries"], fields["color_transfer"], fields["color_range"]) == (
            color.matrix, color.primaries, color.transfer, {"limited": "tv", "full": "pc"}[color.range or "limited"],
        )  # fmt: skip
        assert fields["sample_aspect_ratio"] in (f"{sar.numerator}:{sar.denominator}", "N/A" if sar == 1 else "")


@pytest.mark.parametrize("codec", ["libvpx-vp9", "ffv1", "libsvtav1"])
def test_matroska_loses_the_aspect_ratio_with_a_note_and_mp4_keeps_it(tmp_path: Path, codec: str) -> None:
    info = VideoInfo(64, 64, Fraction(25), sar=Fraction(4, 3))
    with VideoWriter(tmp_path / "a.mkv", info, quick(codec)) as writer:
        writer.write(some_frames(info, 2))
    assert "sample aspect ratio 4/3" in writer.notes.texts[0]
    assert write(tmp_path / "a.mp4", some_frames(info, 2), info, quick(codec)).sar == Fraction(4, 3)


def test_mp4_loses_the_matrix_of_ffv1_alone_with_a_note_and_matroska_keeps_it(tmp_path: Path) -> None:
    """A GIF has no other colour tag: its sound copy in MP4 failed the verification."""
    info = VideoInfo(64, 64, Fraction(25), "444", color=ColorInfo(matrix="smpte170m", range="limited"))
    for suffix, matrix in ((".mp4", None), (".mkv", "smpte170m")):
        with VideoWriter(tmp_path / f"a{suffix}", info, FFV1) as writer:
            writer.write(some_frames(info, 2))
        assert probe(tmp_path / f"a{suffix}").color.matrix == matrix
        assert any("colour tags" in text for text in writer.notes.texts) == (suffix == ".mp4")
        assert writer.expected is not None and writer.expected.info.color.matrix == matrix


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9"])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_very_short_clips_keep_their_times(tmp_path: Path, codec: str, n: int) -> None:
    """x265 leaves the decoding times of clips shorter than its run of B-frames unset."""
    info = VideoInfo(64, 64, Fraction(25))
    write(tmp_path / "a.mp4", some_frames(info, n), info, quick(codec))
    assert list(read(tmp_path / "a.mp4").times) == [Fraction(i, 25) for i in range(n)]


BT2020 = tuple((Fraction(x), Fraction(y)) for x, y in (("0.708", "0.292"), ("0.17", "0.797"), ("0.131", "0.046")))
HDR = HdrInfo(
    BT2020, (Fraction("0.3127"), Fraction("0.329")), (Fraction("0.005"), Fraction(1000)), 1000, 400  # type: ignore[arg-type]
)  # fmt: skip


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_hdr10_metadata_is_kept(tmp_path: Path, codec: str) -> None:
    color = ColorInfo("bt2020nc", "bt2020", "smpte2084", "limited", "topleft")
    info = VideoInfo(64, 64, Fraction(25), "420", 10, color, hdr=HDR)
    found = write(tmp_path / "a.mp4", some_frames(info, 2), info, quick(codec)).hdr
    assert found is not None
    assert (found.max_cll, found.max_fall) == (1000, 400)
    assert found.primaries is not None
    assert found.luminance is not None
    for pair, expected in zip(found.primaries, BT2020, strict=True):
        assert [float(value) for value in pair] == pytest.approx([float(value) for value in expected], abs=2e-5)
    assert [float(value) for value in found.luminance] == pytest.approx([0.005, 1000], rel=0.03)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_display_matrix_is_kept(tmp_path: Path, suffix: str, degrees: int) -> None:
    source = probe(make_clip(tmp_path / "s.mp4", frames=1, rotation=degrees))
    assert abs(source.rotation) == abs(degrees)
    found = write(tmp_path / f"a{suffix}", some_frames(source, 2), source, FAST)
    assert found.display_matrix == source.display_matrix
    assert found.rotation == source.rotation


def test_display_matrix_moves_an_upscaled_frame_into_view() -> None:
    """A portrait clip of a phone: a quarter turn, then a shift by the height."""
    one = 1 << 16
    turned = (0, one, 0, -one, 0, 0, 1080 * one, 0, 1 << 30)
    assert scaled_matrix(turned, 4 * 1920, 4 * 1080) == (0, one, 0, -one, 0, 0, 4 * 1080 * one, 0, 1 << 30)
    unmoved = (0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    assert scaled_matrix(unmoved, 7, 9) == unmoved


@pytest.mark.parametrize(
    ("codec", "chroma", "depth", "expected"),
    [
        ("libx264", "420", 12, ("420", 10)),
        ("libx264", "444", 10, ("444", 10)),
        ("libx265", "422", 12, ("422", 12)),
        ("libsvtav1", "444", 12, ("420", 10)),
        ("libvpx-vp9", "gray", 8, ("420", 8)),
        ("prores_ks", "420", 8, ("422", 10)),
        ("hevc_nvenc", "420", 10, ("420", 10)),
    ],
)
def test_nearest_format_keeps_chroma_and_depth_or_notes_the_change(
    codec: str, chroma: Chroma, depth: int, expected: tuple[Chroma, int]
) -> None:
    notes = Notes()
    info = nearest_format(VideoInfo(64, 48, Fraction(25), chroma, depth), Encoding(codec), notes)
    assert (info.chroma, info.depth) == expected
    assert bool(notes) == (expected != (chroma, depth))


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", ".mp4"), ("libx265", ".mkv"), ("libsvtav1", ".mp4")])
def test_odd_420_size_is_padded_by_repeating_the_edge_with_a_note(tmp_path: Path, codec: str, suffix: str) -> None:
    info = VideoInfo(65, 67, Fraction(25))
    batch = some_frames(info, 2)
    smooth = batch.planes(torch.full_like(batch.y, 90), torch.full_like(batch.uv, 120))  # type: ignore[arg-type]
    with VideoWriter(tmp_path / f"a{suffix}", info, quick(codec)) as writer:
        writer.write(smooth)
    assert any("66x68" in note for note in writer.notes.texts)
    found = read(tmp_path / f"a{suffix}")
    assert found.y.shape[-2:] == (68, 66)
    assert (found.y.int() - 90).abs().max() <= 2


@pytest.mark.parametrize(
    ("codec", "chroma", "depth"), [("libsvtav1", "444", 8), ("libvpx-vp9", "gray", 8), ("libx264", "420", 12)]
)
def test_formats_that_the_encoder_does_not_support_are_converted(
    tmp_path: Path, codec: str, chroma: Chroma, depth: int
) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=3, codec="ffv1", size=(64, 64),
                       pix_fmt={"444": "yuv444p", "gray": "gray", "420": "yuv420p12le"}[chroma])  # fmt: skip
    with VideoReader(source) as reader, VideoWriter(tmp_path / "b.mkv", reader.info, quick(codec)) as writer:
        for batch in reader.batches(3):
            writer.write(batch)
    back = read(tmp_path / "b.mkv")
    assert [read_number(y[0].numpy()) for y in back.y] == [0, 1, 2]
    shift = probe(tmp_path / "b.mkv").depth - depth
    error = back.y.float() / 2.0**shift - batch.y.float()
    assert error.abs().mean() / 2 ** (depth - 8) < 2, "neither range nor depth may change"


def test_no_frame_is_one_clear_error_and_leaves_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="would hold no frame"),
        VideoWriter(tmp_path / "a.mp4", VideoInfo(64, 48, Fraction(25)), FAST),
    ):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9"])
def test_thread_count_is_accepted_by_every_encoder(tmp_path: Path, codec: str) -> None:
    info = VideoInfo(64, 64, Fraction(25))
    assert write(tmp_path / "a.mkv", some_frames(info), info, replace(quick(codec), threads=1)).frames is not None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="the encoder leaves users but root alone")
def test_an_av1_encoder_of_root_does_not_take_the_machine_with_real_time_threads(tmp_path: Path) -> None:
    before = os.sched_getscheduler(0)
    writer = VideoWriter(tmp_path / "a.mkv", VideoInfo(128, 128, Fraction(25)), Encoding("libsvtav1", preset="12"))
    threads = list(Path("/proc/self/task").iterdir())
    schedulers = {os.sched_getscheduler(int(thread.name)) for thread in threads}
    writer._abandon()
    assert len(threads) > 10  # those of the encoder
    assert schedulers == {before}


@pytest.mark.parametrize("slices", [False, True])
def test_x264_uses_frame_threads_unless_memory_is_short(tmp_path: Path, slices: bool) -> None:
    info = VideoInfo(320, 240, Fraction(25))  # high enough for two slices
    path = tmp_path / "a.mp4"
    write(path, some_frames(info), info, replace(quick("libx264"), slices=slices, threads=2))
    assert f"sliced_threads={slices:d}".encode() in path.read_bytes()


def test_null_codec_writes_nothing(tmp_path: Path) -> None:
    info = VideoInfo(64, 48, Fraction(25))
    with open_writer(tmp_path / "a.mp4", info, Encoding("null")) as writer:
        writer.write(some_frames(info))
    assert isinstance(writer, NullWriter)
    assert names(tmp_path) == []
    assert isinstance(open_writer(tmp_path / "a.mp4", info, FAST), VideoWriter)


def test_the_file_appears_when_complete_and_an_exception_leaves_no_file(tmp_path: Path) -> None:
    info = VideoInfo(64, 48, Fraction(25))
    with VideoWriter(tmp_path / "a.mp4", info, FAST) as writer:
        writer.write(some_frames(info))
        (unfinished,) = tmp_path.iterdir()
        assert is_unfinished(unfinished)
    assert names(tmp_path) == ["a.mp4"]
    before = (tmp_path / "a.mp4").read_bytes()
    output = OutputFile(tmp_path / "a.mp4", overwrite=True)
    with pytest.raises(KeyboardInterrupt), VideoWriter(output.path, info, FAST, output.path, output=output) as writer:
        writer.write(some_frames(info))
        raise KeyboardInterrupt
    assert names(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == before


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        (Encoding("libx265x"), "--codec libx265x is not in this FFmpeg build"),
        (Encoding("aac"), "encodes audio"),
        (Encoding(options=(("tunes", "grain"),)), "--encoder-option tunes is unknown to libx264"),
    ],
)
def test_unknown_codec_or_option_is_one_clear_error(tmp_path: Path, encoding: Encoding, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        VideoWriter(tmp_path / "a.mp4", VideoInfo(64, 48, Fraction(25)), encoding)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "encoding", "message"),
    [
        ("a.xyz", FAST, "names no output container"),
        ("a.webm", FAST, "webm cannot hold libx264"),
        ("a.mp4", Encoding(options=(("tune", "nonsense"),)), "does not start"),
        ("none/a.mp4", FAST, r"none/a\.mp4 cannot be written \(No such file"),
    ],
)
def test_an_impossible_output_is_one_clear_error(tmp_path: Path, name: str, encoding: Encoding, message: str) -> None:
    with pytest.raises(OutputError, match=message) as error:
        VideoWriter(tmp_path / name, VideoInfo(64, 48, Fraction(25)), encoding)
    assert "\n" not in str(error.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_full_disk_is_one_clear_error_and_leaves_no_file(tmp_path: Path, suffix: str) -> None:
    info = VideoInfo(256, 256, Fraction(25))
    batch = some_frames(info, 40)
    with no_more_than(100_000), pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / f"a{suffix}", batch, info, FAST)
    assert names(tmp_path) == []


def test_copied_packets_are_read_no_further_than_the_video(tmp_path: Path) -> None:
    """Copied packets are read up to the time of the encoded frames, not all at once."""
    source = make_clip(tmp_path / "a.mkv", frames=250, audio=True)
    with VideoReader(source) as reader, VideoWriter(tmp_path / "b.mkv", reader.info, FAST, source) as writer:
        positions = []
        for batch in reader.batches(25):
            writer.write(batch)
            assert writer._copier is not None
            positions.append(max(writer._copier._last.values(), default=0))
    assert positions[0] < 1000
    assert all(a < b for a, b in pairwise(positions))
