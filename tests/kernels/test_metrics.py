"""Fused frame metrics against NumPy and the slow SSIM."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidsr import metrics as slow
from vidsr.kernels.metrics import sse, sse_resized, ssim
from vidsr.kernels.resample import resize

DTYPES = (np.uint8, np.uint16, np.float32)
SIDES = st.integers(1, 60)


def random_plane(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    top = 65536 if dtype == np.uint16 else 256
    return np.random.default_rng(seed).integers(0, top, shape).astype(dtype)


def exact(a: np.ndarray, b: np.ndarray, crop: int = 0) -> int:
    inside = (slice(crop, a.shape[0] - crop), slice(crop, a.shape[1] - crop))
    return int(((a.astype(object) - b.astype(object))[inside] ** 2).sum())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(h=SIDES, w=SIDES, crop=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_sse_is_exact_for_integers(dtype: type, h: int, w: int, crop: int) -> None:
    a, b = random_plane((h, w), dtype, 1), random_plane((h, w), dtype, 2)
    if min(h, w) <= 2 * crop:
        with pytest.raises(ValueError, match="cannot compare"):
            sse(a, b, crop)
    else:
        assert sse(a, b, crop) == exact(a, b, crop)


def test_sse_of_a_large_plane_of_extremes_does_not_overflow() -> None:
    shape = (2160, 3840)
    assert sse(np.zeros(shape, np.uint16), np.full(shape, 65535, np.uint16)) == 65535**2 * 2160 * 3840


def test_sse_of_floats_and_of_mixed_types() -> None:
    a, b = random_plane((40, 50), np.float32, 1) / 3, random_plane((40, 50), np.uint8, 2)
    expected = ((a.astype(np.float64) - b) ** 2).sum()
    assert sse(a, b) == pytest.approx(expected, rel=1e-9)
    assert sse(a, a) == 0


@pytest.mark.parametrize("dtype", DTYPES)
@given(h=SIDES, w=SIDES, height=SIDES, width=SIDES, crop=st.integers(0, 2))
@settings(max_examples=30, deadline=None)
def test_sse_resized_is_resize_then_sse(dtype: type, h: int, w: int, height: int, width: int, crop: int) -> None:
    if min(height, width) <= 2 * crop:
        return
    source, target = random_plane((h, w), dtype, 1), random_plane((height, width), dtype, 2)
    assert sse_resized(source, target, crop=crop) == sse(resize(source, width, height), target, crop)


@pytest.mark.parametrize("sizes", [((270, 480), (1080, 1920)), ((1080, 1920), (270, 480)), ((500, 700), (500, 700))])
@pytest.mark.parametrize("crop", [0, 4])
def test_sse_resized_over_several_strips(sizes: tuple[tuple[int, int], tuple[int, int]], crop: int) -> None:
    source, target = random_plane(sizes[0], np.uint8, 1), random_plane(sizes[1], np.uint8, 2)
    resized = resize(source, sizes[1][1], sizes[1][0])
    assert sse_resized(source, target, crop=crop) == exact(resized, target, crop)


def test_sse_resized_knows_the_peak_of_ten_bits() -> None:
    edge = np.repeat(np.array([[0, 1023]], np.uint16), 8, axis=1).repeat(16, axis=0)
    target = random_plane((64, 64), np.uint16) // 64
    expected = sse(resize(edge, 64, 64, "lanczos", peak=1023), target)
    assert sse_resized(edge, target, "lanczos", peak=1023) == expected
    assert sse_resized(edge, target, "lanczos") != expected


def noisy_pair(shape: tuple[int, int], dtype: type, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(int(noise))
    top = 65535 if dtype == np.uint16 else 255
    a = resize(rng.uniform(0, top, (9, 11)).astype(np.float32), shape[1], shape[0])
    b = a + rng.normal(0, noise * top / 255, shape)
    return np.clip(a, 0, top).astype(dtype), np.clip(b, 0, top).astype(dtype)


@pytest.mark.parametrize("noise", [0, 2, 30])
@pytest.mark.parametrize("shape", [(11, 11), (11, 300), (48, 31), (400, 500)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_ssim_is_the_slow_one(dtype: type, shape: tuple[int, int], noise: float) -> None:
    a, b = noisy_pair(shape, dtype, noise)
    peak = 65535 if dtype == np.uint16 else 255
    assert ssim(a, b) == pytest.approx(slow.ssim(a, b, peak), abs=2e-5)
    if min(shape) > 20:
        assert ssim(a, b, crop=4) == pytest.approx(slow.ssim(a, b, peak, crop=4), abs=2e-5)


def test_ssim_is_one_for_equal_planes_flat_ones_included() -> None:
    for value in (0, 128, 255):
        flat = np.full((40, 40), value, np.uint8)
        assert ssim(flat, flat) == pytest.approx(1, abs=1e-6)


def test_ssim_of_ten_bits_is_that_of_their_peak() -> None:
    a, b = (plane.astype(np.uint16) * 4 for plane in noisy_pair((60, 60), np.uint8, 9))
    assert ssim(a, b, peak=1020) == pytest.approx(slow.ssim(a, b, 1020), abs=2e-5)
    assert ssim(a, b, peak=1020) == pytest.approx(ssim((a // 4).astype(np.uint8), (b // 4).astype(np.uint8)), abs=2e-5)


def test_planes_that_do_not_match_are_refused() -> None:
    a = np.zeros((20, 20), np.uint8)
    for call in (sse, ssim):
        with pytest.raises(ValueError, match="cannot compare"):
            call(a, a[:, :19])
    with pytest.raises(ValueError, match="cannot compare"):
        ssim(a, a, crop=5)
    with pytest.raises(TypeError, match="int64"):
        sse(a.astype(np.int64), a.astype(np.int64))


def test_several_strided_planes() -> None:
    a, b = random_plane((60, 80), np.uint8, 1).T, random_plane((80, 60), np.uint8, 2)
    assert sse(a, b) == exact(a, b)
    assert sse(a[::2], b[::2]) == exact(a[::2], b[::2])
