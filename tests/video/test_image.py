"""Image files: exact values, orientation, alpha, and clear errors."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch

from tests.clips import make_frame
from vidsr import enhance
from vidsr.color import to_rgb
from vidsr.errors import InputError, Notes, OutputError
from vidsr.kernels.resample import resize
from vidsr.stages import rounding
from vidsr.video import VideoReader
from vidsr.video.declared_sizes import image_size
from vidsr.video.image import read_image, write_image

RANDOM = np.random.default_rng(0)


def save(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (31, 17, 3), (16, 24)])
def test_8_bit_image_is_exact_at_scale_1(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    pixels = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    frame, info = read_image(save(tmp_path / f"a{suffix}", pixels))
    assert (info.width, info.height, info.depth) == (shape[1], shape[0], 8)
    write_image(tmp_path / f"b{suffix}", frame, info)
    assert np.array_equal(cv2.imread(str(tmp_path / f"b{suffix}"), cv2.IMREAD_UNCHANGED), pixels)


@pytest.mark.parametrize("shape", [(9, 7, 3), (9, 7)])
def test_16_bit_image_is_exact_at_scale_1(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = RANDOM.integers(0, 1 << 16, shape, dtype=np.uint16)
    frame, info = read_image(save(tmp_path / "a.png", pixels))
    assert info.depth == 16
    write_image(tmp_path / "b.png", frame, info)
    again = cv2.imread(str(tmp_path / "b.png"), cv2.IMREAD_UNCHANGED)
    assert again.dtype == np.uint16
    assert np.abs(again.astype(int) - pixels).max() <= 0


def test_luma_equals_matlab_rgb2ycbcr(tmp_path: Path) -> None:
    """MATLAB's rgb2ycbcr: 16 + (65.481 R + 128.553 G + 24.966 B) / 255."""
    pixels = RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    frame, _ = read_image(save(tmp_path / "a.png", pixels))
    blue, green, red = (pixels[..., i] / 255 for i in range(3))
    expected = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
    assert np.abs(frame.y[0, 0].numpy() - expected).max() < 1e-3


def test_grey_image_is_read_as_luma_unchanged(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 256, (8, 8), dtype=np.uint8)
    frame, info = read_image(save(tmp_path / "a.png", pixels))
    assert (info.chroma, frame.uv) == ("gray", None)
    assert np.array_equal(frame.y[0, 0].numpy(), pixels)


