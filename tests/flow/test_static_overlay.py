"""Static overlays: text is masked, moving texture is not."""

import cv2
import numpy as np

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
