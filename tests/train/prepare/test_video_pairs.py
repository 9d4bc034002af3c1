"""Pairs of sharp and compressed squares."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from vidsr.degrade.blur import Clip
from vidsr.degrade.degradations import Resize
from vidsr.errors import InputError
from vidsr.kernels.resample import resize
from vidsr.train.prepare.video_pairs import Motion, SquarePair, _path, _weights, compressed_video, video_pairs


def noise(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.stack([cv2.GaussianBlur(rng.integers(0, 256, shape[-2:]).astype(np.uint8), (0, 0), 1)] * shape[0])


PHOTO = noise(1, 200, 240)[0]
CLIP = np.stack([np.roll(PHOTO, 3 * t, 1)[:180, :180] for t in range(12)])


def make(count: int, sources: list[np.ndarray], scale: int = 2, **options: object) -> list[SquarePair]:
    return list(video_pairs(sources, count, scale, 5, **{"size": 48, "frames": 4, **options}))  # type: ignore[arg-type]


def test_the_sharp_square_is_an_untouched_crop() -> None:
    for hr, lr in make(4, [PHOTO]):
        assert (hr.shape, lr.shape) == ((96, 96), (48, 48))
        left, top = cv2.minMaxLoc(cv2.matchTemplate(PHOTO, hr, cv2.TM_SQDIFF))[2]
        np.testing.assert_array_equal(PHOTO[top : top + 96, left : left + 96], hr)


@pytest.mark.parametrize("source", [PHOTO, CLIP], ids=["photo", "clip"])
@pytest.mark.parametrize("scale", [2, 3])
def test_both_squares_show_the_same_crop_of_the_same_frame(source: np.ndarray, scale: int) -> None:
    for hr, lr in make(3, [source], scale, degradation=Resize(Fraction(1, scale))):
        np.testing.assert_array_equal(lr, resize(hr, 48, 48, kernel="bicubic"))


def test_pair_i_depends_on_the_seed_and_i_alone() -> None:
    few, many = make(2, [PHOTO, CLIP]), make(4, [PHOTO, CLIP])
    for one, other in zip(few, many, strict=False):
        np.testing.assert_array_equal(one.hr, other.hr)
        np.testing.assert_array_equal(one.lr, other.lr)
    assert (many[2].hr != many[3].hr).any()


def test_compression_costs_detail() -> None:
    def error(pairs: list[SquarePair]) -> float:
        return float(np.mean([(cv2.resize(p.lr, (96, 96)) - p.hr.astype(float)) ** 2 for p in pairs]))

    clean = make(12, [PHOTO], degradation=Resize(Fraction(1, 2)))
    assert error(make(12, [PHOTO], degradation=compressed_video(2))) > 1.05 * error(clean)


def test_small_sources_are_skipped_and_none_left_is_an_error() -> None:
    tiny = np.zeros((50, 400), np.uint8)
    short = np.zeros((3, 300, 300), np.uint8)
    assert all(pair.hr.any() for pair in make(4, [tiny, PHOTO, short]))
    with pytest.raises(InputError, match="96 x 96"):
        make(1, [tiny, short])


def test_clips_get_their_share() -> None:
    weights = _weights([PHOTO, PHOTO, CLIP], 0.3)
    assert weights == pytest.approx([0.35, 0.35, 0.3])
    assert _weights([PHOTO, PHOTO], 0.3) == pytest.approx([0.5, 0.5])


def test_the_path_is_zero_at_the_target_and_within_its_limits() -> None:
    motion = Motion(speed=2, shake=0)
    for seed in range(20):
        path = _path(5, 3, 4, motion, np.random.default_rng(seed))
        assert (path[3] == 0).all()
        assert np.hypot(*np.diff(path[:, :2], axis=0).T).max() <= 2 * 4 + 1e-9
        assert np.abs(np.diff(path[:, 2:], axis=0)).max() <= max(motion.zoom, motion.turn)


def test_a_window_of_a_clip_is_consecutive() -> None:
    class Keep:
        def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
            np.testing.assert_array_equal(clip[:-1, :, :-3], clip[1:, :, 3:])
            return clip[:, ::2, ::2]

    assert len(make(3, [CLIP], degradation=Keep())) == 3