def test_opaque_alpha_is_dropped_and_transparent_alpha_is_refused_on_request(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 256, (8, 8, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    assert read_image(save(tmp_path / "a.png", pixels))[1].chroma == "444"
    pixels[0, 0, 3] = 254
    with pytest.raises(InputError, match=r"a\.png is partly transparent.*--alpha auto or drop"):
        read_image(save(tmp_path / "a.png", pixels))
    assert read_image(tmp_path / "a.png", "drop")[1].chroma == "444"


@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize(("kind", "dtype"), [("colour", np.uint8), ("colour", np.uint16), ("grey", np.uint8)])
@pytest.mark.parametrize("options", [{"scale": 2}, {"size": "40x20", "fit": "pad"}, {"size": "20x20", "fit": "crop"}])
def test_a_transparent_image_keeps_its_alpha(
    tmp_path: Path, suffix: str, kind: str, dtype: type, options: dict[str, Any]
) -> None:
    pixels = RANDOM.integers(0, np.iinfo(dtype).max, (12, 16, 4), dtype=dtype)
    if kind == "grey":
        pixels[..., :3] = pixels[..., :1]
    save(tmp_path / "a.png", pixels)
    report = enhance(tmp_path / "a.png", tmp_path / f"b{suffix}", model="bicubic", device="cpu", **options)
    assert report.verification is not None and report.verification.ok and report.output.alpha
    assert not [note for note in report.notes if note.code == "alpha_dropped"]
    pixels[..., :3] = 0  # alpha does not depend on the colours
    save(tmp_path / "c.png", pixels)
    enhance(tmp_path / "c.png", tmp_path / f"d{suffix}", model="bicubic", device="cpu", **options)
    kept, same = (cv2.imread(str(tmp_path / f"{name}{suffix}"), cv2.IMREAD_UNCHANGED)[..., 3] for name in "bd")
    assert np.array_equal(kept, same)
    sides = {"2": (32, 24), "pad": (26, 20), "crop": (26, 20)}[str(options.get("fit", 2))]
    plane = resize(pixels[..., 3], *sides, "bicubic", peak=np.iinfo(dtype).max)
    if kept.dtype != dtype:
        plane = np.rint(plane / 257)
    left = (kept.shape[1] - sides[0]) // 4 * 2
    expected = np.zeros(kept.shape)
    into = expected[:, max(0, left) :]
    into[:, : sides[0]] = plane[:, max(0, -left) :][:, : into.shape[1]]
    assert np.array_equal(kept, expected)


def test_transparency_that_an_image_cannot_hold_is_left_out_with_a_note(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.full((8, 8, 4), 100, np.uint8))
    report = enhance(tmp_path / "a.png", tmp_path / "b.jpg", scale=2, model="bicubic")
    assert [note.text for note in report.notes if note.code == "alpha_dropped"] == [
        "left out: transparency (an output in .png or .webp keeps it)"
    ]
    with pytest.raises(InputError, match="--alpha auto or drop"):
        enhance(tmp_path / "a.png", tmp_path / "c.png", scale=2, alpha="refuse")
    enhance(tmp_path / "a.png", tmp_path / "d.png", scale=2, model="bicubic", alpha="drop")
    assert cv2.imread(str(tmp_path / "d.png"), cv2.IMREAD_UNCHANGED).shape == (16, 16, 3)


def test_jpeg_orientation_is_applied(tmp_path: Path) -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    _, data = cv2.imencode(".jpg", pixels)
    # APP1 segment: Exif, little-endian TIFF, one entry: orientation (0x112) = 6, a quarter turn clockwise
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    app1 = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "a.jpg").write_bytes(data.tobytes()[:2] + app1 + data.tobytes()[2:])
    _, info = read_image(tmp_path / "a.jpg")
    assert (info.width, info.height) == (16, 32)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n" + bytes(100), b"\xff\xd8\xff" + bytes(50)])
def test_a_file_that_is_not_an_image_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png is not an image"):
        read_image(tmp_path / "a.png")


def test_a_frame_rate_for_an_image_is_ignored_with_a_note(tmp_path: Path) -> None:
    notes = Notes()
    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8), 100, np.uint8))
    enhance(tmp_path / "a.png", tmp_path / "b.png", fps="2x", scale=2, model="bicubic", on_note=notes.add)
    assert any("is a still image: no frames are interpolated" in note for note in notes.texts)


def test_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_image(tmp_path / "none.png")


def test_unknown_suffix_or_folder_leaves_nothing(tmp_path: Path) -> None:
    frame, info = read_image(save(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8)))
    with pytest.raises(OutputError, match=r"b\.xyz"):
        write_image(tmp_path / "b.xyz", frame, info)
    with pytest.raises(OutputError, match="cannot be written"):
        write_image(tmp_path / "a.png" / "b.png", frame, info)
    (tmp_path / "c.png").mkdir()
    with pytest.raises(OutputError, match=r"c\.png is a folder"):
        write_image(tmp_path / "c.png", frame, info)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "c.png"]


def test_jpeg_reduces_16_bits_to_8_and_clips_values(tmp_path: Path) -> None:
    frame, info = read_image(save(tmp_path / "a.png", np.full((16, 16, 3), 65535, np.uint16)))
    write_image(tmp_path / "b.jpg", frame.planes(frame.y + 999, frame.uv), info)
    assert cv2.imread(str(tmp_path / "b.jpg")).min() >= 254


def test_image_names_may_have_any_letters_and_a_newline(tmp_path: Path) -> None:
    (tmp_path / "plain.png").write_bytes(b"")
    plain = save(tmp_path / "plain.png", np.zeros((4, 4, 3), np.uint8))
    odd = plain.rename(tmp_path / "ö 'x'\n字.png")
    frame, info = read_image(odd)
    assert isinstance(frame.y, torch.Tensor)
    write_image(odd, frame, info, overwrite=True)


