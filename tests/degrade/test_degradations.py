"""Degradations: what each does to a clip, and that it depends on the seed alone."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import examples
from vidsr.degrade.blur import Blur, Clip, DefocusBlur, GaussianBlur, MotionBlur, ShakeBlur
from vidsr.degrade.degradations import (
    Blurred,
    Chain,
    Degradation,
    GaussianNoise,
    OneOf,
    PoissonNoise,
    Resize,
    VideoCodec,
    convolve,
    maybe,
)
from vidsr.video.encode_decode import Encoder, encode_and_decode

ENCODERS: tuple[tuple[Encoder, int, int], ...] = (  # encoder, a high quality, a low one
    ("libx264", 17, 35),
    ("libx265", 18, 36),
    ("libvpx-vp9", 20, 55),
    ("mpeg4", 2, 12),
    ("mpeg2video", 2, 12),
)
BLURS: tuple[Blur, ...] = (
    GaussianBlur((0.5, 2.0), (0.4, 1.0)),
    DefocusBlur((0.5, 4.0)),
    MotionBlur((3, 25)),
    ShakeBlur((3, 25)),
)
ALL: tuple[Degradation, ...] = (
    *map(Blurred, BLURS),
    Resize(Fraction(1, 2)),
    GaussianNoise((2, 4)),
    PoissonNoise((0.2, 1)),
    VideoCodec("libx264", (25, 35), ("veryfast", "medium")),
    Chain((Blurred(GaussianBlur((1, 2))), GaussianNoise((1, 2)))),
    OneOf((Resize(Fraction(1)), GaussianNoise((2, 4))), (1, 3)),
)
names = [type(step).__name__ for step in ALL]


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def texture(height: int, width: int) -> np.ndarray:
    """An image with detail at every size."""
    rng = seeded(7)
    layers = [cv2.resize(rng.normal(size=(height // n, width // n)), (width, height)) * n for n in (1, 2, 4, 8, 16)]
    return np.clip(128 + 6 * sum(layers), 0, 255).astype(np.uint8)


def panning(frames: int = 6, height: int = 80, width: int = 96) -> Clip:
    image = texture(height + frames, width + 2 * frames)
    return np.stack([image[t : t + height, 2 * t : 2 * t + width] for t in range(frames)])


def error(a: Clip, b: Clip) -> float:
    return float(np.mean((a.astype(float) - b) ** 2))


@pytest.mark.parametrize("step", ALL, ids=names)
def test_the_same_seed_gives_the_same_output_and_the_input_is_unchanged(step: Degradation) -> None:
    clip = panning()
    original = clip.copy()
    first, again, other = step(clip, seeded(1)), step(clip, seeded(1)), step(clip, seeded(4))
    assert first.dtype == np.uint8
    assert len(first) == len(clip)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(clip, original)
    if not isinstance(step, Resize):
        assert first.shape == clip.shape
        assert (first != other).any()


@pytest.mark.parametrize("blur", BLURS, ids=lambda blur: type(blur).__name__)
@examples(20)
@given(seed=st.integers(0, 2**32))
def test_a_blur_kernel_keeps_the_brightness_and_the_position(blur: Blur, seed: int) -> None:
    kernel = blur.kernel(seeded(seed))
    reach = len(kernel) // 2
    offsets = np.arange(-reach, reach + 1)
    assert kernel.shape == (2 * reach + 1, 2 * reach + 1)
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.sum(0) @ offsets == pytest.approx(0, abs=1e-3)
    assert kernel.sum(1) @ offsets == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("sigma", [0.8, 1.6, 3.0])
def test_a_gaussian_kernel_has_its_sigma(sigma: float) -> None:
    kernel = GaussianBlur((sigma, sigma)).kernel(seeded())
    offsets = np.arange(len(kernel)) - len(kernel) // 2
    assert np.sqrt(kernel.sum(0) @ offsets**2) == pytest.approx(sigma, rel=0.03)


def test_the_aspect_narrows_a_gaussian_across_its_direction() -> None:
    kernel = GaussianBlur((3, 3), (0.5, 0.5)).kernel(seeded(3))
    y, x = np.indices(kernel.shape) - len(kernel) // 2
    spread = np.cov(np.stack([x.ravel(), y.ravel()]), aweights=kernel.ravel(), ddof=0)
    across, along = np.sqrt(np.linalg.eigvalsh(spread))
    assert (across, along) == pytest.approx((1.5, 3), rel=0.05)


@pytest.mark.parametrize(("angle", "columns", "rows"), [(0, 9, 1), (90, 1, 9), (45, 7, 7)])
def test_a_motion_kernel_lies_along_its_angle(angle: float, columns: int, rows: int) -> None:
    kernel = MotionBlur((9, 9), (angle, angle)).kernel(seeded())
    assert ((kernel.sum(0) > 1e-3).sum(), (kernel.sum(1) > 1e-3).sum()) == (columns, rows)


def test_a_motion_kernel_of_45_degrees_rises_to_the_right() -> None:
    kernel = MotionBlur((9, 9), (45, 45)).kernel(seeded())
    reach = len(kernel) // 2
    assert kernel[reach - 2, reach + 2] > 0.05
    assert kernel[reach - 2, reach - 2] == 0


@pytest.mark.parametrize("length", [3, 12, 25])
def test_a_shake_kernel_is_no_longer_than_its_length(length: int) -> None:
    kernel = ShakeBlur((length, length)).kernel(seeded(5))
    rows, columns = np.nonzero(kernel > 0)
    assert max(np.ptp(rows), np.ptp(columns)) <= length + 2
    assert (kernel > 1e-4).sum() >= length


@pytest.mark.parametrize("radius", [1.0, 2.5, 4.0])
def test_a_defocus_disk_has_its_area(radius: float) -> None:
    kernel = DefocusBlur((radius, radius)).kernel(seeded())
    assert 1 / kernel.max() == pytest.approx(np.pi * radius**2, rel=0.1)


def test_convolution_equals_the_sum_of_shifted_copies() -> None:
    clip = panning(2, 20, 24)
    kernel = ShakeBlur((5, 5)).kernel(seeded(2))
    reach = len(kernel) // 2
    padded = np.pad(clip, ((0, 0), (reach, reach), (reach, reach)), mode="reflect").astype(float)
    slow = np.zeros(clip.shape)
    for (row, column), weight in np.ndenumerate(kernel):
        top, left = 2 * reach - row, 2 * reach - column
        slow += weight * padded[:, top : top + 20, left : left + 24]
    assert np.abs(convolve(clip, kernel) - slow).max() <= 0.51


def test_gaussian_noise_has_its_sigma_and_no_bias() -> None:
    grey = np.full((4, 200, 200), 100, np.uint8)
    noise = GaussianNoise((5, 5))(grey, seeded()) - 100.0
    assert noise.std() == pytest.approx(5, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.05)
    assert (noise[0] != noise[1]).mean() > 0.8, "every frame has other noise"


def test_shot_noise_grows_with_brightness() -> None:
    clip = np.stack([np.full((200, 200), level, np.uint8) for level in (40, 160)])
    dark, bright = PoissonNoise((0.5, 0.5))(clip, seeded()).reshape(2, -1).astype(float)
    assert (dark.var(), bright.var()) == pytest.approx((20, 80), rel=0.05)
    assert (dark.mean(), bright.mean()) == pytest.approx((40, 160), abs=0.3)


@pytest.mark.parametrize(("encoder", "high", "low"), ENCODERS, ids=lambda value: str(value))
def test_a_codec_keeps_the_order_of_frames_and_errs_more_at_lower_quality(
    encoder: Encoder, high: int, low: int
) -> None:
    clip = panning()
    good, bad = encode_and_decode(clip, encoder, high), encode_and_decode(clip, encoder, low)
    assert good.shape == bad.shape == clip.shape
    assert 0 < error(clip, good) < error(clip, bad)
    for t, frame in enumerate(good):
        assert np.argmin([error(frame, other) for other in clip]) == t


def test_a_codec_keeps_odd_sizes() -> None:
    clip = panning(3, 71, 85)
    assert error(clip, encode_and_decode(clip, "libx264", 15)) < 20


def test_one_of_draws_by_its_weights() -> None:
    clip = np.zeros((1, 4, 4), np.uint8)
    step = maybe(0.25, GaussianNoise((50, 50)))
    rng = seeded()
    assert np.mean([step(clip, rng).any() for _ in range(2000)]) == pytest.approx(0.25, abs=0.03)


def test_resize_rounds_the_size_to_at_least_one_pixel() -> None:
    assert Resize(Fraction(1, 4))(np.zeros((2, 10, 1), np.uint8), seeded()).shape == (2, 2, 1)
