"""Resizing, against a slow twin, OpenCV, PyTorch and published figures."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.tiers import examples
from vidsr.kernels.resample import KERNELS, resampling_axis, resize
from vidsr.kernels.separable_filter import LONGEST_PERIOD, filter_rows
from vidsr.kernels.workers import strips
from vidsr.metrics import psnr_y

DTYPES = (np.uint8, np.uint16, np.float32)
SIDES = st.integers(1, 40)
FEW = examples(60)


def random_plane(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    codes = np.random.default_rng(seed).integers(0, 256, shape)
    return (codes * (257 if dtype == np.uint16 else 1)).astype(dtype)


# --- slow twin: each kernel by its definition, each sample a sum over all samples of the axis


def keys(x: float, a: float) -> float:
    if abs(x) <= 1:
        return (a + 2) * abs(x) ** 3 - (a + 3) * x**2 + 1
    return a * abs(x) ** 3 - 5 * a * x**2 + 8 * a * abs(x) - 4 * a if abs(x) < 2 else 0


def sinc(x: float) -> float:
    return 1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x)


# name -> function, radius, antialiased, mirrored (else the border sample repeats)
TWINS: dict[str, tuple[Callable[[float], float], float, bool, bool]] = {
    "bilinear": (lambda x: max(0.0, 1 - abs(x)), 1, True, True),
    "bicubic": (lambda x: keys(x, -0.5), 2, True, True),
    "bicubic_opencv": (lambda x: keys(x, -0.75), 2, False, False),
    "lanczos": (lambda x: sinc(x) * sinc(x / 3) if abs(x) < 3 else 0, 3, True, True),
}


def twin_matrix(n_in: int, n_out: int, kernel: str, shift: float = 0.0) -> np.ndarray:
    matrix = np.zeros((n_out, n_in))
    for j in range(n_out):
        if kernel == "nearest":
            matrix[j, math.floor(Fraction(2 * j + 1, 2) * n_in / n_out)] = 1
            continue
        weight, radius, antialiased, mirrored = TWINS[kernel]
        stretch = max(1.0, n_in / n_out) if antialiased else 1.0
        centre = (j + 0.5) * n_in / n_out - 0.5 + shift
        for i in range(math.floor(centre - radius * stretch), math.ceil(centre + radius * stretch) + 1):
            folded = i % (2 * n_in)
            inside = min(folded, 2 * n_in - 1 - folded) if mirrored else min(max(i, 0), n_in - 1)
            matrix[j, inside] += weight((i - centre) / stretch)
    return matrix / matrix.sum(axis=1, keepdims=True)


def twin(
    image: np.ndarray, width: int, height: int, kernel: str, shift_x: float = 0.0, shift_y: float = 0.0
) -> np.ndarray:
    across = twin_matrix(image.shape[1], width, kernel, shift_x)
    return twin_matrix(image.shape[0], height, kernel, shift_y) @ image.astype(np.float64) @ across.T


@pytest.mark.parametrize("kernel", KERNELS)
@FEW
@given(h=SIDES, w=SIDES, height=SIDES, width=SIDES, dtype=st.sampled_from(DTYPES), seed=st.integers(0, 99))
def test_every_kernel_equals_its_definition(
    kernel: str, h: int, w: int, height: int, width: int, dtype: type, seed: int
) -> None:
    image = random_plane((h, w), dtype, seed)
    result, exact = resize(image, width, height, kernel), twin(image, width, height, kernel)
    peak = 65535 if dtype == np.uint16 else 255
    assert result.dtype == dtype
    assert result.shape == (height, width)
    if dtype == np.float32:
        np.testing.assert_allclose(result, exact, atol=1e-3)
    else:
        assert np.abs(result - np.clip(exact, 0, peak)).max() <= 0.5 + 1e-4 * (1 + peak / 256)
    floats = resize(image, width, height, kernel, dtype=np.float32)
    np.testing.assert_allclose(floats, exact, atol=4e-6 * peak + 1e-4)


@pytest.mark.parametrize("kernel", TWINS)
@FEW
@given(shift_x=st.floats(-3, 3), shift_y=st.floats(-3, 3), width=SIDES, height=SIDES)
def test_shift_moves_the_sampling_positions(
    kernel: str, shift_x: float, shift_y: float, width: int, height: int
) -> None:
    image = random_plane((13, 17), np.float32)
    result = resize(image, width, height, kernel, shift_x=shift_x, shift_y=shift_y)
    np.testing.assert_allclose(result, twin(image, width, height, kernel, shift_x, shift_y), atol=2e-3)


PHASED = [(n, 1) for n in range(1, 9)] + [(1, n) for n in range(2, 9)] + [(3, 2), (2, 3), (8, 7), (7, 8)]


# both row passes: periods of 1 to 8 phases in or out, and gathering for longer periods
@pytest.mark.parametrize("ratio", [*PHASED, (15, 8), (33, 1), (1, 33), (33, 32), (31, 40)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_ratio_equals_the_definition(kernel: str, ratio: tuple[int, int]) -> None:
    out, into = ratio
    image = random_plane((24, 12 * into), np.float32)
    axis = resampling_axis(12 * into, 12 * out, kernel)
    assert (axis.period == 0) == (max(ratio) > LONGEST_PERIOD)
    np.testing.assert_allclose(resize(image, 12 * out, 20, kernel), twin(image, 12 * out, 20, kernel), atol=1e-3)


@pytest.mark.parametrize("kernel", KERNELS)
@FEW
@given(n_in=st.integers(1, 300), n_out=st.integers(1, 300), shift=st.floats(-2, 2))
def test_weights_of_every_sample_sum_to_one(kernel: str, n_in: int, n_out: int, shift: float) -> None:
    axis = resampling_axis(n_in, n_out, kernel, shift)
    np.testing.assert_allclose(axis.weights.sum(axis=1), 1, atol=2e-6)
    assert len(axis.weights) == n_out
    assert axis.start.max() + axis.weights.shape[1] <= len(axis.source)  # no read beyond the border
    assert 0 <= axis.source.min() <= axis.source.max() < n_in


@pytest.mark.parametrize("kernel", KERNELS)
@FEW
@given(h=SIDES, w=SIDES, height=SIDES, width=SIDES, dtype=st.sampled_from(DTYPES))
def test_constant_plane_stays_constant(kernel: str, h: int, w: int, height: int, width: int, dtype: type) -> None:
    top = 65535 if dtype == np.uint16 else 255
    for value in (0, 77, top):
        result = resize(np.full((h, w), value, dtype), width, height, kernel)
        np.testing.assert_allclose(result, value, atol=1e-3 if dtype == np.float32 else 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_resizing_to_the_same_size_changes_nothing(kernel: str, dtype: type) -> None:
    image = random_plane((31, 45), dtype)
    assert np.array_equal(resize(image, 45, 31, kernel), image)


# --- other libraries


@pytest.mark.parametrize(
    ("kernel", "flag"), [("bicubic_opencv", cv2.INTER_CUBIC), ("bilinear", cv2.INTER_LINEAR), ("nearest", 6)]
)
@FEW
@given(h=st.integers(2, 40), w=st.integers(2, 40), up=st.integers(1, 4), more=st.integers(0, 7))
def test_upscaling_equals_opencv(kernel: str, flag: int, h: int, w: int, up: int, more: int) -> None:
    if kernel == "nearest":
        more = 0  # other factors have ties, which OpenCV's fixed point rounds either way
    size = (w * up + more, h * up + more)
    for dtype, tolerance in ((np.float32, 0.02), (np.uint8, 1), (np.uint16, 1)):
        image = random_plane((h, w), dtype) // (64 if dtype == np.uint16 else 1)
        image = image.astype(dtype)
        # 6 is INTER_NEAREST_EXACT, which samples at pixel centres like the others; INTER_NEAREST samples at corners
        expected = cv2.resize(image, size, interpolation=flag)
        assert np.abs(resize(image, *size, kernel).astype(float) - expected).max() <= tolerance


def test_downscaling_without_antialiasing_equals_opencv_cubic() -> None:
    image = random_plane((90, 121), np.float32)
    expected = cv2.resize(image, (40, 31), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(resize(image, 40, 31, "bicubic_opencv"), expected, atol=1e-2)


@pytest.mark.parametrize("size", [(23, 17), (31, 40), (60, 80), (120, 160), (200, 90)])
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
def test_interior_equals_the_antialiased_resize_of_pytorch(kernel: str, size: tuple[int, int]) -> None:
    image = random_plane((60, 80), np.float32)
    expected = F.interpolate(torch.from_numpy(image)[None, None], size, mode=kernel, antialias=True)[0, 0].numpy()
    border = math.ceil(2 * max(1, size[0] / 60, size[1] / 80)) + 1  # PyTorch truncates the kernel there, we mirror
    inside = (slice(border, -border), slice(border, -border))
    np.testing.assert_allclose(resize(image, size[1], size[0], kernel)[inside], expected[inside], atol=2e-3)


# --- input and output arrays


@pytest.mark.parametrize("kernel", KERNELS)
def test_one_pixel_becomes_a_flat_plane_and_back(kernel: str) -> None:
    for dtype in DTYPES:
        np.testing.assert_allclose(resize(np.full((1, 1), 200, dtype), 7, 5, kernel), 200, atol=1e-3)
        np.testing.assert_allclose(resize(np.full((9, 8), 200, dtype), 1, 1, kernel), 200, atol=1e-3)


def test_strided_and_read_only_input_is_supported() -> None:
    whole = random_plane((40, 60), np.uint8)
    frozen = whole.copy()
    frozen.flags.writeable = False
    expected = resize(np.ascontiguousarray(whole[::2, 5:45].T), 50, 70)
    assert np.array_equal(resize(whole[::2, 5:45].T, 50, 70), expected)
    assert np.array_equal(resize(frozen, 50, 70), resize(whole, 50, 70))


def test_batch_equals_its_planes_one_by_one() -> None:
    batch = random_plane((2, 3, 20, 30), np.uint8)
    result = resize(batch, 45, 40, "lanczos")
    assert result.shape == (2, 3, 40, 45)
    for n in range(2):
        for c in range(3):
            assert np.array_equal(result[n, c], resize(batch[n, c], 45, 40, "lanczos"))


def test_ten_bits_are_clipped_to_their_own_peak() -> None:
    edge = np.repeat(np.array([[0, 1023]], np.uint16), 8, axis=1).repeat(16, axis=0)
    assert resize(edge, 64, 64, "lanczos", peak=1023).max() == 1023
    assert resize(edge, 64, 64, "lanczos").max() > 1023
    assert resize(edge, 64, 64, "lanczos", dtype=np.float32).max() > 1023


def test_result_is_written_to_the_given_array() -> None:
    image, out = random_plane((12, 16), np.uint8), np.zeros((24, 32), np.uint8)
    assert resize(image, 32, 24, out=out) is out
    assert np.array_equal(out, resize(image, 32, 24))
    with pytest.raises(ValueError, match="does not hold"):
        resize(image, 32, 25, out=out)
    with pytest.raises(ValueError, match="does not hold"):
        resize(image, 16, 24, out=out[:, ::2])


def test_unsupported_types_and_empty_sizes_are_refused() -> None:
    with pytest.raises(TypeError, match="float64"):
        resize(np.zeros((4, 4)), 8, 8)
    for width, height in ((0, 8), (8, -1)):
        with pytest.raises(ValueError, match="empty"):
            resize(np.zeros((4, 4), np.uint8), width, height)
    with pytest.raises(ValueError, match="empty"):
        resize(np.zeros((0, 4), np.uint8), 8, 8)


@pytest.mark.parametrize("size", [(1500, 900), (301, 222)])
def test_strips_join_without_a_seam(size: tuple[int, int]) -> None:
    image = random_plane((640, 1000), np.uint8)
    x, y = resampling_axis(1000, size[0], "lanczos"), resampling_axis(640, size[1], "lanczos")
    whole = np.empty(size[::-1], np.uint8)
    filter_rows(image, whole, 0, x, y)  # in one strip
    assert np.array_equal(resize(image, *size, "lanczos"), whole)


def test_several_threads_resize_at_once() -> None:
    image = random_plane((200, 300), np.uint8)
    assert len(strips(600, 900)) > 2  # each call has several strips
    expected = resize(image, 900, 600)
    with ThreadPoolExecutor(4) as callers:
        results = list(callers.map(lambda _: resize(image, 900, 600), range(24)))
    assert all(np.array_equal(result, expected) for result in results)


# --- the papers' baseline


@pytest.mark.parametrize(("scale", "published"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_bicubic_psnr_on_set5_equals_the_published_figure(data: Path, scale: int, published: float) -> None:
    assert mean_bicubic_psnr(data / "set5", scale) == pytest.approx(published, abs=0.03)


def test_bicubic_psnr_on_set14_equals_the_published_figure(data: Path) -> None:
    assert mean_bicubic_psnr(data / "set14", 2) == pytest.approx(30.24, abs=0.03)


def mean_bicubic_psnr(folder: Path, scale: int) -> float:
    scores = []
    for path in sorted(folder.glob("*.png")):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        height, width = (side - side % scale for side in image.shape[:2])
        high = image[:height, :width]
        planes = np.moveaxis(high[..., 2::-1], -1, 0) if high.ndim == 3 else high
        back = resize(resize(planes, width // scale, height // scale), width, height)
        low, true = (np.moveaxis(p, 0, -1) if p.ndim == 3 else p for p in (back, planes))
        scores.append(psnr_y(low, true, scale))
    assert len(scores) in (5, 14)
    return float(np.mean(scores))