def animation(path: Path, codec: str, container: str, pixel_format: str) -> Path:
    """Write an animation of three frames."""
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 24, pixel_format
        for number in range(3):
            output.mux(stream.encode(make_frame(number, (32, 24), stream.pix_fmt)))
        output.mux(stream.encode(None))
    return path


def webp(path: Path, durations: list[int]) -> Path:
    """Write an animation of grey frames, 20 codes brighter each, whose upper half is half transparent."""
    frames = cv2.Animation()
    grey = (np.full((24, 32, 4), 100 + 20 * number, np.uint8) for number in range(len(durations)))
    frames.frames = [np.dstack([one[..., :3], np.repeat([128, 255], 12)[:, None].repeat(32, 1)]) for one in grey]
    frames.frames = [one.astype(np.uint8) for one in frames.frames]
    frames.durations = np.array(durations)
    assert cv2.imwriteanimation(str(path), frames, [cv2.IMWRITE_WEBP_QUALITY, 101])
    return path


def test_an_animated_webp_becomes_a_clip_of_all_its_frames_at_their_times(tmp_path: Path) -> None:
    path = webp(tmp_path / "a.webp", [120, 5, 300, 40])
    with VideoReader(path) as reader:
        assert reader.info.alpha and (reader.info.width, reader.info.height) == (32, 24)
        (batch,) = reader.batches(9)
        assert reader.notes.texts == ["left out: transparency (an output in .webm keeps it)"]
    assert batch.times == (0, Fraction(12, 100), Fraction(22, 100), Fraction(52, 100)), "5 ms is 100 ms, as in browsers"
    grey = [float(to_rgb(batch[n : n + 1], reader.info)[0, 0, 20, 20]) * 255 for n in range(4)]
    assert np.allclose(grey, [100, 120, 140, 160], atol=1)
    report = enhance(path, scale=2, model="bicubic")
    assert report.target == tmp_path / "a.x2.mp4" and report.frames == 4
    assert report.output.duration is None or report.output.duration == Fraction(56, 100)


def test_a_still_webp_is_an_image(tmp_path: Path) -> None:
    path = save(tmp_path / "a.webp", np.full((24, 32, 3), 99, np.uint8))
    assert enhance(path, scale=2, model="bicubic").target == tmp_path / "a.x2.webp"


def test_a_damaged_animated_webp_is_one_clear_error(tmp_path: Path) -> None:
    path = webp(tmp_path / "a.webp", [100, 100])
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=r"a\.webp (cannot be decoded|declares more data)"):
        VideoReader(path)


def test_an_animated_png_becomes_a_clip_of_all_its_frames_and_no_image(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.png", "apng", "apng", "rgb24")
    assert enhance(path, tmp_path / "b.mp4", scale=2, model="bicubic").frames == 3
    with pytest.raises(OutputError, match=r"end the name in \.mkv, \.mp4"):
        enhance(path, tmp_path / "b.png", scale=2, model="bicubic")


def coloured(path: Path) -> Path:
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))
    return path


