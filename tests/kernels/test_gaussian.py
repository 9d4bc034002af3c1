"""Gaussian blur: equal to OpenCV's for every size, sigma, border and type."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import examples
from vidsr.kernels.gaussian import default_sigma, fixed_point, gaussian_blur, gaussian_kernel

BORDERS = {
    "reflect_101": cv2.BORDER_REFLECT_101,
    "reflect": cv2.BORDER_REFLECT,
    "replicate": cv2.BORDER_REPLICATE,
    "constant": cv2.BORDER_CONSTANT,
}
SIZES = (1, 3, 5, 7, 9, 11, 13, 21)
SIGMAS = (0.0, 0.4, 0.8, 1.7, 5.0)
TOLERANCE = {np.uint8: 0, np.uint16: 1, np.float32: 1e-4}


def random_plane(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    top = 65536 if dtype == np.uint16 else 256
    return np.random.default_rng(seed).integers(0, top, shape).astype(dtype)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("size", (*SIZES, 35))
def test_weights_equal_those_of_opencv(size: int, sigma: float) -> None:
    np.testing.assert_allclose(gaussian_kernel(size, sigma), cv2.getGaussianKernel(size, sigma).ravel(), atol=1e-12)


def test_default_sigma_grows_with_the_size() -> None:
    assert default_sigma(11) == pytest.approx(0.3 * ((11 - 1) * 0.5 - 1) + 0.8)
    np.testing.assert_allclose(gaussian_kernel(11), gaussian_kernel(11, 2.0), atol=1e-12)


@pytest.mark.parametrize("size", [0, 2, -3])
def test_even_or_empty_kernel_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        gaussian_kernel(size, 1.0)


@given(size=st.integers(0, 20).map(lambda n: 2 * n + 1), sigma=st.floats(0.1, 9), bits=st.sampled_from([8, 16]))
@examples(50)
def test_fixed_point_weights_sum_to_one_and_stay_close(size: int, sigma: float, bits: int) -> None:
    exact = gaussian_kernel(size, sigma)
    fixed = fixed_point(exact, bits)
    assert fixed.sum() == 1
    assert np.array_equal(fixed, fixed[::-1])
    assert np.abs(fixed - exact)[: size // 2].max(initial=0) <= 2.0**-bits


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", SIZES)
def test_blur_equals_opencv(size: int, border: str, dtype: type) -> None:
    image = random_plane((37, 53), dtype, size)
    for sigma in SIGMAS:
        expected = cv2.GaussianBlur(image, (size, size), sigma, borderType=BORDERS[border])
        result = gaussian_blur(image, size, sigma, border)
        assert result.dtype == dtype
        assert np.abs(result.astype(float) - expected).max() <= TOLERANCE[dtype]


@given(
    h=st.integers(1, 24),
    w=st.integers(1, 24),
    size=st.tuples(st.sampled_from(SIZES), st.sampled_from(SIZES)),
    sigma=st.tuples(st.floats(0.3, 4), st.floats(0.3, 4)),
    border=st.sampled_from(sorted(BORDERS)),
)
@examples(80)
def test_kernel_larger_than_the_plane_equals_opencv(
    h: int, w: int, size: tuple[int, int], sigma: tuple[float, float], border: str
) -> None:
    image = random_plane((h, w), np.uint8)
    if border == "reflect_101" and 1 in (h, w):
        return  # OpenCV does not define this border for a single sample
    expected = cv2.GaussianBlur(image, size, sigma[0], sigmaY=sigma[1], borderType=BORDERS[border])
    assert np.array_equal(gaussian_blur(image, size, sigma, border), expected)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_default_size_for_a_sigma_equals_opencv(dtype: type) -> None:
    image = random_plane((40, 50), dtype)
    for sigma in (0.7, 1.5, 2.9):
        expected = cv2.GaussianBlur(image, (0, 0), sigma)
        assert np.abs(gaussian_blur(image, 0, sigma).astype(float) - expected).max() <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_constant_plane_stays_constant(dtype: type) -> None:
    for value in (0, 255, 65535):
        if value > 255 and dtype == np.uint8:
            continue
        image = np.full((30, 40), value, dtype)
        np.testing.assert_allclose(gaussian_blur(image, 11, 2.0), value, rtol=1e-6)


def test_batches_strided_input_and_a_given_output_array() -> None:
    batch = random_plane((2, 3, 600, 700), np.uint8)  # several strips each
    out = np.empty_like(batch)
    assert gaussian_blur(batch, 5, out=out) is out
    for n in range(2):
        for c in range(3):
            assert np.array_equal(out[n, c], cv2.GaussianBlur(batch[n, c], (5, 5), 0))
    strided = batch[0, 0].T[::2]
    assert np.array_equal(gaussian_blur(strided, 5), cv2.GaussianBlur(np.ascontiguousarray(strided), (5, 5), 0))
