"""Image sequences in and out: exact, complete, and overwritten only on request."""

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.clips import make_clip, read_number
from vidsr import compare, enhance
from vidsr.errors import InputError, Notes, OptionError, OutputError, VerifyError
from vidsr.options.enhance import parse_options, parse_reading
from vidsr.options.image_sequence import ImageSequence, is_sequence
from vidsr.options.output_names import report_path
from vidsr.options.paths import Job, list_jobs
from vidsr.pipeline.run import enhance_file
from vidsr.pipeline.verify import verify_files
from vidsr.runtime.unfinished import is_unfinished
from vidsr.video import VideoReader
from vidsr.video.image import upright
from vidsr.video.image_sequence import ImageSequenceWriter, OutputImages

SCALE_1: dict[str, Any] = {"scale": 1, "log": False}


def images(folder: Path, count: int, suffix: str = ".png", dtype: type = np.uint8, grey: bool = False) -> Path:
    """Write ``count`` images of noise numbered from 00001; return their pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(count)
    for number in range(1, count + 1):
        shape = (22, 34) if grey else (22, 34, 3)
        pixels = random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        cv2.imwrite(str(folder / f"{number:05d}{suffix}"), pixels)
    return folder / f"%05d{suffix}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".vidsr")


def read(path: Path) -> np.ndarray:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("%05d.png", True), ("a%dz.TIF", True), ("%d%d.png", False), ("%05d.mkv", False), ("a.png", False)],
)
def test_names_of_image_sequences(tmp_path: Path, name: str, is_one: bool) -> None:
    assert is_sequence(tmp_path / name) == is_one


def test_an_existing_file_named_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "%05d.png").write_bytes(b"")
    assert not is_sequence(tmp_path / "%05d.png")


def test_numbers_of_a_pattern(tmp_path: Path) -> None:
    for name in ("7.png", "08.png", "10.png", "123456.png", "a7.png", "7.png.csv"):
        (tmp_path / name).touch()
    assert ImageSequence(tmp_path / "%d.png").numbers == [7, 10, 123456]
    assert ImageSequence(tmp_path / "%02d.png").numbers == [8, 10, 123456]
    assert ImageSequence(tmp_path / "none" / "%d.png").numbers == []


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_images_are_exact_at_scale_1(tmp_path: Path, suffix: str, grey: bool, dtype: type) -> None:
    if dtype is np.uint16 and suffix == ".bmp":
        pytest.skip("a bmp has 8 bits")
    source = images(tmp_path / "in", 3, suffix, dtype, grey)
    report = enhance(source, tmp_path / "out" / f"%05d{suffix}", **SCALE_1)
    assert report.verification is not None and report.verification.ok
    for number in range(1, 4):
        before, after = (read(tmp_path / folder / f"{number:05d}{suffix}") for folder in ("in", "out"))
        if grey and suffix == ".bmp":  # OpenCV reads grey ones in colour
            before, after = (pixels[..., 0] if pixels.ndim == 3 else pixels for pixels in (before, after))
        assert before.dtype == after.dtype
        assert np.abs(before.astype(int) - after).max() <= (0 if dtype is np.uint8 else 1), "16 bits: one part in 65535"


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_images_stay_close(tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=3, codec="ffv1")
    report = enhance(source, tmp_path / "out" / f"%d{suffix}", **SCALE_1)
    assert report.verification is not None and report.verification.ok
    with VideoReader(tmp_path / "out" / f"%d{suffix}") as reader:
        assert [read_number(y[0].numpy()) for batch in reader.batches(2) for y in batch.y] == [0, 1, 2]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "gray", "yuv420p10le", "yuvj420p"])
def test_a_clip_becomes_an_image_sequence_and_back(tmp_path: Path, pix_fmt: str) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=5, pix_fmt=pix_fmt, fps=Fraction(24000, 1001), codec="ffv1")
    enhance(source, tmp_path / "%04d.png", scale=2, model="bicubic")
    assert ImageSequence(tmp_path / "%04d.png").numbers == [1, 2, 3, 4, 5]
    pixels = read(tmp_path / "0001.png")
    assert pixels.dtype == (np.uint16 if "10" in pix_fmt else np.uint8)
    assert pixels.shape == ((96, 128) if pix_fmt == "gray" else (96, 128, 3))
    enhance(
        tmp_path / "%04d.png", tmp_path / "b.mkv", scale="1/2", model="bicubic", input_fps="24000/1001", codec="ffv1"
    )
    found = []
    for path in (source, tmp_path / "b.mkv"):
        with VideoReader(path) as reader:
            assert reader.info.fps == Fraction(24000, 1001)
            found.append([read_number(y[0].numpy()) for batch in reader.batches(3) for y in batch.y])
    assert found[0] == found[1] == [0, 1, 2, 3, 4]


def test_limited_range_grey_becomes_full_range_images(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=1, pix_fmt="gray", codec="ffv1")
    with VideoReader(source) as reader:
        (batch,) = reader.batches(1)
    enhance(source, tmp_path / "%d.png", **SCALE_1)
    full = np.round((batch.y[0, 0].numpy().astype(float) - 16) * 255 / 219)
    assert np.abs(read(tmp_path / "1.png") - full).max() <= 0.5


def test_the_default_rate_of_a_sequence_is_noted(tmp_path: Path) -> None:
    with VideoReader(images(tmp_path, 2)) as reader:
        assert reader.info.fps == 25
        assert reader.notes.texts == ["image sequence read at 25 fps: --input-fps sets another rate"]


def test_output_numbers_start_as_in_the_source(tmp_path: Path) -> None:
    images(tmp_path / "in", 2)
    for number in (2, 1):
        (tmp_path / "in" / f"{number:05d}.png").rename(tmp_path / "in" / f"{number + 1000:05d}.png")
    enhance(tmp_path / "in" / "%05d.png", tmp_path / "out" / "%04d.png", **SCALE_1)
    assert [name for name in names(tmp_path / "out") if "%" not in name] == ["1001.png", "1002.png"]


def test_unusual_folder_and_file_names(tmp_path: Path) -> None:
    folder = tmp_path / "100%d ö 'x' \"y\"\n字"
    images(folder, 2)
    for number in (1, 2):
        (folder / f"{number:05d}.png").rename(folder / f"pipe:a b*[{number:03d}]?.png")
    enhance(folder / "pipe:a b*[%03d]?.png", folder / "out" / "c:%d d.png", **SCALE_1)
    assert ImageSequence(folder / "out" / "c:%d d.png").numbers == [1, 2]


def test_a_gap_in_the_numbers_is_one_clear_error(tmp_path: Path) -> None:
    source = images(tmp_path, 5)
    (tmp_path / "00003.png").unlink()
    with pytest.raises(InputError, match=r"lacks 00003\.png \(4 of the 5 files from 00001\.png to 00005\.png"):
        enhance(source, tmp_path / "b.mkv", scale=2)
    with pytest.raises(InputError, match="lacks 00003"):
        list_jobs([source], None, parse_options(scale=2))
    with pytest.raises(InputError, match=r"matches no file: name a pattern of existing files, such as x00001\.png"):
        enhance(tmp_path / "x%05d.png", tmp_path / "b.mkv", scale=2)


def test_an_image_of_another_size_is_one_clear_error_with_its_number(tmp_path: Path) -> None:
    source = images(tmp_path, 4)
    cv2.imwrite(str(tmp_path / "00003.png"), np.zeros((20, 40, 3), np.uint8))
    with pytest.raises(InputError, match=r"changes from 34x22 to 40x20 at frame 2, 0\.080 s"):
        enhance(source, tmp_path / "out" / "%05d.png", **SCALE_1)
    assert not (tmp_path / "out").exists()


def test_a_colour_image_after_grey_ones_is_refused(tmp_path: Path) -> None:
    source = images(tmp_path, 3)
    cv2.imwrite(str(tmp_path / "00001.png"), np.zeros((22, 34), np.uint8))
    with pytest.raises(InputError, match="changes from gray to rgb24 at frame 1"):
        enhance(source, tmp_path / "b.mkv", scale=2)


def test_existing_images_are_replaced_as_a_whole_only_with_overwrite(tmp_path: Path) -> None:
    source = images(tmp_path / "in", 2)
    target = images(tmp_path / "out", 4)
    before = read(tmp_path / "out" / "00001.png")
    with pytest.raises(OutputError, match=r"has 4 images, such as 00001\.png: choose another"):
        enhance(source, target, **SCALE_1)
    assert np.array_equal(before, read(tmp_path / "out" / "00001.png"))
    enhance(source, target, overwrite=True, **SCALE_1)
    assert ImageSequence(target).numbers == [1, 2], "none of the old ones is left among the new"
    assert np.array_equal(read(tmp_path / "in" / "00001.png"), read(tmp_path / "out" / "00001.png"))


def test_a_damaged_image_is_left_out_and_counted(tmp_path: Path) -> None:
    source = images(tmp_path / "in", 5)
    whole = (tmp_path / "in" / "00003.png").read_bytes()
    (tmp_path / "in" / "00003.png").write_bytes(whole[:40])
    report = enhance(source, tmp_path / "b.mkv", scale=2, model="nearest", log=False)
    assert report.frames == 4
    assert report.counts["undecodable_packets_skipped"] == 1
    with VideoReader(tmp_path / "b.mkv") as reader:
        assert [time * 25 for batch in reader.batches(9) for time in batch.times] == [0, 1, 3, 4]


def test_time_range_of_a_sequence(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=20, codec="ffv1")
    enhance(source, tmp_path / "in" / "%03d.png", **SCALE_1)
    enhance(tmp_path / "in" / "%03d.png", tmp_path / "b.mkv", start="0.4", frames=3, codec="ffv1", **SCALE_1)
    with VideoReader(tmp_path / "b.mkv") as reader:
        assert [read_number(y[0].numpy()) for batch in reader.batches(9) for y in batch.y] == [10, 11, 12]


def test_the_reference_may_be_an_image_sequence(tmp_path: Path) -> None:
    truth = make_clip(tmp_path / "a.mkv", frames=4, size=(128, 96), fps=24, codec="ffv1")
    enhance(truth, tmp_path / "high" / "%d.png", **SCALE_1)
    enhance(truth, tmp_path / "low" / "%d.png", scale="1/2", model="bicubic", log=False)
    report = enhance(
        tmp_path / "low" / "%d.png", tmp_path / "b.mkv", scale=2, model="bicubic", input_fps=24,
        reference=tmp_path / "high" / "%d.png", codec="ffv1",
    )  # fmt: skip
    assert report.means["psnr_y"] == pytest.approx(report.means["bicubic_psnr_y"], abs=0.1)


def test_an_existing_clip_is_replaced_only_with_overwrite(tmp_path: Path) -> None:
    source = images(tmp_path / "in", 2)
    (tmp_path / "b.mkv").write_text("precious")
    with pytest.raises(OutputError, match=r"b\.mkv exists"):
        enhance(source, tmp_path / "b.mkv", **SCALE_1)
    assert enhance(source, tmp_path / "b.mkv", overwrite=True, **SCALE_1).frames == 2


@pytest.mark.parametrize("engine", ["flow", "blend"])
def test_image_sequence_at_twice_the_rate(tmp_path: Path, engine: str) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=4, codec="ffv1", pix_fmt="yuv444p")
    enhance(source, tmp_path / "in" / "%d.png", **SCALE_1)
    report = enhance(tmp_path / "in" / "%d.png", tmp_path / "out" / "%d.png", fps="2x", interpolation=engine, log=False)
    assert report.frames == 8
    for number in range(4):
        before, after = read(tmp_path / "in" / f"{number + 1}.png"), read(tmp_path / "out" / f"{2 * number + 1}.png")
        assert np.array_equal(before, after), "source frames stay unchanged"


def test_the_input_is_never_the_output(tmp_path: Path) -> None:
    source = images(tmp_path, 2)
    with pytest.raises(OutputError, match="is the input itself"):
        enhance(source, source, overwrite=True, **SCALE_1)


def test_a_failure_leaves_no_new_image_and_keeps_the_old_ones(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=3, codec="ffv1")
    target = images(tmp_path / "out", 2)
    with VideoReader(source) as reader:
        batches = list(reader.batches(1))
        with (
            pytest.raises(RuntimeError, match="on the way"),
            OutputImages(target, overwrite=True) as output,
            ImageSequenceWriter(target, reader.info, parse_options(scale=1).encoding, output=output) as writer,
        ):
            writer.write(batches[0])
            (folder,) = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
            assert is_unfinished(folder) and names(folder) == ["00001.png"]
            raise RuntimeError("on the way")
    assert names(tmp_path / "out") == ["00001.png", "00002.png"]


def test_streams_and_times_that_images_cannot_hold_are_noted(tmp_path: Path) -> None:
    times = [Fraction(i * i, 100) for i in range(6)]
    source = make_clip(tmp_path / "a.mkv", frames=6, times=times, audio=1, chapters=True, metadata={"title": "x"})
    notes = Notes()
    enhance_file(Job(source, tmp_path / "%d.png"), parse_options(**SCALE_1), on_note=notes.add)
    assert any("#1 audio" in note and ".mkv can" in note for note in notes.texts)
    assert any("2 chapters" in note for note in notes.texts)
    assert any("frames are not shown at their original times" in note for note in notes.texts)


@pytest.mark.parametrize("degrees", [0, 90, -90, 180])
def test_images_of_a_rotated_phone_clip_are_upright(tmp_path: Path, degrees: int) -> None:
    """As ffmpeg rotates them."""
    source = make_clip(tmp_path / "a.mp4", frames=1, pix_fmt="yuv444p", rotation=degrees, crf=0)
    report = enhance(source, tmp_path / "%d.png", **SCALE_1)
    assert report.verification is not None and report.verification.ok
    if shutil.which("ffmpeg"):
        subprocess.run(["ffmpeg", "-v", "error", "-i", source, tmp_path / "truth.png"], check=True)
        difference = read(tmp_path / "1.png").astype(int) - read(tmp_path / "truth.png")
        assert np.abs(difference).mean() < 1, "libswscale rounds differently"


def test_quarter_turns_and_mirrors_of_a_display_matrix() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    one = 1 << 16
    for (a, b, c, d), expected in {
        (one, 0, 0, one): [[0, 1, 2], [3, 4, 5]],
        (-one, 0, 0, one): [[2, 1, 0], [5, 4, 3]],
        (one, 0, 0, -one): [[3, 4, 5], [0, 1, 2]],
        (0, one, one, 0): [[0, 3], [1, 4], [2, 5]],
        (0, one, -one, 0): [[3, 0], [4, 1], [5, 2]],
        (0, -one, one, 0): [[2, 5], [1, 4], [0, 3]],
    }.items():
        assert upright(pixels, (a, b, 0, c, d, 0, 0, 0, 1 << 30))[0].tolist() == expected


def test_chroma_420_makes_a_clip_of_images_that_every_player_shows(tmp_path: Path) -> None:
    source = images(tmp_path / "in", 2)
    notes = Notes()
    assert enhance(source, tmp_path / "b.mp4", **SCALE_1).output.chroma == "420"
    assert enhance(source, tmp_path / "b.mkv", chroma="444", **SCALE_1).output.chroma == "444"
    report = enhance(source, tmp_path / "c.mp4", on_note=notes.add, chroma="420", **SCALE_1)
    assert (report.output.chroma, report.output.depth) == ("420", 8)
    assert report.verification is not None and report.verification.ok
    assert not [note for note in notes.texts if "4:4:4" in note]
    enhance(source, tmp_path / "d.y4m", chroma="422", **SCALE_1)
    with VideoReader(tmp_path / "d.y4m") as reader:
        assert reader.info.chroma == "422"
    with pytest.raises(OptionError, match="--chroma 420: images are RGB or grey"):
        enhance(source, tmp_path / "%d.png", chroma="420", **SCALE_1)


def test_compare_accepts_image_sequences(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=2, codec="ffv1")
    enhance(source, tmp_path / "%d.png", **SCALE_1)
    comparison = compare(tmp_path / "%d.png", scale=2, models="bicubic", device="cpu")
    assert comparison.frames == 2


def test_an_encoder_for_images_is_one_clear_error(tmp_path: Path) -> None:
    source = images(tmp_path / "in", 1)
    with pytest.raises(OptionError, match=r"a sequence of \.png uses no encoder: leave out --codec"):
        enhance(source, tmp_path / "%d.png", scale=1, codec="libx265")


def test_the_default_output_is_named_after_the_folder(tmp_path: Path) -> None:
    source = images(tmp_path / "frames", 2)
    assert enhance(source, scale=2, model="nearest").target == tmp_path / "frames.x2.mp4"


def test_verify_names_a_missing_or_damaged_image(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=4, codec="ffv1")
    target = tmp_path / "out" / "%d.png"
    enhance(source, target, **SCALE_1)
    assert verify_files(source, target).ok
    whole = (tmp_path / "out" / "2.png").read_bytes()
    (tmp_path / "out" / "2.png").write_bytes(whole[: len(whole) // 2])
    assert [check.name for check in verify_files(source, target).failures]
    (tmp_path / "out" / "2.png").write_bytes(whole)
    (tmp_path / "out" / "4.png").unlink()
    with pytest.raises(VerifyError, match="frames: expected 4, found 3"):
        verify_files(source, target).raise_if_failed()


def test_verify_accepts_the_rate_of_an_image_sequence(tmp_path: Path) -> None:
    source = images(tmp_path / "in", 4)
    enhance(source, tmp_path / "b.mkv", scale=2, model="nearest", input_fps=24)
    assert verify_files(source, tmp_path / "b.mkv", parse_reading(input_fps="24")).ok
    assert verify_files(source, tmp_path / "b.mkv").ok  # by the report of the run
    report_path(tmp_path / "b.mkv").unlink()
    assert not verify_files(source, tmp_path / "b.mkv").ok


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe program")
def test_ffprobe_reports_the_same_of_images_and_their_clip(tmp_path: Path) -> None:
    source = images(tmp_path / "in", 4)
    enhance(source, tmp_path / "b.mkv", scale=1, input_fps="30000/1001", codec="ffv1")
    enhance(tmp_path / "b.mkv", tmp_path / "out" / "%d.png", **SCALE_1)
    keys = ("codec_type", "width", "height", "r_frame_rate", "nb_read_frames")
    rate = ("-framerate", "30000/1001")
    tables = []
    for path in ((*rate, source), (tmp_path / "b.mkv",), (*rate, tmp_path / "out" / "%d.png")):
        command = ["ffprobe", "-v", "error", "-count_frames", "-of", "json", "-show_streams", *map(str, path)]
        (stream,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"]
        tables.append({key: stream[key] for key in keys})
    assert tables[0] == tables[1] == tables[2]
