"""Drawn content: it is recognised, and held where the flow does not find its motion."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch

from vidsr.flow.drawn_content import is_drawn, shows_ghosts
from vidsr.frames import FrameBatch, Origin, VideoInfo, concat
from vidsr.options.choices import Interpolation
from vidsr.options.frame_rate import Times
from vidsr.stages.interpolate import Interpolate
from vidsr.stages.interpolation_engines import make_engine
from vidsr.video.encode_decode import encode_and_decode

SMOOTH = 4  # size at which shapes are drawn


def face(mouth: str, shift: int = 0) -> np.ndarray:
    """Return a cel: flat colours with dark outlines, 320 x 180."""
    image = np.full((180 * SMOOTH, 320 * SMOOTH), 200, np.uint8)

    def ellipse(centre: tuple[int, int], radii: tuple[int, int], shade: int) -> None:
        at = ((centre[0] + shift) * SMOOTH, centre[1] * SMOOTH)
        size = (radii[0] * SMOOTH, radii[1] * SMOOTH)
        cv2.ellipse(image, at, size, 0, 0, 360, shade, -1)
        cv2.ellipse(image, at, size, 0, 0, 360, 30, 2 * SMOOTH)

    ellipse((160, 90), (60, 75), 225)
    ellipse((137, 75), (10, 14), 250)
    ellipse((183, 75), (10, 14), 250)
    if mouth == "open":
        ellipse((160, 130), (20, 14), 90)
    else:
        cv2.line(image, ((142 + shift) * SMOOTH, 130 * SMOOTH), ((178 + shift) * SMOOTH, 130 * SMOOTH), 40, 2 * SMOOTH)
    return np.asarray(cv2.resize(image, (320, 180), interpolation=cv2.INTER_AREA))


def text(line: int) -> np.ndarray:
    image = np.full((180, 320), 250, np.uint8)
    for i in range(13):
        words = f"line {i + line} of the text {(i + line) * 37 % 101}"
        cv2.putText(image, words, (8, 13 + 14 * i), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 20, 1, cv2.LINE_AA)
    return image


def photo(seed: int = 0) -> np.ndarray:
    """Return soft shapes with some noise, as a camera gives them."""
    rng = np.random.default_rng(seed)
    shapes = cv2.resize(rng.uniform(40, 220, (9, 16)).astype(np.float32), (320, 180), interpolation=cv2.INTER_CUBIC)
    return np.clip(shapes + rng.normal(0, 2, shapes.shape), 0, 255).astype(np.uint8)


def clip(images: list[np.ndarray]) -> FrameBatch:
    y = torch.from_numpy(np.stack(images))[:, None]
    uv = torch.full((len(images), 2, 90, 160), 128, dtype=torch.uint8)
    numbers = range(len(images))
    return FrameBatch(y, uv, tuple(Fraction(n, 24) for n in numbers), tuple(map(Origin, numbers)))


def doubled(images: list[np.ndarray], engine: Interpolation = "flow") -> tuple[FrameBatch, dict[str, int]]:
    stage = Interpolate(Times(Fraction(2)), make_engine(engine, 8), VideoInfo(320, 180, Fraction(24)))
    return concat(list(stage(iter([clip(images)])))), stage.counts


@pytest.mark.parametrize("crf", [None, 20, 30])
def test_cels_and_text_are_drawn_and_photos_are_not(crf: int | None) -> None:
    for image, drawn in ((face("open"), True), (text(0), True), (photo(), False)):
        seen = image if crf is None else encode_and_decode(np.stack([image] * 3), "libx264", crf)[-1]
        assert is_drawn(seen.astype(np.float32)) == drawn


def test_soft_shapes_without_noise_are_not_drawn() -> None:
    """A dark or misty clip is as flat as a drawing, but its edges are soft."""
    shapes = cv2.resize(photo(), (320, 180))
    flat = cv2.GaussianBlur(np.where(shapes > 150, 160, 140).astype(np.float32), (0, 0), 4)
    assert not is_drawn(flat)


@pytest.mark.parametrize("images", [[face("open"), face("closed"), face("open")], [text(0), text(1), text(2)]])
def test_a_mouth_and_jumping_text_are_held_instead_of_mixed(images: list[np.ndarray]) -> None:
    """The oddities: an anime mouth that cross-fades, and lines of text over each other."""
    result, counts = doubled(images)
    for n in (1, 3):
        held = images[n // 2]
        assert np.array_equal(result.y[n, 0].numpy(), held)
    assert (counts["held_drawings"], counts["interpolated"], counts["held_at_cuts"]) == (2, 0, 0)
    assert not any(origin.scene_cut for origin in result.origins)


def test_a_drawing_that_pans_is_interpolated() -> None:
    images = [face("open", shift) for shift in (0, 6, 12)]
    result, counts = doubled(images)
    assert (counts["held_drawings"], counts["interpolated"]) == (0, 2)
    error = np.abs(result.y[1, 0].numpy() - face("open", 3).astype(np.float32)).mean()
    assert error < np.abs(images[0].astype(np.float32) - face("open", 3)).mean() / 3


def test_photographed_content_is_never_held_for_its_motion() -> None:
    _, counts = doubled([photo(n) for n in (0, 0, 1)])
    assert counts["held_drawings"] == 0


def test_blending_holds_nothing() -> None:
    _, counts = doubled([face("open"), face("closed")], "blend")
    assert counts["held_drawings"] == 0 and counts["interpolated"] == 1


def test_a_fade_shows_no_ghosts() -> None:
    a = face("open").astype(np.float32)
    b = a * np.float32(0.92)
    assert not shows_ghosts(np.abs(a - b), a, b)
    assert shows_ghosts(np.abs(a - face("closed")), a, face("closed").astype(np.float32))
