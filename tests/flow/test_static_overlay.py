"""Static overlays: text is masked, moving texture is not."""

import cv2
import numpy as np
import pytest

from tests.flow.synthetic import texture
from vidsr.flow.static_overlay import static_mask


def test_moving_texture_is_not_masked_and_static_texture_is() -> None:
    wide = texture(200, 400)
    moving = static_mask(wide[:, :256], wide[:, 6:262])
    static = static_mask(wide[:, :256], wide[:, :256])
    assert moving.mean() < 0.1
    assert static[30:-30, 30:-30].mean() > 0.5


def test_third_frame_distinguishes_slow_motion_from_static_content() -> None:
    soft = cv2.GaussianBlur(texture(200, 400, finest=8), (0, 0), 2)
    frames = [soft[:, 3 * n : 256 + 3 * n] for n in range(4)]
    pair = frames[1], frames[2]
    alone, with_before, with_after = (static_mask(*pair, *sides) for sides in ((), (frames[0],), (None, frames[3])))
    assert alone.mean() > 3 * max(with_before.mean(), with_after.mean())


def test_content_that_starts_to_move_in_the_next_frame_is_still_static() -> None:
    soft = cv2.GaussianBlur(texture(200, 400, finest=8), (0, 0), 2)
    frame, later = soft[:, 3:259], soft[:, 9:265]
    assert np.array_equal(static_mask(frame, frame, frame, later), static_mask(frame, frame))


@pytest.mark.parametrize("known", ["neither", "before", "after", "both"])
def test_mask_follows_its_definition(known: str) -> None:
    rng = np.random.default_rng(2)
    a = rng.uniform(0, 255, (20, 30)).astype(np.float32)
    b, before, after = (a + rng.uniform(-5, 5, a.shape).astype(np.float32) for _ in range(3))
    b[:, :15] = rng.uniform(0, 255, (20, 15))
    sides = {"neither": (None, None), "before": (before, None), "after": (None, after), "both": (before, after)}[known]
    mean = (a + b) / 2
    slope = sum(np.abs(cv2.Sobel(mean, cv2.CV_32F, *order, scale=0.25)) for order in ((1, 0), (0, 1)))
    structure = np.maximum(slope - 6, 0)
    spans = [np.ptp([a, b, side], axis=0) for side in sides if side is not None] or [np.ptp([a, b], axis=0)]
    unchanged = np.maximum(1 - (np.min(spans, axis=0) / 12) ** 2, 0) ** 2
    share = cv2.blur(structure * unchanged, (9, 9)) / (cv2.blur(structure, (9, 9)) + 0.5)
    mask = unchanged * np.clip((share - 0.3) / 0.3, 0, 1)
    grown = cv2.blur(cv2.dilate(mask * (structure > 0), np.ones((3, 3), np.uint8)), (3, 3))
    assert 0.1 < mask.mean() < 0.9
    assert np.allclose(static_mask(a, b, *sides), np.maximum(mask, grown), atol=1e-4)
