"""Scene cuts and repeated frames: a new scene is a cut; light, motion and noise are not."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from vidsr.flow import scene_cuts

Luma = npt.NDArray[np.float32]


def texture(seed: int, height: int = 180, width: int = 640) -> Luma:
    """Return luma with coarse and fine structure, 8-bit code values."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.random((height // n, width // n), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        for n in (60, 20, 6)
    ]
    return np.clip(16 + 200 * (0.5 * layers[0] + 0.3 * layers[1] + 0.2 * layers[2]), 0, 255).astype(np.float32)


def thumbnail(luma: Luma, depth: int = 8) -> scene_cuts.Thumbnail:
    """Return the thumbnail of the left half of ``luma``."""
    scaled = luma[:, :320] * (((1 << depth) - 1) / 255)
    dtype = torch.uint8 if depth == 8 else torch.uint16
    return scene_cuts.thumbnail(torch.from_numpy(scaled.copy()).round().to(dtype)[None, None], depth)


A, B = texture(1), texture(2)
ONE_SCENE = {
    "no change": A,
    "flash": np.minimum(A * 1.4 + 40, 255),
    "one step of a fade to black": A * 0.8,
    "one step of a dissolve": 0.85 * A + 0.15 * B,
    "pan by a sixth of the width": A[:, 53:],
    "tilt": np.roll(A, 20, axis=0),
    "noise": A + np.random.default_rng(3).normal(0, 8, A.shape).astype(np.float32),
    "zoom": cv2.resize(A[:, :320], None, fx=1.08, fy=1.08),
}


def test_another_scene_is_a_cut() -> None:
    assert scene_cuts.is_cut(thumbnail(A), thumbnail(B))
    assert scene_cuts.is_cut(thumbnail(A), thumbnail(B), flow_confidence=0.01)


@pytest.mark.parametrize("name", ONE_SCENE)
@pytest.mark.parametrize("flow_confidence", [None, 0.01])
def test_change_within_one_scene_is_no_cut(name: str, flow_confidence: float | None) -> None:
    assert not scene_cuts.is_cut(thumbnail(A), thumbnail(ONE_SCENE[name]), flow_confidence)


def test_flow_confidence_decides_a_doubtful_pair() -> None:
    doubtful = thumbnail(0.5 * A + 0.5 * B)
    assert 0.55 < scene_cuts.similarity(thumbnail(A), doubtful) < 0.8
    assert scene_cuts.is_cut(thumbnail(A), doubtful, flow_confidence=0.01)
    assert not scene_cuts.is_cut(thumbnail(A), doubtful, flow_confidence=0.5)


def test_ten_bits_give_the_same_result_as_eight() -> None:
    assert np.abs(thumbnail(A, 10) - thumbnail(A)).max() <= 1
    assert scene_cuts.is_cut(thumbnail(A, 10), thumbnail(B, 10))


def test_two_black_frames_are_no_cut() -> None:
    black = np.full_like(A, 16)
    assert not scene_cuts.is_cut(thumbnail(black), thumbnail(black + 1))


def test_coding_noise_is_a_repeat_and_a_small_moving_object_is_not() -> None:
    noisy = A + np.random.default_rng(3).normal(0, 1, A.shape).astype(np.float32)
    moved = A.copy()
    moved[60:75, 100:115] = 255
    assert scene_cuts.is_repeat(thumbnail(A), thumbnail(noisy))
    assert not scene_cuts.is_repeat(thumbnail(A), thumbnail(moved))


def test_similarity_is_one_for_equal_frames_and_high_for_a_shift() -> None:
    assert scene_cuts.similarity(thumbnail(A), thumbnail(A)) == pytest.approx(1, abs=1e-4)
    assert scene_cuts.similarity(thumbnail(A), thumbnail(A[:, 40:])) > 0.95