def test_all_planes_are_copied_to_the_cpu_before_conversion_to_rgb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network leaves luma on the GPU and chroma on the CPU; conversion to RGB needs both in one place."""
    copied: list[torch.Size] = []
    monkeypatch.setattr(rounding, "to_cpu", lambda plane: (copied.append(plane.shape), lambda: plane)[1])
    enhance(coloured(tmp_path / "a.png"), tmp_path / "b.png", scale=2, model="fast", device="cpu")
    assert copied == [(1, 1, 48, 64), (1, 2, 48, 64)]


@pytest.mark.gpu
def test_an_image_is_upscaled_alike_on_gpu_and_cpu(tmp_path: Path) -> None:
    source, images = coloured(tmp_path / "a.png"), []
    for device in ("cpu", "cuda"):
        target = tmp_path / f"{device}.png"
        enhance(source, target, scale=2, model="fast", device=device)
        images.append(cv2.imread(str(target)).astype(int))
    assert np.abs(images[0] - images[1]).max() <= 3


def small_image(suffix: str) -> bytes:
    done, data = cv2.imencode(suffix, np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8))
    assert done
    return data.tobytes()


def png_bomb() -> bytes:
    data = bytearray(small_image(".png"))
    at = data.index(b"IDAT")
    data[at - 4 : at] = (0xFFFFFFDC).to_bytes(4, "big")
    return bytes(data)


def bmp_bomb() -> bytes:
    data = bytearray(small_image(".bmp"))
    data[18:26] = (40_000).to_bytes(4, "little") + (20_000).to_bytes(4, "little")
    return bytes(data)


def tiff_bomb() -> bytes:
    data = bytearray(small_image(".tif"))
    order = "little" if data[:2] == b"II" else "big"
    directory = int.from_bytes(data[4:8], order)
    for entry in range(directory + 2, directory + 2 + 12 * int.from_bytes(data[directory : directory + 2], order), 12):
        if int.from_bytes(data[entry : entry + 2], order) == 279:
            data[entry + 2 : entry + 12] = (
                (4).to_bytes(2, order) + (1).to_bytes(4, order) + (0xF0000000).to_bytes(4, order)
            )
    return bytes(data)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_an_image_that_declares_gigabytes_is_refused_before_they_are_allocated(tmp_path: Path, suffix: str) -> None:
    bomb = {".png": png_bomb, ".bmp": bmp_bomb, ".tif": tiff_bomb}[suffix]()
    (tmp_path / f"good{suffix}").write_bytes(small_image(suffix))
    assert read_image(tmp_path / f"good{suffix}")[1].width == 64
    (tmp_path / f"a{suffix}").write_bytes(bomb)
    with pytest.raises(InputError, match="declares more data than it holds: it is damaged"):
        read_image(tmp_path / f"a{suffix}")


def a_large_header(suffix: str, width: int = 20_000, height: int = 30_000) -> bytes:
    """A small image whose header has another size, and enough data for a run-length or zlib decoder to fill it."""
    data = bytearray(small_image(suffix))
    if suffix == ".png":
        data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    elif suffix == ".jpg":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    elif suffix == ".bmp":
        data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
        data[30] = 1
    elif suffix == ".tif":
        directory = int.from_bytes(data[4:8], "little")
        for entry in range(directory + 2, directory + 2 + 12 * data[directory], 12):
            tag = int.from_bytes(data[entry : entry + 2], "little")
            if tag in (256, 257):
                data[entry + 2 : entry + 12] = (
                    (4).to_bytes(2, "little")
                    + (1).to_bytes(4, "little")
                    + (width if tag == 256 else height).to_bytes(4, "little")
                )
    else:
        data[21:25] = (width - 1 | (height - 1) << 14).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_the_size_in_the_header_is_known_before_the_image_is_decoded(suffix: str) -> None:
    assert image_size(memoryview(small_image(suffix))) == (64, 48)
    for length in range(60):
        image_size(memoryview(small_image(suffix)[:length]))


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp"])
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    (tmp_path / f"a{suffix}").write_bytes(a_large_header(suffix, 16_383, 16_383))
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(
        InputError, match=r"is 16383x16383, more than 256 million pixels: --max-pixels raises the limit"
    ):
        read_image(tmp_path / f"a{suffix}")


def test_max_pixels_lowers_and_raises_the_limit_of_images(tmp_path: Path) -> None:
    path = coloured(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"is 32x24, more than 0\.0005 million pixels"):
        enhance(path, tmp_path / "b.png", scale=2, model="bicubic", max_pixels=500)
    enhance(path, tmp_path / "b.png", scale=2, model="bicubic", max_pixels="1K")


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_an_image_that_cannot_fill_the_declared_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """A run-length BMP and a PNG hold fewer pixels than the header declares, however well they compress."""
    (tmp_path / f"a{suffix}").write_bytes(a_large_header(suffix))
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(InputError, match="declares more data than it holds: it is damaged"):
        read_image(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("shape", [(3000, 4000, 3), (3000, 4000)])
def test_a_plain_area_that_compresses_well_is_no_bomb(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = save(tmp_path / "a.png", np.zeros(shape, np.uint8))
    assert read_image(path)[1].width == 4000


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_a_truncated_image_is_one_clear_error_or_read(tmp_path: Path, suffix: str) -> None:
    data = small_image(suffix)
    for length in range(1, len(data), 97):
        (tmp_path / f"a{suffix}").write_bytes(data[:length])
        with suppress(InputError):
            read_image(tmp_path / f"a{suffix}")
