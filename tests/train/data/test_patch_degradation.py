"""Degradation of patches while training."""

import cv2
import numpy as np
import pytest
import torch

from vidsr.degrade.blur import GaussianBlur, MotionBlur, ShakeBlur
from vidsr.degrade.degradations import convolve
from vidsr.models.layers import crop_border
from vidsr.train.data.patch_degradation import (
    MARGIN,
    PatchDegradation,
    Rectangle,
    degrade,
    draw_degradation,
    quantize_blocks,
)

KERNELS = [
    GaussianBlur((3.5, 3.5)).kernel(np.random.default_rng(0)),
    MotionBlur((25, 25), (30, 30)).kernel(np.random.default_rng(0)),
    ShakeBlur((11, 11)).kernel(np.random.default_rng(0)),
]


@pytest.mark.parametrize("kernel", KERNELS)
def test_blur_equals_that_of_opencv(kernel: np.ndarray) -> None:
    image = np.random.default_rng(1).integers(0, 256, (90, 97), np.uint8)
    sharp = torch.from_numpy(image)[None, None].float() / 255
    degraded = degrade(sharp, [PatchDegradation(kernel)], np.random.default_rng(0))[0][0, 0] * 255
    expected = torch.from_numpy(convolve(image[None].astype(np.float32), kernel)[0])
    assert (degraded - crop_border(expected, MARGIN)).abs().max() < 0.51  # rounded


def test_no_degradation_leaves_an_image_unchanged() -> None:
    sharp = torch.randint(0, 256, (2, 1, 60, 61)) / 255
    for image in degrade(sharp, [PatchDegradation(), PatchDegradation()], np.random.default_rng(0)):
        assert torch.equal(image, crop_border(sharp, MARGIN))


def test_graphics_are_sharp_and_part_of_the_target() -> None:
    bar = Rectangle(0, 0, 0.25, 1, 0.1)
    degradation = PatchDegradation(KERNELS[0], 3, graphics=(bar,))
    degraded, target = degrade(torch.rand(1, 1, 72, 80), [degradation], np.random.default_rng(0))
    assert ((255 * degraded[..., :10, :]).round() == round(25.5)).all()
    assert (target[..., :10, :] == bar.value).all()
    assert (target[..., 10:, :] - degraded[..., 10:, :]).abs().min() > 0


def test_noise_has_its_standard_deviation() -> None:
    sharp = torch.full((1, 1, 232, 232), 0.5)
    degraded, _ = degrade(sharp, [PatchDegradation(noise=3.0)], np.random.default_rng(0))
    assert (255 * degraded).std().item() == pytest.approx(3, rel=0.02)


def test_quantized_blocks_equal_those_by_the_transform_of_opencv() -> None:
    plane = np.random.default_rng(0).random((16, 13), np.float32)
    whole = np.pad(plane, ((0, 0), (0, 3)), mode="reflect")
    expected = np.empty_like(whole)
    for top in (0, 8):
        for left in (0, 8):
            found = cv2.dct(whole[top : top + 8, left : left + 8])
            found = np.sign(found) * np.floor(np.abs(found) / 0.1 + 1 / 3) * np.float32(0.1)
            expected[top : top + 8, left : left + 8] = cv2.idct(found)
    np.testing.assert_allclose(quantize_blocks(torch.from_numpy(plane), 0.1).numpy(), expected[:, :13], atol=1e-5)


def test_some_are_left_alone_and_all_kinds_are_draw_degradation() -> None:
    rng = np.random.default_rng(0)
    degradations = [draw_degradation(rng) for _ in range(400)]
    assert 30 < sum(each[1:3] == (0, 0) for each in degradations) < 100
    assert 15 < sum(each.quantizer_step > 0 for each in degradations) < 80
    assert max(len(each.kernel) for each in degradations if each.kernel is not None) // 2 <= MARGIN
