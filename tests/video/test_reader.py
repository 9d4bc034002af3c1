"""Reading clips: exact planes, exact times, and problems that are counted or one clear error."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.clips import make_clip, make_frame, numbered_chroma, numbered_luma, read_number
from vidsr.errors import InputError
from vidsr.frames import FrameBatch, Origin
from vidsr.options.source import Reading
from vidsr.video import VideoReader, probe, streams

LOSSLESS: dict[str, Any] = {"codec": "ffv1"}


def read(path: Path, **arguments: Any) -> tuple[list[FrameBatch], dict[str, int]]:
    with VideoReader(path, **arguments) as reader:
        return list(reader.batches(4)), reader.problems


def numbers(batches: list[FrameBatch]) -> list[int]:
    return [read_number(y[0].numpy()) for batch in batches for y in batch.y]


def times(batches: list[FrameBatch]) -> list[Fraction]:
    return [time for batch in batches for time in batch.times]


PLANAR = [
    (f"{family}{'' if depth == 8 else f'{depth}le'}", family, depth)
    for family in ("gray", "yuv420p", "yuv422p", "yuv444p")
    for depth in (8, 10, 12)
]


@pytest.mark.parametrize("size", [(64, 48), (65, 49), (1, 1), (17, 22)])
@pytest.mark.parametrize(("pix_fmt", "family", "depth"), PLANAR)
def test_planes_are_exact_to_the_code_value(
    tmp_path: Path, pix_fmt: str, family: str, depth: int, size: tuple[int, int]
) -> None:
    path = make_clip(tmp_path / "a.mkv", frames=3, size=size, pix_fmt=pix_fmt, **LOSSLESS)
    with VideoReader(path) as reader:
        (batch,) = reader.batches(4)
        info = reader.info
    assert (info.width, info.height, info.depth) == (*size, depth)
    assert info.chroma == family.removeprefix("yuv").removesuffix("p")
    assert batch.y.dtype == info.dtype
    for number, y in enumerate(batch.y):
        assert np.array_equal(y[0].numpy(), numbered_luma(number, size, depth))
    if batch.uv is None:
        assert family == "gray"
        return
    for number, uv in enumerate(batch.uv):
        assert np.array_equal(uv.numpy(), np.stack(numbered_chroma(number, info.chroma_size, depth)))


def test_batches_have_n_frames_and_a_short_last_one(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", frames=10, **LOSSLESS)
    batches, problems = read(path)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert [origin for batch in batches for origin in batch.origins] == [Origin(i) for i in range(10)]
    assert numbers(batches) == list(range(10))
    assert problems == {}


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), 25])
def test_rates_stay_rational(tmp_path: Path, fps: Fraction) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=9, fps=fps)
    assert probe(path).fps == fps
    assert times(read(path)[0]) == [i / Fraction(fps) for i in range(9)]


def test_non_zero_start_pts(tmp_path: Path) -> None:
    moments = [Fraction(7, 5) + Fraction(i, 25) for i in range(5)]
    path = make_clip(tmp_path / "a.mp4", frames=5, times=moments)
    assert times(read(path)[0]) == moments


def test_variable_frame_rate(tmp_path: Path) -> None:
    moments = [Fraction(i * i, 100) for i in range(8)]
    assert times(read(make_clip(tmp_path / "a.mp4", frames=8, times=moments))[0]) == moments


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
@pytest.mark.parametrize(("start", "end", "frames", "expected"), [
    (Fraction(1), None, None, range(25, 60)),
    (Fraction(1), Fraction(3, 2), None, range(25, 38)),
    (Fraction(101, 100), None, 3, range(26, 29)),
    (None, Fraction(1, 5), None, range(5)),
    (None, None, 7, range(7)),
])  # fmt: skip
def test_time_range(
    tmp_path: Path, suffix: str, start: Fraction | None, end: Fraction | None, frames: int | None, expected: range
) -> None:
    path = make_clip(tmp_path / f"a{suffix}", frames=60, gop=12)
    assert numbers(read(path, start=start, end=end, frames=frames)[0]) == list(expected)


def test_time_range_counts_from_where_playback_begins(tmp_path: Path) -> None:
    """The clock of a broadcast recording begins anywhere; players count from its start."""
    moments = [Fraction(3600) + Fraction(i, 25) for i in range(50)]
    path = make_clip(tmp_path / "a.ts", frames=50, times=moments, gop=10)
    assert numbers(read(path, start=Fraction(0), end=Fraction(1, 5))[0]) == [0, 1, 2, 3, 4]
    batches, _ = read(path, start=Fraction(1), frames=2)
    assert numbers(batches) == [25, 26]
    assert times(batches)[0] - times(read(path)[0])[0] == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_a_range_without_frames_is_one_clear_error(tmp_path: Path, suffix: str) -> None:
    path = make_clip(tmp_path / f"a{suffix}", frames=20)
    with pytest.raises(InputError, match="no frame from 9 s to its end"):
        read(path, start=Fraction(9))


@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "3"}])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video"])
def test_avi_with_reordered_frames(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    path = make_clip(tmp_path / "a.avi", frames=20, gop=6, codec=codec, options=options)
    batches, problems = read(path)
    assert numbers(batches) == list(range(20))
    assert times(batches) == [Fraction(i, 25) for i in range(20)]
    assert problems == {}


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "chroma"),
    [("yuvj420p", "mjpeg", "420"), ("yuvj422p", "mjpeg", "422"), ("yuvj444p", "mjpeg", "444")],
)
def test_full_range_pixel_format_becomes_a_range_tag(tmp_path: Path, pix_fmt: str, codec: str, chroma: str) -> None:
    path = make_clip(tmp_path / "a.avi", frames=2, pix_fmt=pix_fmt, codec=codec, options={"qmin": "1", "qmax": "1"})
    batches, _ = read(path)
    info = probe(path)
    assert (info.chroma, info.color.range) == (chroma, "full")
    assert np.abs(batches[0].y[0, 0].numpy().astype(int) - numbered_luma(0, (64, 48)).astype(int)).mean() < 1


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "chroma", "depth"),
    [
        ("rgb24", "png", "444", 8),
        ("rgb48be", "png", "444", 16),
        ("bgr0", "ffv1", "444", 8),
        ("gbrp10le", "ffv1", "444", 10),
        ("yuv411p", "ffv1", "422", 8),
        ("yuv410p", "ffv1", "420", 8),
        ("yuv440p", "ffv1", "444", 8),
        ("nv12", "rawvideo", "420", 8),
        ("yuyv422", "rawvideo", "422", 8),
    ],
)
def test_other_formats_become_the_nearest_planar_one(
    tmp_path: Path, pix_fmt: str, codec: str, chroma: str, depth: int
) -> None:
    path = make_clip(tmp_path / "a.nut", frames=3, pix_fmt=pix_fmt, codec=codec)
    info = probe(path)
    assert (info.chroma, info.depth) == (chroma, depth)
    batches, _ = read(path)
    assert numbers(batches) == [0, 1, 2]
    if "rgb" in pix_fmt or "bgr" in pix_fmt or "gbr" in pix_fmt:
        assert (info.color.matrix, info.color.range) == ("smpte170m", "limited")
        white = make_frame(0, (64, 48), pix_fmt).reformat(format="yuv444p").to_ndarray()[0]
        luma = batches[0].y[0, 0].numpy() / 2 ** (depth - 8)
        assert np.abs(luma - white).mean() < 1.5


def test_rgb_white_is_235(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.nut"), "w") as output:
        stream = output.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((16, 16, 3), 255, np.uint8), format="rgb24")))
        output.mux(stream.encode(None))
    (batch,), _ = read(tmp_path / "a.nut")
    assert batch.y.unique().tolist() == [235]
    assert batch.uv is not None
    assert batch.uv.unique().tolist() == [128]


def test_corrupt_packet_in_the_middle(tmp_path: Path) -> None:
    """Garbage where a packet was costs frames up to the next keyframe at most, and is counted."""
    path = make_clip(tmp_path / "a.mkv", frames=60, size=(128, 96), gop=10)
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    at, size = packets[20]
    data = bytearray(path.read_bytes())
    data[at + 16 : at + size] = np.random.default_rng(1).bytes(size - 16)
    path.write_bytes(data)
    batches, problems = read(path)
    assert sum(problems.values()) >= 1
    assert len(numbers(batches)) >= 50
    assert times(batches)[-1] == Fraction(59, 25)
    assert numbers(batches)[-1] == 59


def test_truncated_file(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", frames=60, size=(128, 96), gop=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    found = numbers(read(path)[0])
    assert 20 < len(found) < 60
    assert found[:20] == list(range(20))
    mp4 = make_clip(tmp_path / "b.mp4", frames=60)
    mp4.write_bytes(mp4.read_bytes()[: mp4.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match=r"b\.mp4 cannot be read"):
        VideoReader(mp4)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"text\n" * 99, "cannot be read"), (b"\x00" * 5000, "cannot be read"),
     (b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 9, "text, not a clip|no video stream"),
     (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n", "is a playlist")],
)  # fmt: skip
def test_a_file_that_is_not_a_clip_is_one_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    for function in (VideoReader, probe):
        with pytest.raises(InputError, match=message) as error:
            function(tmp_path / "a.mp4")
        assert "a.mp4" in str(error.value)
        assert "\n" not in str(error.value)


def test_missing_file_and_folder_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        VideoReader(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="is a folder"):
        streams(tmp_path)


def test_clip_names_may_have_any_letters_quotes_colon_and_newline(tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "a.mkv", frames=2, **LOSSLESS)
    odd = plain.rename(tmp_path / "pipe:ö 'x' \"%03d\"\n字.mkv")
    assert numbers(read(odd)[0]) == [0, 1]


def test_change_of_size_is_one_clear_error(tmp_path: Path) -> None:
    small, large = (make_clip(tmp_path / f"{w}.ts", frames=5, size=(w, 48)) for w in (64, 96))
    joined = tmp_path / "a.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    with pytest.raises(InputError, match="changes from 64x48 to 96x48 at"):
        read(joined)


def without_keyframes(path: Path) -> Path:
    """Write a Matroska clip whose frames are not flagged as keyframes, in which FFmpeg cannot seek."""
    source = make_clip(path.with_name("source.mkv"), 20, gop=100)
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux():
            if packet.size:
                packet.stream, packet.is_keyframe = stream, False
                new.mux(packet)
    return path


def test_a_clip_in_which_ffmpeg_cannot_seek_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = without_keyframes(tmp_path / "a.mkv")
    with av.open(str(path)) as container, pytest.raises(av.error.PermissionError):
        container.seek(0)
    assert numbers(read(path, start=Fraction(1, 10))[0]) == list(range(3, 20))


@pytest.mark.parametrize("name", ["nokeystart.mkv", "seek.ogv", "index.flv", "rgb4.nut"])
def test_clips_that_ended_in_a_traceback_are_read_or_refused_in_one_line(repro: Path, name: str) -> None:
    for start in (None, Fraction(1, 10)):
        try:
            assert numbers(read(repro / name, start=start)[0])
        except InputError as error:
            assert name in ("nokeystart.mkv", "rgb4.nut")
            assert "\n" not in str(error)


@pytest.mark.parametrize("ranges", [(1, 2), (2, 1)])
def test_frames_whose_range_changes_are_converted_to_the_first_range_and_counted(
    tmp_path: Path, ranges: tuple[int, int]
) -> None:
    parts = []
    for number, value in enumerate(ranges):
        moments = [Fraction(number, 5) + Fraction(i, 25) for i in range(5)]
        tags = {"color_range": value, "colorspace": 1 if number else 6}
        parts.append(make_clip(tmp_path / f"{value}.ts", 5, times=moments, crf=1, tags=tags, options={"bf": "0"}))
    (tmp_path / "a.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    batches, problems = read(tmp_path / "a.ts")
    codes = numbered_luma(0, (64, 48)).astype(float)
    expected = 16 + codes * 219 / 255 if ranges == (1, 2) else (codes - 16) * 255 / 219
    frames = [y[0].numpy().astype(float) for batch in batches for y in batch.y]
    assert np.abs(frames[0] - codes).mean() < 1
    assert np.abs(frames[5] - expected.clip(0, 255)).mean() < 1
    assert problems["frames_of_another_range"] == problems["frames_with_other_color_tags"] == 5
    assert times(batches) == [times(batches)[0] + Fraction(i, 25) for i in range(10)]


@pytest.mark.parametrize("starts", [(0, 1000), (1000, 0), (2, 0)], ids=["forward", "back", "back_by_seconds"])
def test_a_clock_reset_in_a_recording_leaves_no_gap_and_is_counted(tmp_path: Path, starts: tuple[int, int]) -> None:
    parts = [
        make_clip(tmp_path / f"{n}.ts", 20, times=[start + Fraction(n, 25) for n in range(20)])
        for n, start in enumerate(starts)
    ]
    (tmp_path / "a.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    batches, problems = read(tmp_path / "a.ts")
    assert numbers(batches) == [*range(20), *range(20)]
    times = [time for batch in batches for time in batch.times]
    assert {b - a for a, b in pairwise(times)} == {Fraction(1, 25)}
    assert problems["timestamp_jumps_removed"] == 1


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([0, 1, None, 3], [0, 1, 2, 3]),  # missing: one frame later
        ([None, 1, 2], [0, 1, 2]),
        ([0, 1, 1, 3], [0, 1, 1.5, 3]),  # a duplicate: half a frame later
        ([0, 2, 1, 4], [0, 2, 2.5, 4]),  # backward
        ([0, 1, 9_000_000, 3, 4], [0, 1, 2, 3, 4]),  # far ahead, and back: between its neighbours
        ([9_000_000, 1, 2], [0, 1, 2]),
    ],
)
def test_missing_duplicate_and_backward_times_are_repaired_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stamps: list[int | None], expected: list[float]
) -> None:
    path = make_clip(tmp_path / "a.mkv", frames=len(stamps), **LOSSLESS)
    remaining = iter(stamps)
    decode = VideoReader._decode

    def stamped(self: VideoReader) -> Any:
        for frame in decode(self):
            stamp = next(remaining)
            frame.pts = frame.dts = None if stamp is None else stamp * 40  # milliseconds
            yield frame

    monkeypatch.setattr(VideoReader, "_decode", stamped)
    batches, problems = read(path)
    assert [time * 25 for time in times(batches)] == expected
    assert sum(problems.values()) == 1


def test_phone_clip_of_variable_rate(data: Path) -> None:
    path = data / "clips" / "phone_dog_vfr.mp4"
    batches, problems = read(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        truth = [(frame.pts * stream.time_base, frame.to_ndarray()) for frame in container.decode(stream)]
    assert times(batches) == [time for time, _ in truth]
    assert len({b - a for a, b in zip(times(batches), times(batches)[1:], strict=False)}) > 1
    frames = [y for batch in batches for y in batch.y]
    for y, (_, planes) in zip(frames, truth, strict=True):
        assert np.array_equal(y[0].numpy(), planes[:1080])
    assert problems == {}


def test_a_y4m_header_that_declares_more_than_the_file_holds_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "a.y4m"
    path.write_bytes(b"YUV4MPEG2 W4000 H3000 F25:1 Ip A1:1 C420\nFRAME\n" + bytes(5000))
    with pytest.raises(InputError, match="declares frames of 18000000 bytes and holds less than one: it is truncated"):
        VideoReader(path)


def test_a_clip_of_too_many_pixels_is_refused_before_a_frame_is_decoded(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48))
    with pytest.raises(InputError, match=r"is 64x48, more than 0\.003 million pixels: --max-pixels raises the limit"):
        VideoReader(path, reading=Reading(max_pixels=3000))
    with VideoReader(path, reading=Reading(max_pixels=3072)) as reader:
        assert reader.info.width == 64
