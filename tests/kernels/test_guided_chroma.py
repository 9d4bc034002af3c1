"""Chroma upscaling guided by luma: against a slow twin, and where no colour may appear."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.test_resample import keys
from tests.tiers import examples
from vidsr.color import rgb_to_ycbcr
from vidsr.kernels.guided_chroma import (
    ChromaAxis,
    at_chroma,
    confirmation,
    confirmed_share,
    resize_chroma,
    upscale_chroma,
)
from vidsr.kernels.resample import resize
from vidsr.kernels.separable_filter import border_index
from vidsr.metrics import psnr
from vidsr.video.image import RGB_COLOR

GRIDS = {"420 left": ((2, 0.0), (2, 0.5)), "420 topleft": ((2, 0.0), (2, 0.0)), "420 bottom": ((2, 0.5), (2, 1.0)),
         "422": ((2, 0.0), (1, 0.5)), "444": ((1, 0.0), (1, 0.5))}  # fmt: skip


def axes(grid: str, width: int, height: int, width_out: int, height_out: int) -> tuple[ChromaAxis, ChromaAxis]:
    (sx, ax), (sy, ay) = GRIDS[grid]
    return ChromaAxis(sx, ax, width, width_out), ChromaAxis(sy, ay, height, height_out)


def upscaled(
    uv: np.ndarray, luma: np.ndarray, large: np.ndarray, x: ChromaAxis, y: ChromaAxis, depth: int = 8
) -> np.ndarray:
    out = np.empty((len(uv), 2, y.n_out, x.n_out), np.float32)
    upscale_chroma(uv, luma, large, x, y, depth, out, None)
    return out


# --- slow twin: positions in luma samples, and every sample and window by its definition


def twin_axis(axis: ChromaAxis, kernel: str) -> np.ndarray:
    """Weights, output x input: sample j of chroma lies at ``step`` j + ``at`` of its luma, in input and output."""
    radius, weight = (2, lambda d: keys(d, -0.5)) if kernel == "cubic" else (1, lambda d: max(0.0, 1 - abs(d)))
    ratio = Fraction(axis.luma_in, axis.luma_out)
    stretch = max(1.0, float(ratio))
    at = axis.at if axis.step == 2 else 0
    matrix = np.zeros((axis.n_out, axis.n_in))
    for j in range(axis.n_out):
        luma = (Fraction(axis.step * j) + Fraction(at) + Fraction(1, 2)) * ratio - Fraction(1, 2)
        centre = float((luma - Fraction(at)) / axis.step)
        for i in range(int(centre - 9 * stretch) - radius, int(centre + 9 * stretch) + radius + 1):
            source = border_index(np.array([i]), axis.n_in, "reflect")[0]
            matrix[j, source] += weight((i - centre) / stretch)
    return matrix / matrix.sum(1, keepdims=True)


def twin_halving(n: int, step: int, at: float) -> np.ndarray:
    """Weights, chroma sample x luma sample, of luma at the positions of chroma."""
    if step == 1:
        return np.eye(n)
    even = n + n % 2
    matrix = np.zeros((even // 2, n))
    for j in range(even // 2):
        for i in range(2 * j - 9, 2 * j + 10):
            source = min(border_index(np.array([i]), even, "reflect")[0], n - 1)
            matrix[j, source] += keys((i - (2 * j + at)) / 2, -0.5)
    return matrix / matrix.sum(1, keepdims=True)


def windows(plane: np.ndarray) -> np.ndarray:
    """Return the nine samples around each, H x W x 9."""
    padded = np.pad(plane, 1, mode="edge")
    h, w = plane.shape
    return np.stack([padded[i : i + h, j : j + w] for i in range(3) for j in range(3)], -1)


def twin_gain(chroma: np.ndarray, guide: np.ndarray, depth: int) -> np.ndarray:
    unit = 4.0 ** (depth - 8)
    gain = np.empty_like(chroma)
    c, g = windows(chroma), windows(guide)
    for i, j in np.ndindex(chroma.shape):
        covariance = np.mean((c[i, j] - c[i, j].mean()) * (g[i, j] - g[i, j].mean()))
        var_g, var_c = g[i, j].var() + 2.0 * unit, c[i, j].var() + 0.5 * unit
        gain[i, j] = covariance / var_g * (covariance**2 / (var_g * var_c)) ** 2
    return windows(gain).mean(-1)


def twin_share(chroma: np.ndarray, guide: np.ndarray, depth: int) -> float:
    h, w = (n // 2 * 2 for n in chroma.shape)
    if min(h, w) < 4:
        return 0.0
    halved = [p[:h, :w].reshape(h // 2, 2, w // 2, 2).mean((1, 3)) for p in (chroma, guide)]
    back_x, back_y = (twin_axis(ChromaAxis(1, 0, n // 2, n), "cubic") for n in (w, h))
    gain = back_y @ twin_gain(*halved, depth) @ back_x.T
    detail = gain * (guide[:h, :w] - back_y @ halved[1] @ back_x.T)
    missing = chroma[:h, :w] - back_y @ halved[0] @ back_x.T
    size = np.sqrt((detail**2).mean()) / 2 ** (depth - 8)  # in 8-bit codes
    return float(np.clip((detail * missing).sum() / max((detail**2).sum(), 1e-6) - max(0, 1 - size), 0, 1))


def twin(uv: np.ndarray, luma: np.ndarray, large: np.ndarray, x: ChromaAxis, y: ChromaAxis, depth: int) -> np.ndarray:
    out = np.empty((len(uv), 2, y.n_out, x.n_out))
    cubic_x, cubic_y, linear_x, linear_y = (twin_axis(a, k) for k in ("cubic", "linear") for a in (x, y))
    for n, p in np.ndindex(out.shape[:2]):
        guide, large_guide = (
            twin_halving(plane.shape[0], y.step, y.at)
            @ plane.astype(np.float64)
            @ twin_halving(plane.shape[1], x.step, x.at).T
            for plane in (luma[n], large[n])
        )
        chroma = uv[n, p].astype(np.float64)
        gain = twin_gain(chroma, guide, depth) * twin_share(chroma, guide, depth)
        around = windows(chroma).max(-1) - windows(chroma).min(-1)
        most = linear_y @ around @ linear_x.T
        detail = (cubic_y @ gain @ cubic_x.T) * (large_guide - cubic_y @ guide @ cubic_x.T)
        out[n, p] = cubic_y @ chroma @ cubic_x.T + np.clip(detail, -most, most)
    return out


def planes(
    rng: np.random.Generator, grid: str, size: tuple[int, int], size_out: tuple[int, int], depth: int
) -> tuple[np.ndarray, ...]:
    """Coloured luma: chroma that follows luma, with noise; and a large luma of the same blocks."""
    dtype, unit = (np.uint8, 1) if depth == 8 else (np.uint16, 1 << (depth - 8))
    blocks = rng.integers(0, 256, (2, 4, 4)) * unit
    luma, large = (
        np.stack([b[np.arange(h)[:, None] * 4 // h, np.arange(w) * 4 // w] for b in blocks])
        for w, h in (size, size_out)
    )
    x, y = axes(grid, *size, *size_out)
    near = luma[:, :: y.step, :: x.step]
    uv = np.stack([near * 0.5 + 40 * unit, 200 * unit - near * 0.3], 1) + rng.normal(
        0, 2 * unit, (2, 2, *near.shape[1:])
    )
    return np.clip(uv, 0, 256 * unit - 1).astype(dtype), luma.astype(dtype), large.astype(dtype)


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("sizes", [(16, 12, 64, 48), (17, 13, 34, 26), (15, 11, 40, 23), (14, 16, 21, 8), (3, 2, 9, 6)])
def test_the_kernel_is_its_slow_twin(grid: str, sizes: tuple[int, int, int, int], depth: int) -> None:
    uv, luma, large = planes(np.random.default_rng(sum(sizes)), grid, sizes[:2], sizes[2:], depth)
    x, y = axes(grid, *sizes)
    expected = twin(uv, luma, large, x, y, depth)
    unit = 1 << (depth - 8)
    np.testing.assert_allclose(upscaled(uv, luma, large, x, y, depth), expected, rtol=0, atol=0.02 * unit)
    peak = (1 << depth) - 1
    codes = np.empty(expected.shape, uv.dtype)
    upscale_chroma(uv, luma, large, x, y, depth, codes, peak)
    assert np.abs(codes - np.clip(expected, 0, peak)).max() <= 0.5 + 0.02 * unit


def test_the_detail_is_used_in_the_twin() -> None:
    """The comparison above is of a guided result, not of bicubic chroma."""
    uv, luma, large = planes(np.random.default_rng(0), "420 left", (32, 24), (128, 96), 8)
    x, y = axes("420 left", 32, 24, 128, 96)
    plain = np.empty((2, 2, 48, 64), np.float32)
    resize_chroma(uv, x, y, "bicubic", plain, None)
    assert np.abs(upscaled(uv, luma, large, x, y) - plain).max() > 10


@examples(30)
@given(st.sampled_from(sorted(GRIDS)), st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 4, Fraction(5, 2)]))
def test_grey_stays_grey_and_flat_colour_stays_flat(grid: str, seed: int, scale: Fraction) -> None:
    rng = np.random.default_rng(seed)
    w, h = (int(n) for n in rng.integers(2, 40, 2))
    x, y = axes(grid, w, h, int(w * scale), int(h * scale))
    luma, large = (rng.integers(0, 256, (1, n, m), np.uint8) for n, m in ((h, w), (y.luma_out, x.luma_out)))
    for code in (128, 90):
        uv = np.full((1, 2, y.n_in, x.n_in), code, np.uint8)
        out = np.empty((1, 2, y.n_out, x.n_out), np.uint8)
        upscale_chroma(uv, luma, large, x, y, 8, out, 255)
        assert (out == code).all()


def test_no_colour_appears_where_there_was_none() -> None:
    """Black letters on white next to red ones keep the neutral codes, whatever the luma does."""
    rng = np.random.default_rng(0)
    luma = rng.integers(0, 256, (1, 64, 64), np.uint8)
    uv = np.full((1, 2, 32, 32), 128, np.uint8)
    uv[..., :16] = (luma[:, ::2, ::2] // 3 + 90)[:, None, :, :16]
    large = luma.repeat(4, 1).repeat(4, 2)
    x, y = axes("420 left", 64, 64, 256, 256)
    result = upscaled(uv, luma, large, x, y)
    plain = np.empty_like(result)
    resize_chroma(uv, x, y, "bicubic", plain, None)
    right = (16 + 2) * 4  # output samples whose window of source samples is neutral
    np.testing.assert_array_equal(result[..., right:], plain[..., right:])
    assert np.abs(result[..., right + 8 :] - 128).max() == 0
    assert np.abs(result - plain)[..., : 15 * 4].max() > 5  # the detail is at work on the coloured side


def test_the_detail_never_exceeds_the_range_of_the_chroma_around_it() -> None:
    rng = np.random.default_rng(1)
    uv, luma, _ = planes(rng, "444", (24, 24), (96, 96), 8)
    large = rng.integers(0, 256, (2, 96, 96), np.uint8)  # a luma that invents detail
    x, y = axes("444", 24, 24, 96, 96)
    around = np.stack([[windows(p).max(-1).astype(int) - windows(p).min(-1) for p in frame] for frame in uv])
    plain = np.empty((2, 2, 96, 96), np.float32)
    resize_chroma(uv, x, y, "bicubic", plain, None)
    most = around.max(axis=(-1, -2), keepdims=True)
    assert (np.abs(upscaled(uv, luma, large, x, y) - plain) <= most + 0.01).all()


def test_chroma_that_ignores_luma_is_bicubic() -> None:
    """Noise correlates with luma in some windows, and the frame itself shows that this predicts nothing."""
    rng = np.random.default_rng(2)
    large = rng.normal(128, 40, (1, 64, 1, 64, 1)).repeat(2, 2).repeat(2, 4).reshape(1, 128, 128)
    large = np.clip(large, 0, 255).astype(np.uint8)
    luma = large[:, ::2, ::2].copy()
    x, y = axes("444", 64, 64, 128, 128)
    independent = np.clip(rng.normal(128, 40, (1, 2, 64, 64)), 0, 255).astype(np.uint8)
    follows = np.stack([luma // 2 + 60, 200 - luma // 2], 1)
    changes = []
    for uv in (independent, follows):
        plain = np.empty((1, 2, 128, 128), np.float32)
        resize_chroma(uv, x, y, "bicubic", plain, None)
        changes.append(np.std(upscaled(uv, luma, large, x, y) - plain) / np.std(uv))
    assert changes[0] < 0.02 < 0.2 < changes[1]
    sums = confirmation(follows[0].astype(np.float32), luma[0].astype(np.float32), 8)
    assert (confirmed_share(sums) > 0.9).all()


def test_a_photo_whose_jpeg_blurred_its_chroma_is_not_worse_than_bicubic(data: Path) -> None:
    """The woman of Set5 confirms all of a detail of 0.7 codes at half its size, and a third of it at its own."""
    image = cv2.imread(str(data / "set5" / "img_005.png"))[..., ::-1]
    height, width = (side // 4 * 4 for side in image.shape[:2])
    rgb = torch.from_numpy(image[:height, :width] / np.float32(255)).permute(2, 0, 1)[None]
    true = [np.ascontiguousarray(plane) for part in rgb_to_ycbcr(rgb, RGB_COLOR, 8) for plane in part[0].numpy()]
    large, truth = true[0], np.stack([at_chroma(plane, 2, 0.0, 2, 0.5) for plane in true[1:]])
    luma, *chroma = (np.rint(resize(plane, width // 2, height // 2)).astype(np.float32) for plane in true)
    uv = np.stack([np.rint(at_chroma(plane, 2, 0.0, 2, 0.5)) for plane in chroma])
    x, y = axes("420 left", width // 2, height // 2, width, height)
    bicubic = np.empty((1, 2, y.n_out, x.n_out), np.float32)
    resize_chroma(uv[None], x, y, "bicubic", bicubic, None)
    guided = upscaled(uv[None], luma[None], large[None], x, y)
    gains = [psnr(guided[0, i], truth[i]) - psnr(bicubic[0, i], truth[i]) for i in range(2)]
    assert np.mean(gains) > -0.05, gains


def test_an_edge_of_colour_follows_the_edge_of_luma() -> None:
    """Red on white: bicubic chroma leaves a pink halo of several samples, guided chroma less than half of its error."""
    large = np.full((1, 128, 128), 235, np.uint8)
    true = np.full((1, 2, 64, 64), 128, np.uint8)
    large[:, 37:90, 41:77] = 82
    true[:, 0, 19:45, 21:39], true[:, 1, 19:45, 21:39] = 90, 240
    x, y = axes("420 left", 32, 32, 128, 128)
    luma = np.rint(large.reshape(1, 32, 4, 32, 4).mean((2, 4))).astype(np.uint8)
    back = ChromaAxis(2, 0.0, 128, 32), ChromaAxis(2, 0.5, 128, 32)
    uv, plain = np.empty((1, 2, 16, 16), np.uint8), np.empty((1, 2, 64, 64), np.float32)
    resize_chroma(true, *back, "bicubic", uv, 255)
    resize_chroma(uv, x, y, "bicubic", plain, None)
    guided = upscaled(uv, luma, large, x, y)
    errors = [np.sqrt(np.mean((result.astype(np.float64) - true) ** 2)) for result in (plain, guided)]
    assert errors[1] < errors[0] / 2


def test_frames_of_a_batch_do_not_depend_on_each_other() -> None:
    uv, luma, large = planes(np.random.default_rng(3), "420 left", (32, 24), (96, 72), 8)
    x, y = axes("420 left", 32, 24, 96, 72)
    together = upscaled(uv, luma, large, x, y)
    for n in range(2):
        alone = upscaled(uv[n : n + 1], luma[n : n + 1], large[n : n + 1], x, y)
        np.testing.assert_array_equal(alone[0], together[n])


def test_luma_at_chroma_keeps_a_ramp_at_its_position() -> None:
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32), (20, 40))
    for at in (0.0, 0.5, 1.0):
        found = at_chroma(ramp, 2, at, 2, 0.5)
        np.testing.assert_allclose(found[5, 4:-4], np.arange(20)[4:-4] * 2 + at, atol=1e-3)


def test_planes_of_another_size_are_refused() -> None:
    uv, luma, large = planes(np.random.default_rng(0), "420 left", (16, 12), (32, 24), 8)
    x, y = axes("420 left", 16, 12, 32, 26)
    with pytest.raises(ValueError, match="large_luma of shape"):
        upscaled(uv, luma, large, x, y)
