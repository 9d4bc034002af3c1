"""Outputs that play everywhere: the format is chosen from the clip and the container."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.clips import make_clip
from vidsr import enhance
from vidsr.errors import Notes
from vidsr.frames import ColorInfo, VideoInfo
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import make_plan


def stream(path: Path) -> tuple[str, str, str]:
    """Encoder's format, codec tag and pixel format of the first video stream."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.codec.canonical_name, context.codec_tag, str(context.pix_fmt)


def moving_squares(number: int) -> np.ndarray:  # type: ignore[type-arg]
    image = np.zeros((50, 66, 3), np.uint8)
    image[10:30, 5 * number : 5 * number + 20] = (0, 0, 255)
    return image


def test_ten_bits_become_hevc_with_the_tag_that_apple_players_need(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", 3, (66, 50), pix_fmt="yuv420p10le", codec="libx265")
    enhance(source, tmp_path / "b.mp4", scale=1)
    assert stream(tmp_path / "b.mp4") == ("hevc", "hvc1", "yuv420p10le")


def test_a_gif_becomes_an_mp4_of_4_2_0_with_even_sides(tmp_path: Path) -> None:
    source = tmp_path / "a.gif"
    with av.open(str(source), "w") as output:
        video = output.add_stream("gif", rate=10)
        video.width, video.height, video.pix_fmt = 65, 49, "rgb8"
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(moving_squares(number)[:49, :65], "rgb24").reformat(format="rgb8")
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    report = enhance(source, scale=1, overwrite=True)
    assert report.target == tmp_path / "a.vidsr.mp4"
    assert stream(report.target)[::2] == ("h264", "yuv420p")
    assert (report.output.width, report.output.height) == (66, 50)
    kept = enhance(source, tmp_path / "b.mp4", scale=1, chroma="444")
    assert stream(kept.target)[2] == "yuv444p"


def test_an_image_sequence_becomes_an_mp4_of_4_2_0(tmp_path: Path) -> None:
    (tmp_path / "walk").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / "walk" / f"{number:03d}.png"), moving_squares(number))
    notes = Notes()
    report = enhance(tmp_path / "walk" / "%03d.png", scale=2, model="bicubic", on_note=notes.add)
    assert report.target == tmp_path / "walk.x2.mp4"
    assert stream(report.target)[::2] == ("h264", "yuv420p")
    assert any("--chroma 444 keeps all colour" in text for text in notes.texts)


@pytest.mark.parametrize(
    ("info", "container", "options", "codec"),
    [
        ({}, ".mp4", {}, "libx264"),
        ({"depth": 10}, ".mkv", {}, "libx265"),
        ({"depth": 10, "width": 24}, ".mkv", {}, "libx264"),  # 48 pixels: too narrow for libx265
        ({"depth": 10}, ".mp4", {"encoder_options": ["tune=grain"]}, "libx264"),
        ({"depth": 10}, ".mp4", {"codec": "h264"}, "libx264"),
        ({}, ".webm", {}, "libvpx-vp9"),
        ({"depth": 10}, ".webm", {}, "libsvtav1"),
        ({"codec": "av1"}, ".webm", {}, "libsvtav1"),
        ({}, ".mp4", {"codec": "prores"}, "prores_ks"),
    ],
)
def test_the_encoder_follows_from_depth_and_container(
    info: dict[str, object], container: str, options: dict[str, object], codec: str
) -> None:
    size = {"width": 66, "height": 50, "fps": Fraction(25), **info}
    plan = make_plan(
        parse_options(scale=2, model="bicubic", **options),
        VideoInfo(**size),
        container=container,  # type: ignore[arg-type]
    )
    assert plan.encoding.codec == codec


def test_a_webm_output_is_vp9_without_asking(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", 3, (66, 50), audio=False)
    enhance(source, tmp_path / "b.webm", scale=1)
    assert stream(tmp_path / "b.webm")[0] == "vp9"


def test_vp8_which_names_the_matrix_of_ntsc_after_pal_is_verified(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", 3, (66, 50), tags={"colorspace": 6, "color_range": 1})
    report = enhance(source, tmp_path / "b.webm", scale=1, codec="vp8")
    assert report.verification is not None and report.verification.ok


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_another_aspect_ratio_is_padded_or_cropped(tmp_path: Path, fit: str) -> None:
    source = make_clip(tmp_path / "a.mp4", 3, (64, 48))
    report = enhance(source, tmp_path / "b.mp4", size="160x90", fit=fit, model="bicubic")  # type: ignore[arg-type]
    assert (report.output.width, report.output.height) == (160, 90)
    assert report.verification is not None and report.verification.ok
    with av.open(str(report.target)) as container:
        luma = next(container.decode(video=0)).to_ndarray(format="gray")
    sides = luma[:, :16]
    assert (sides.std() < 2) == (fit == "pad")


def test_a_stretched_clip_is_noted() -> None:
    notes = Notes()
    info = VideoInfo(64, 48, Fraction(25), color=ColorInfo("bt709"))
    make_plan(parse_options(size="160x90", model="bicubic"), info, notes=notes)
    assert any("--fit pad or crop keeps the shape" in text for text in notes.texts)
