"""Sum of squared errors: exact, and equal to resizing followed by NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import examples
from vidsr.kernels.resample import resize
from vidsr.kernels.squared_error import sse, sse_resized

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
@examples(30)
def test_sse_is_exact_for_integers(dtype: type, h: int, w: int, crop: int) -> None:
    a, b = random_plane((h, w), dtype, 1), random_plane((h, w), dtype, 2)
    if min(h, w) <= 2 * crop:
        with pytest.raises(ValueError, match="cannot compare"):
            sse(a, b, crop)
    else:
        assert sse(a, b, crop) == exact(a, b, crop)


def test_largest_error_of_a_large_plane_does_not_overflow() -> None:
    shape = (2160, 3840)
    assert sse(np.zeros(shape, np.uint16), np.full(shape, 65535, np.uint16)) == 65535**2 * 2160 * 3840


def test_floats_and_mixed_types_equal_numpy() -> None:
    a, b = random_plane((40, 50), np.float32, 1) / 3, random_plane((40, 50), np.uint8, 2)
    expected = ((a.astype(np.float64) - b) ** 2).sum()
    assert sse(a, b) == pytest.approx(expected, rel=1e-9)
    assert sse(a, a) == 0


@pytest.mark.parametrize("dtype", DTYPES)
@given(h=SIDES, w=SIDES, height=SIDES, width=SIDES, crop=st.integers(0, 2))
@examples(30)
def test_sse_resized_equals_resize_then_sse(dtype: type, h: int, w: int, height: int, width: int, crop: int) -> None:
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


def test_sse_resized_clips_to_the_peak_of_ten_bits() -> None:
    edge = np.repeat(np.array([[0, 1023]], np.uint16), 8, axis=1).repeat(16, axis=0)
    target = random_plane((64, 64), np.uint16) // 64
    expected = sse(resize(edge, 64, 64, "lanczos", peak=1023), target)
    assert sse_resized(edge, target, "lanczos", peak=1023) == expected
    assert sse_resized(edge, target, "lanczos") != expected


def test_planes_of_different_size_or_unknown_type_are_refused() -> None:
    a = np.zeros((20, 20), np.uint8)
    with pytest.raises(ValueError, match="cannot compare"):
        sse(a, a[:, :19])
    with pytest.raises(TypeError, match="int64"):
        sse(a.astype(np.int64), a.astype(np.int64))


def test_strided_planes_are_supported() -> None:
    a, b = random_plane((60, 80), np.uint8, 1).T, random_plane((80, 60), np.uint8, 2)
    assert sse(a, b) == exact(a, b)
    assert sse(a[::2], b[::2]) == exact(a[::2], b[::2])
