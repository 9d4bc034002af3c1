"""The protocol of the papers, against published figures."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from vidsr.errors import InputError
from vidsr.evaluate.image_sets import evaluate, read_image
from vidsr.evaluate.protocol import imresize, modcrop
from vidsr.kernels.resample import resize
from vidsr.metrics import psnr, rgb_to_y, ssim

PUBLISHED = {2: 33.66, 3: 30.39, 4: 28.42}  # bicubic, PSNR-Y on Set5


def bicubic_by(scale: int):
    return lambda image: imresize(image, image.shape[0] * scale, image.shape[1] * scale)


@pytest.mark.parametrize("scale", PUBLISHED)
def test_bicubic_on_set5_is_the_published_figure(scale: int, data: Path) -> None:
    rows = evaluate(bicubic_by(scale), scale, [data / "set5"])
    assert rows[-1].image == "mean" and len(rows) == 6
    assert rows[-1].psnr_y == pytest.approx(PUBLISHED[scale], abs=0.03)
    assert rows[-1].psnr_y == rows[-1].bicubic_psnr_y
    assert rows[-1].ssim == pytest.approx(np.mean([r.ssim for r in rows[:-1]]))


@pytest.mark.parametrize("size", [(17, 30), (40, 22), (64, 96)])
def test_imresize_equals_the_antialiased_bicubic_kernel(size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (48, 44), dtype=np.uint8)
    ours = imresize(image, *size).astype(int)
    assert np.abs(ours - resize(image, size[1], size[0], "bicubic").astype(int)).max() <= 1


def test_imresize_keeps_a_linear_ramp() -> None:
    # interior samples of a linear ramp stay on it: sample j lies at 2 j + 1/2
    ramp = np.tile(np.arange(0, 80, 2, dtype=np.uint8), (8, 1))
    small = imresize(ramp, 4, 20)
    assert small[0, 5:15].tolist() == [4 * j + 1 for j in range(5, 15)]


def test_luma_has_limited_range_and_a_grey_file_is_luma_already() -> None:
    white = np.full((1, 1, 3), 255, np.uint8)
    assert rgb_to_y(white)[0, 0] == pytest.approx(235, abs=2e-2)
    assert rgb_to_y(white[:, :, 0])[0, 0] == 255


def test_psnr_and_ssim_of_known_errors() -> None:
    x = np.random.default_rng(0).uniform(0, 255, (40, 44))
    assert psnr(x, x + 5) == pytest.approx(20 * np.log10(255 / 5))
    assert psnr(x, x) == np.inf
    assert ssim(x, x) == pytest.approx(1)
    assert ssim(x, 255 - x) < 0


def test_ssim_equals_that_of_opencv_gaussian_windows() -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 255, (50, 60))
    y = np.clip(x + rng.normal(0, 20, x.shape), 0, 255)

    def mean(v: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(v, (11, 11), 1.5)[5:-5, 5:-5]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    top = (2 * mx * my + c1) * (2 * (mean(x * y) - mx * my) + c2)
    bottom = (mx**2 + my**2 + c1) * (mean(x * x) - mx**2 + mean(y * y) - my**2 + c2)
    assert ssim(x, y) == pytest.approx(float((top / bottom).mean()), abs=1e-9)


def test_modcrop_keeps_the_top_left_part() -> None:
    image = np.arange(35, dtype=np.uint8).reshape(5, 7)
    assert modcrop(image, 3).tolist() == image[:3, :6].tolist()


def test_lr_images_can_be_read_from_a_folder(tmp_path: Path) -> None:
    hr = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    for folder, image in (("hr", hr), ("lr", np.zeros((16, 24, 3), np.uint8)), ("small", hr[:8, :8])):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), image)
    made = evaluate(bicubic_by(2), 2, [tmp_path / "hr"])
    read = evaluate(bicubic_by(2), 2, [tmp_path / "hr" / "a.png"], tmp_path / "lr")
    assert read[0].psnr_y < made[0].psnr_y  # black images are worse
    with pytest.raises(InputError, match="24x16 is needed"):
        evaluate(bicubic_by(2), 2, [tmp_path / "hr"], tmp_path / "small")
    with pytest.raises(InputError, match="cannot be read"):
        evaluate(bicubic_by(2), 2, [tmp_path / "hr"], tmp_path / "absent")
    with pytest.raises(InputError, match="has no images"):
        evaluate(bicubic_by(2), 2, [tmp_path])


def test_images_of_other_depths_are_refused_and_alpha_is_dropped(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), np.zeros((8, 8), np.uint16))
    with pytest.raises(InputError, match="uint16"):
        read_image(tmp_path / "deep.png")
    cv2.imwrite(str(tmp_path / "alpha.png"), np.full((8, 8, 4), (1, 2, 3, 255), np.uint8))
    assert read_image(tmp_path / "alpha.png")[0, 0].tolist() == [3, 2, 1]
